import { appendFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { type Outcome, simulate } from './harness/simulate.ts';
import { simulationOptions, describeFailure } from './harness/simulation-options.ts';

const { seeds, seed: first, asked, untilFailure, resultFile } = simulationOptions();
/** Seeds of one test, so that a slow machine is not taken for a hanging one. */
const CHUNK = 50;

let failed = false;

function report(outcome: Outcome): void {
  const { seed, faults, failures } = outcome;
  if (resultFile !== undefined) appendFileSync(resultFile, `${JSON.stringify({ seed, faults, failures })}\n`);
}

describe('three gateways, a stream, a processor and a store', () => {
  const chunks = Array.from({ length: Math.ceil(seeds / CHUNK) }, (_, i) => first + i * CHUNK);
  it.each(chunks)(
    'count every reading once and end as if nothing had happened (from seed %i)',
    async (from) => {
      if (untilFailure && failed) return;
      const until = Math.min(from + CHUNK, first + seeds);
      for (let seed = from; seed < until; seed++) {
        const outcome = await simulate(seed);
        if (outcome.failures.length === 0) continue;
        failed = true;
        report(outcome);
        expect.fail(describeFailure(outcome));
      }
      if (asked) process.stderr.write(`  ${until - first} of ${seeds} seeds held\n`);
    },
    600_000,
  );

  it('do the same again for the same seed', async () => {
    const [once, again] = [await simulate(first), await simulate(first)];
    expect(again).toEqual(once);
  });
});
