import { describe, expect, it } from 'vitest';

import { chaosOptions, percentile, progress, report } from '../chaos/harness/chaos-options.ts';
import { resourcesPerSuite } from '../support/index.ts';
import { HOSTILE_CASES } from './cases/index.ts';
import { HostileFloor, type Suffered } from './harness/hostile-floor.ts';

const { rounds, seed, scenario, asked } = chaosOptions();
const cases = HOSTILE_CASES.filter(({ name }) => scenario === undefined || scenario === `hostile-${name}`);
/** Judged only by `npm run chaos`: what else a machine does decides about the latency of single attacks, as `npm test` makes them. */
const P99_RATIO_MAX = 2;
const ROUNDS_ASKED = 10;
const TIMEOUT_MS = 60_000 + (rounds ?? ROUNDS_ASKED) * 20_000;

describe.skipIf(process.platform !== 'linux')(
  'readings of good devices are taken as before, and in bounded memory, while',
  () => {
    const resources = resourcesPerSuite();
    let started: Promise<HostileFloor> | undefined;
    const theFloor = async (): Promise<HostileFloor> => (started ??= HostileFloor.start(resources, seed));

    it.each(cases)(
      '$does',
      async (hostile) => {
        const floor = await theFloor();
        const times = asked ? (rounds ?? ROUNDS_ASKED) : 1;
        const suffered: Suffered[] = [];
        for (let round = 1; round <= times; round++) {
          suffered.push(await floor.suffer(hostile, round));
          expect(await floor.troubles()).toEqual([]);
          progress(`round ${round} of ${times}: p99 ${suffered.at(-1)?.p99Ratio.toFixed(2)} times that of the calm`);
        }
        const ratios = suffered.map(({ p99Ratio }) => p99Ratio);
        report(`hostile-${hostile.name}`, {
          seed,
          rounds: suffered.length,
          'p99 of PUBACK, calm, ms': suffered.map(({ calmP99Ms }) => calmP99Ms.toFixed(1)),
          'p99 of PUBACK, attacked, ms': suffered.map(({ p99Ms }) => p99Ms.toFixed(1)),
          'p99 of PUBACK, ratio, median': percentile(ratios, 0.5),
          'memory, highest, compared with before': await floor.memoryRatio(),
          repeat: `npm run chaos -- --scenario hostile-${hostile.name} --seed ${seed} --rounds ${suffered.length}`,
        });
        expect(suffered).toHaveLength(times);
        expect(percentile(ratios, 0.5)).toBeLessThan(asked ? P99_RATIO_MAX : Infinity);
      },
      TIMEOUT_MS,
    );

    it('everything that was acknowledged is in the journal, once', async () => {
      const { acknowledged, missing, doubled } = await (await theFloor()).judgeJournal();
      report('hostile, the journal', { acknowledged, missing, doubled });
      expect(acknowledged).toBeGreaterThan(0);
      expect({ missing, doubled }).toEqual({ missing: 0, doubled: 0 });
    });
  },
);
