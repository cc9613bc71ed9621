import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
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
        readingsPerSecond: 500,
        processorLatenessSeconds: LATENESS_SECONDS,
      });
      if (processor === undefined) throw new Error('there is no processor');
      const store = path.join(nats.directory, 'jetstream');
      const copy = path.join(nats.directory, 'older-copy');
      await agent.start();
      load.start();
      for (let round = 1; round <= rounds; round++) {
        await pauseMs(random.between(1_000, 3_000));
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
        progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged`);
      }
      await pauseMs(1_000);
      load.pause();
      await load.acknowledged();
      const began = performance.now();
      const verdict = await judgeProcessor(ledger, agent, processor, { timeoutMs: 90_000 });
      report(`nats-amnesia, the store ${what}`, {
        rounds,
        seed,
        'readings acknowledged': verdict.readings,
        windows: verdict.windows,
        lost: verdict.lost,
        doubled: verdict.doubled,
        episodes: verdict.episodes,
        'seconds until all was there': Math.round((performance.now() - began) / 100) / 10,
        repeat: repeatCommand('nats-amnesia', seed, rounds),
      });
      expectClean(verdict);
    },
    180_000 + rounds * 30_000,
  );
});
