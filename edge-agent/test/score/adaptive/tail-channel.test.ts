import fc from 'fast-check';
import { expect, it } from 'vitest';

import { maximumDecades, sizeAbove } from '../../../src/score/adaptive/block-maxima.ts';
import { DECADES_MAX, SCALE_READINGS_MIN } from '../../../src/score/adaptive/parameters.ts';
import { acceptTail, clearTail, closeTailBlock, TAIL_FIELDS } from '../../../src/score/adaptive/tail-channel.ts';

/** A channel of noise from −1 to 1, of which `blocks` blocks are closed. */
function noisy(blocks: number): { score: (feature: number) => number; closeBlock: () => void } {
  const row = new Float64Array(TAIL_FIELDS);
  clearTail(row, 0);
  const features = new Float64Array(1);
  const resolutions = new Float64Array(1);
  const decades = new Float64Array(1);
  let count = 0;
  const accept = (feature: number, closed: number): number => {
    features[0] = feature;
    return acceptTail(row, 0, 0, features, resolutions, decades, closed, (count += 1)) ? decades[0]! : 0;
  };
  for (let index = 0; index <= SCALE_READINGS_MIN; index += 1) accept(Math.sin(index * index), 0);
  for (let block = 1; block <= blocks; block += 1) {
    for (let index = 0; index < 100; index += 1) accept(Math.sin(index * index + block), block - 1);
    closeTailBlock(row, 0, block);
  }
  let closed = blocks;
  return {
    score: (feature) => accept(feature, closed),
    closeBlock: () => closeTailBlock(row, 0, (closed += 1)),
  };
}

it('scores what is larger than the largest of every block, more the larger it is', () => {
  expect(noisy(20).score(1)).toBe(0);
  const twice = noisy(20).score(3);
  expect(twice).toBeGreaterThan(0);
  expect(noisy(20).score(12)).toBeGreaterThan(twice);
  expect(noisy(20).score(1e200)).toBe(DECADES_MAX);
});

it('scores nothing before two blocks', () => {
  expect(noisy(1).score(1e6)).toBe(0);
  expect(noisy(2).score(1e6)).toBeGreaterThan(0);
});

it('what came once scores less the second time, as blocks learn it', () => {
  const once = noisy(20);
  const twice = noisy(20);
  twice.score(6);
  twice.closeBlock();
  expect(twice.score(6)).toBeLessThan(once.score(6));
});

it('the size from which readings are candidates hides no score', () => {
  const blocks = fc.integer({ min: 2, max: 5000 });
  const mean = fc.double({ min: 0, max: 10, noNaN: true });
  const variance = fc.double({ min: 0, max: 9, noNaN: true });
  fc.assert(
    fc.property(blocks, mean, variance, fc.constantFrom(0, 2, 3), (n, m, v, decades) => {
      const size = sizeAbove(decades, m, v, n);
      expect(maximumDecades(Math.log1p(size), m, v, n)).toBeLessThanOrEqual(decades);
      const step = 0.04 * Math.sqrt(v + 0.1);
      expect(maximumDecades(Math.log1p(size) + step, m, v, n)).toBeGreaterThan(decades);
    }),
  );
});
