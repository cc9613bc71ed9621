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

/**
 * Learns the maximum of a block that is over, and begins the next one. In a sensor's row stand, one behind the other from `o` on: the maximum
 * of the block, and the mean and variance of log(1 + maximum) of past blocks.
 *
 * @param blocks with this one.
 */
export function learnMaximum(s: Float64Array, o: number, blocks: number): void {
  const delta = Math.log1p(s[o]!) - s[o + 1]!;
  s[o + 1] = s[o + 1]! + delta / blocks;
  s[o + 2] = s[o + 2]! + (delta * delta * (1 - 1 / blocks) - s[o + 2]!) / blocks;
  s[o] = 0;
}

/** Halvings of {@link DEVIATIONS_MAX} standard deviations: to a hundredth of one, always on the side of the smaller size. */
const BISECTIONS = 12;
const DEVIATIONS_MAX = 40;

/**
 * The smallest size that scores more than `decades`, found by bisection over log(1 + size): until a size passes it, a reading costs
 * one comparison. Infinite while there are too few blocks.
 */
export function sizeAbove(decades: number, mean: number, variance: number, blocks: number): number {
  if (blocks < BLOCKS_MIN) return Infinity;
  const halvings = halvingsAbove(decades, blocks);
  let low = mean;
  let high = mean + DEVIATIONS_MAX * Math.sqrt(spread(variance, blocks));
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2;
    if (((halvings >> step) & 1) === 1) low = middle;
    else high = middle;
  }
  return Math.expm1(low);
}

/** What {@link halvingsAbove} has found lately, and for which decades and blocks: a hash table without chains. */
const FOUND = { halvings: new Uint16Array(1024), decades: new Float64Array(1024), blocks: new Float64Array(1024) };

/**
 * Which half the size is in after each halving, as a bit per step that is 1 for the upper one. In standard deviations this is the same for all means and
 * variances, and it takes more logarithms than everything else at a block's end, so it is found once for each number of blocks.
 */
function halvingsAbove(decades: number, blocks: number): number {
  const place = (8 * blocks + decades) & (FOUND.halvings.length - 1);
  if (FOUND.decades[place] === decades && FOUND.blocks[place] === blocks) return FOUND.halvings[place]!;
  // The variance for which the spread is 1.
  const unit = 1 + (BLOCK_PRIOR_WEIGHT * (1 - BLOCK_PRIOR_SD * BLOCK_PRIOR_SD)) / blocks;
  let halvings = 0;
  let low = 0;
  let high = DEVIATIONS_MAX;
  for (let step = 0; step < BISECTIONS; step += 1) {
    const middle = (low + high) / 2;
    if (maximumDecades(middle, 0, unit, blocks) > decades) high = middle;
    else {
      low = middle;
      halvings |= 1 << step;
    }
  }
  FOUND.halvings[place] = halvings;
  FOUND.decades[place] = decades;
  FOUND.blocks[place] = blocks;
  return halvings;
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
