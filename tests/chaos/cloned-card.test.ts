import { cp } from 'node:fs/promises';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { AgentProcess } from './harness/agent-process.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { identityAlarms } from './harness/identity-alarms.ts';
import { Ledger } from './harness/ledger.ts';
import { Load } from './harness/load.ts';
import { Series } from './harness/series.ts';
import { ENGINE, judgeProcessor, letOut } from './harness/verdict.ts';

const { seed } = chaosOptions();
/** Windows never close here: what is late stays countable. */
const LATENESS_SECONDS = 6 * 86_400;
const READINGS_PER_SECOND = 500;

describe('two gateways that run from copies of one card', () => {
  const resources = resourcesPerTest();

  it('raise the alarm "identity", and everything that either of them sends is counted once', async () => {
    progress(`seed ${seed}`);
    const floor = await ChaosFloor.create(resources, {
      seed,
      sensors: 25,
      readingsPerSecond: READINGS_PER_SECOND,
      processorLatenessSeconds: LATENESS_SECONDS,
    });
    const { nats, agent, ledger, load, processor } = floor;
    if (processor === undefined) throw new Error('there is no processor');
    await agent.start();
    load.start();
    await pauseMs(2_000);
    load.pause();
    await load.acknowledged();
    await letOut(agent);
    await agent.program.stop();

    const clone = await AgentProcess.create(resources, nats.url, { config: { engine: ENGINE } });
    await cp(agent.dataDir, clone.dataDir, { recursive: true });
    const { options } = ledger.series;
    const cloneLedger = new Ledger(new Series({ ...options, prefix: 'clone' }));
    const cloneLoad = new Load(cloneLedger, { port: clone.mqttPort, readingsPerSecond: READINGS_PER_SECOND, seed });
    resources.defer(() => cloneLoad.close());
    await Promise.all([agent.start(), clone.start()]);
    load.resume();
    cloneLoad.start();
    await pauseMs(5_000);
    for (const one of [load, cloneLoad]) one.pause();
    await Promise.all([load.acknowledged(), cloneLoad.acknowledged()]);
    await letOut(clone);
    const verdict = await judgeProcessor([ledger, cloneLedger], agent, processor, { engine: null, sealed: false });
    const alarms = await identityAlarms(processor);
    report('cloned-card', {
      seed,
      'readings acknowledged': verdict.readings,
      windows: verdict.windows,
      lost: verdict.lost,
      doubled: verdict.doubled,
      'alarm "identity" because of': alarms,
      repeat: repeatCommand('cloned-card', seed, 1),
    });
    expect(alarms).toContain('second-successor');
    expect(verdict).toMatchObject({ lost: 0, doubled: 0, changed: 0, examples: [], violations: [] });
  }, 180_000);
});
