import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import type { AgentProcess } from './harness/agent-process.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { Random } from './harness/random.ts';
import { expectClean, judgeProcessor } from './harness/verdict.ts';

const ROUNDS = 2;
const { rounds = ROUNDS, seed } = chaosOptions();
/** Windows must still be open when the agent has sent again what was lost. */
const LATENESS_SECONDS = 4 * 3_600;

describe('a NATS server that forgets what it acknowledged', () => {
  const resources = resourcesPerTest();

  it.each(['is emptied', 'goes back to an older copy'] as const)(
    'gets everything again when its store %s, and the processor counts it once',
    async (what) => {
      progress(`seed ${seed}, ${rounds} rounds, the store ${what}`);
      const random = new Random(seed);
      const { nats, agent, ledger, load, processor } = await ChaosFloor.create(resources, {
        seed,
        sensors: 50,
        readingsPerSecond: 1_000,
        processorLatenessSeconds: LATENESS_SECONDS,
      });
      if (processor === undefined) throw new Error('there is no processor');
      const store = path.join(nats.directory, 'jetstream');
      const copy = path.join(nats.directory, 'older-copy');
      await agent.start();
      load.start();
      for (let round = 1; round <= rounds; round++) {
        await pauseMs(random.between(2_000, 4_000));
        // Mostly the processor is dead meanwhile, and has not read what is forgotten.
        const isDead = round % 3 > 0;
        if (isDead) await processor.kill9();
        await pauseMs(random.between(500, 1_500));
        await nats.kill9();
        if (what !== 'is emptied') {
          // The copy is of a moment at which the server was dead, so it is whole; and then some is added that the copy lacks.
          await cp(store, copy, { recursive: true });
          await nats.start();
          await pauseMs(random.between(1_000, 6_000));
          await nats.kill9();
        }
        await rm(store, { recursive: true });
        if (what !== 'is emptied') {
          await cp(copy, store, { recursive: true });
          await rm(copy, { recursive: true });
        }
        await nats.start();
        if (isDead) await processor.restart();
        progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged`);
      }
      await pauseMs(1_000);
      load.pause();
      await load.acknowledged();
      const began = performance.now();
      const verdict = await judgeProcessor(ledger, agent, processor, { timeoutMs: 90_000 });
      const rewinds = await rewindsOf(agent);
      report(`nats-amnesia, the store ${what}`, {
        rounds,
        seed,
        'readings acknowledged': verdict.readings,
        windows: verdict.windows,
        lost: verdict.lost,
        doubled: verdict.doubled,
        episodes: verdict.episodes,
        'times that the agent went back': rewinds,
        'seconds until all was there': Math.round((performance.now() - began) / 100) / 10,
        repeat: repeatCommand('nats-amnesia', seed, rounds),
      });
      expectClean(verdict);
      expect(rewinds).toBeGreaterThan(0);
    },
    180_000 + rounds * 30_000,
  );
});

/** How often the agent has gone back in both lanes together. */
async function rewindsOf(agent: AgentProcess): Promise<number> {
  const { lanes } = await agent.status();
  return Object.values(lanes)
    .flatMap((lane) => Object.values(lane['rewindsByReason'] as Readonly<Record<string, number>>))
    .reduce((sum, times) => sum + times, 0);
}
