import { BLOCK_PRIOR_SD, BLOCK_PRIOR_WEIGHT, DECADES_MAX, ROBUST } from './parameters.ts';
import { studentTailDecades } from './tail-probability.ts';

/**
 * How large the largest value of a block usually is. Kept are the mean and variance of log(1 + block maximum) over all blocks: the
 * logarithm makes heavy tails nearly normal (generalised extreme values, Gumbel 1958), and maxima of blocks of one hundred readings
 * speak of the rare readings that matter instead of the common ones.
 */

/** Blocks before a maximum can be judged. */
export const BLOCKS_MIN = 2;

/** Variance of log(1 + maximum), where the prior still counts. */
const spread = (variance: number, blocks: number): number =>
  (BLOCK_PRIOR_WEIGHT * BLOCK_PRIOR_SD * BLOCK_PRIOR_SD + blocks * variance) / (BLOCK_PRIOR_WEIGHT + blocks);

/**
 * Decades of improbability of `logSize` = log(1 + size) among `blocks` blocks with the given mean and variance: Student's t with
 * the prior's degrees of freedom, corrected for having looked at that many blocks. 0 to {@link DECADES_MAX}.
 */
export function maximumDecades(logSize: number, mean: number, variance: number, blocks: number): number {
  if (logSize <= mean) return 0;
  const sd = Math.sqrt(spread(variance, blocks) * (1 + 1 / blocks));
  const decades = studentTailDecades((logSize - mean) / sd, blocks + BLOCK_PRIOR_WEIGHT) - Math.log10(blocks);
  return decades < 0 ? 0 : Math.min(decades, DECADES_MAX);
}

/** Halvings of 40 standard deviations: to a hundredth of one, always on the side of the smaller size. */
const BISECTIONS = 12;

/**
 * The smallest size that scores more than `decades`, found by bisection over log(1 + size): until a size passes it, a reading costs
 * one comparison. Infinite while there are too few blocks.
 */
export function sizeAbove(decades: number, mean: number, variance: number, blocks: number): number {
  if (blocks < BLOCKS_MIN) return Infinity;
  let low = mean;
  let high = mean + 40 * Math.sqrt(spread(variance, blocks));
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2;
    if (maximumDecades(middle, mean, variance, blocks) > decades) high = middle;
    else low = middle;
  }
  return Math.expm1(low);
}

/**
 * What a block's maximum, as its distance `delta` of log(1 + maximum) from the mean, may teach: all of it while `blocks` (counting
 * this one) are few, later less of what lies far above the mean.
 */
export function robustDelta(delta: number, variance: number, blocks: number): number {
  if (blocks <= ROBUST.blocksMin) return delta;
  const bound = ROBUST.sd * Math.sqrt(spread(variance, blocks));
  return delta > bound ? bound + ROBUST.share * (delta - bound) : delta;
}
