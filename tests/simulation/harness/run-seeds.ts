import { appendFileSync, existsSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { describeFailure, simulationOptions } from './simulation-options.ts';
import { type Outcome, simulate } from './simulate.ts';

/** Seeds of one test, so that a slow machine is not taken for a hanging one. */
const CHUNK = 25;
/** Files that share the seeds, each of which runs in a process of its own. */
const PARTS = 2;

/** Makes the tests of one file: every {@link PARTS}th chunk of what is asked for. */
export function runSeeds(part: number): void {
  const { seeds, seed: first, asked, untilFailure, resultFile } = simulationOptions();
  const chunks = Array.from({ length: Math.ceil(seeds / CHUNK) }, (_, i) => first + i * CHUNK).filter(
    (_, i) => i % PARTS === part,
  );
  const report = ({ seed, faults, failures }: Outcome): void => {
    if (resultFile !== undefined) appendFileSync(resultFile, `${JSON.stringify({ seed, faults, failures })}\n`);
  };
  const isOver = (): boolean => untilFailure && resultFile !== undefined && existsSync(resultFile);

  describe('three gateways, a stream, a processor and a store', () => {
    it.each(chunks)(
      'count every reading once and end as if nothing had happened (from seed %i)',
      async (from) => {
        const until = Math.min(from + CHUNK, first + seeds);
        for (let seed = from; seed < until && !isOver(); seed++) {
          const outcome = await simulate(seed);
          if (outcome.failures.length === 0) continue;
          report(outcome);
          expect.fail(describeFailure(outcome));
        }
        if (asked && !untilFailure) process.stderr.write(`  seeds ${from} to ${until - 1} held\n`);
      },
      600_000,
    );

    it('do the same again for the same seed', async () => {
      const [once, again] = [await simulate(first + part), await simulate(first + part)];
      expect(again).toEqual(once);
    }, 60_000);
  });
}
