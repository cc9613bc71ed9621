import { expect, it } from 'vitest';

import { maximumDecades, robustDelta } from '../../../src/score/adaptive/block-maxima.ts';
import { BLOCK_PRIOR_SD, DECADES_MAX, ROBUST } from '../../../src/score/adaptive/parameters.ts';

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
