import { cp, rm } from 'node:fs/promises';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { identityAlarms } from './harness/identity-alarms.ts';
import { judgeProcessor, letOut } from './harness/verdict.ts';

const { seed } = chaosOptions();
/** Windows never close here: what is late stays countable. */
const LATENESS_SECONDS = 6 * 86_400;

describe('a gateway whose disk is put back to an older image', () => {
  const resources = resourcesPerTest();

  it('raises the alarm "identity", and nothing that it sends afterwards is dropped', async () => {
    progress(`seed ${seed}`);
    const { agent, ledger, load, processor } = await ChaosFloor.create(resources, {
      seed,
      sensors: 50,
      readingsPerSecond: 1_000,
      processorLatenessSeconds: LATENESS_SECONDS,
    });
    if (processor === undefined) throw new Error('there is no processor');
    const image = `${agent.dataDir}-image`;
    resources.defer(async () => rm(image, { recursive: true, force: true }));
    const run = async (ms: number): Promise<void> => {
      load.resume();
      await pauseMs(ms);
      load.pause();
      await load.acknowledged();
    };
    await agent.start();
    load.start();
    await run(2_000);
    // Everything that is open goes out, so that the image and the gateway that goes on have nothing in common that is still to come.
    await letOut(agent);
    agent.program.signal('SIGSTOP');
    // A lock is a socket of the process that holds it, and no part of a disk.
    await cp(agent.dataDir, image, { recursive: true, filter: (file) => !file.endsWith('.lock') });
    agent.program.signal('SIGCONT');
    await run(3_000);
    const before = await judgeProcessor(ledger, agent, processor, { engine: null, sealed: false });
    expect(before).toMatchObject({ lost: 0, doubled: 0, changed: 0 });
    await agent.program.stop();
    await rm(agent.dataDir, { recursive: true });
    await cp(image, agent.dataDir, { recursive: true });
    await agent.start();
    await run(3_000);
    const after = await judgeProcessor(ledger, agent, processor, { engine: null, sealed: false });
    const alarms = await identityAlarms(processor);
    report('restored-image', {
      seed,
      'readings acknowledged': after.readings,
      windows: after.windows,
      lost: after.lost,
      doubled: after.doubled,
      'alarm "identity" because of': alarms,
      repeat: repeatCommand('restored-image', seed, 1),
    });
    expect(alarms).toContain('shorter');
    expect(after).toMatchObject({ lost: 0, doubled: 0, changed: 0, examples: [], violations: [] });
  }, 180_000);
});
