import { SCORE_MAX } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { normalTailScore } from '../../src/score/normal-tail.ts';

describe('normal tail', () => {
  // −log10 of the C library's erfc(z / √2).
  it.each([
    [0, 0],
    [1e-9, 3.4651685141403226e-10],
    [0.5, 0.20966199360125962],
    [1, 0.49851554582798924],
    [2, 1.3419860844769556],
    [2.8, 2.2915569470895147],
    [2.83, 2.3320989357760666],
    [3, 2.5686690402653873],
    [5, 6.241615676726672],
    [8, 14.90511255535317],
    [10, 22.81702340982209],
    [20, 88.25906534741159],
    [30, 197.00817926599692],
    [37, 298.9411511829459],
  ])('%d standard deviations are %d decades', (z, decades) => {
    expect(Math.abs(normalTailScore(z) - decades)).toBeLessThan(1e-12 * Math.max(1, decades));
    expect(normalTailScore(-z)).toBe(normalTailScore(z));
  });

  it.each([37.1, 38, 1e10, 1e200, Infinity])('%d standard deviations are cut to the largest score', (z) => {
    expect(normalTailScore(z)).toBe(SCORE_MAX);
  });

  it('never falls as the distance grows, also where the method changes', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 40, noNaN: true }),
        fc.double({ min: 1e-9, max: 1, noNaN: true }),
        (z, more) => {
          expect(normalTailScore(z + more)).toBeGreaterThanOrEqual(normalTailScore(z));
        },
      ),
    );
  });
});
