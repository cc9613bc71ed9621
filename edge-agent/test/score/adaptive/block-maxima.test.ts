import fc from 'fast-check';
import { expect, it } from 'vitest';

import { BLOCKS_MIN, maximumDecades, robustDelta, sizeAbove } from '../../../src/score/adaptive/block-maxima.ts';
import { BLOCK_PRIOR_SD, BLOCK_PRIOR_WEIGHT, DECADES_MAX, ROBUST } from '../../../src/score/adaptive/parameters.ts';

it('a maximum at the mean scores nothing, a huge one no more than the limit', () => {
  expect(maximumDecades(1, 1, 0, 50)).toBe(0);
  expect(maximumDecades(1 + 2 * BLOCK_PRIOR_SD, 1, 0, 50)).toBeGreaterThan(0);
  expect(maximumDecades(1000, 1, 0, 50)).toBe(DECADES_MAX);
});

it('of many blocks, the more there were, the more a maximum of the same size must stand out', () => {
  const decades = [200, 2000, 20_000].map((blocks) => maximumDecades(2.5, 1, 0.09, blocks));
  expect(decades[0]).toBeGreaterThan(decades[1]!);
  expect(decades[1]).toBeGreaterThan(decades[2]!);
});

it('the first ten blocks teach all of their maxima, later ones less of what stands out far', () => {
  expect(robustDelta(10, 0.09, ROBUST.blocksMin)).toBe(10);
  const later = robustDelta(10, 0.09, ROBUST.blocksMin + 1);
  expect(later).toBeGreaterThan(ROBUST.share * 10);
  expect(later).toBeLessThan(ROBUST.share * 10 + ROBUST.sd * BLOCK_PRIOR_SD);
  expect(robustDelta(0.5, 0.09, 100)).toBe(0.5);
  expect(robustDelta(-10, 0.09, 100)).toBe(-10);
});

/** By definition, without anything remembered of other blocks. */
function bisected(decades: number, mean: number, variance: number, blocks: number): number {
  const weight = BLOCK_PRIOR_WEIGHT + blocks;
  const spread = (BLOCK_PRIOR_WEIGHT * BLOCK_PRIOR_SD * BLOCK_PRIOR_SD + blocks * variance) / weight;
  let [low, high] = [mean, mean + 40 * Math.sqrt(spread)];
  for (let step = 0; step < 12; step += 1) {
    const middle = (low + high) / 2;
    if (maximumDecades(middle, mean, variance, blocks) > decades) high = middle;
    else low = middle;
  }
  return Math.expm1(low);
}

it('the size above which a maximum scores is found as by bisection, whatever was asked before', () => {
  const blocks = fc.oneof(fc.integer({ min: BLOCKS_MIN, max: 40 }), fc.integer({ min: BLOCKS_MIN, max: 1e7 }));
  const number = (max: number): fc.Arbitrary<number> => fc.double({ min: 0, max, noNaN: true });
  fc.assert(
    fc.property(fc.constantFrom(0, 2, 4), number(14), number(2), blocks, (decades, mean, variance, of) => {
      expect(sizeAbove(decades, mean, variance, of)).toBe(bisected(decades, mean, variance, of));
    }),
    { numRuns: 2_000 },
  );
  expect(sizeAbove(0, 1, 1, BLOCKS_MIN - 1)).toBe(Infinity);
});
