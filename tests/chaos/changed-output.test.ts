import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { Random } from './harness/random.ts';
import { HIGH } from './harness/series.ts';
import { ENGINE, expectClean, judge } from './harness/verdict.ts';

const ROUNDS = 4;
const { rounds = ROUNDS, seed } = chaosOptions();

/** Ways to judge that differ in when an episode closes, in what the detectors remember and in which of them run. */
const CONFIGURATIONS = [
  ENGINE,
  { ...ENGINE, limits: { ...ENGINE.limits, closeAfterReadings: 6 } },
  { ...ENGINE, limits: { rules: [{ device: 'machine-*', metric: '*', high: HIGH + 50 }] }, noise: { enabled: false } },
  { ...ENGINE, statistics: { countReadings: 128, ewReadings: 50 }, zScore: { warmUpReadings: 40 } },
];

describe('an agent that is killed and goes on with a configuration that judges in another way', () => {
  const resources = resourcesPerTest();

  it(
    'loses and doubles nothing, and closes every episode of before with the reason "upgraded"',
    async () => {
      progress(`seed ${seed}, ${rounds} rounds`);
      const random = new Random(seed);
      const floor = await ChaosFloor.create(resources, { seed, sensors: 50, readingsPerSecond: 1_000 });
      const { agent, ledger, load, reader } = floor;
      await agent.start();
      load.start();
      for (let round = 1; round <= rounds; round++) {
        await pauseMs(random.between(2_000, 4_000));
        await agent.kill9();
        agent.configure({ engine: CONFIGURATIONS[round % CONFIGURATIONS.length] ?? ENGINE });
        await agent.start();
        await reader.read();
        progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged`);
      }
      await pauseMs(1_000);
      load.pause();
      await load.acknowledged();
      const verdict = await judge(ledger, agent, reader, { engine: null });
      const episodes = [...reader.oracle.episodes.values()];
      const upgraded = episodes.filter(({ closeReason }) => closeReason === 'upgraded');
      // Whatever was open at a kill was closed by the first start after it.
      const carriedOver = episodes.filter(
        ({ openedIn, lastIn, closeReason }) =>
          openedIn !== lastIn && !(closeReason === 'upgraded' && reader.oracle.follows(lastIn, openedIn)),
      );
      const leftOpen = episodes.filter(
        ({ closed, openedIn }) => closed === 0 && openedIn !== reader.oracle.newestEpoch('anomaly'),
      );
      report('changed-output', {
        rounds,
        seed,
        'readings acknowledged': verdict.readings,
        lost: verdict.lost,
        doubled: verdict.doubled,
        episodes: verdict.episodes,
        'closed because of the upgrade': upgraded.length,
        'carried over': carriedOver.length,
        'left open': leftOpen.length,
        repeat: repeatCommand('changed-output', seed, rounds),
      });
      expectClean(verdict);
      expect(carriedOver).toEqual([]);
      expect(leftOpen).toEqual([]);
      expect(upgraded.length).toBeGreaterThan(0);
    },
    120_000 + rounds * 15_000,
  );
});
