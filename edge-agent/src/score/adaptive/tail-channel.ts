import { maximumDecades, robustDelta, sizeAbove } from './block-maxima.ts';
import { LEARN_SD_MAX, SCALE_N, SCALE_READINGS_MIN } from './parameters.ts';

/**
 * One feature of one sensor, judged by how far it lies from its mean in standard deviations, against the largest such distance of
 * past blocks. The state is {@link TAIL_FIELDS} consecutive numbers of the sensor's row, beginning at `o`.
 *
 * Sizes are kept squared: a reading costs a comparison and two exponentially weighted updates, no root and no logarithm.
 */
const MEAN = 0;
const VARIANCE = 1;
/** Largest squared distance of the current block, in variances. */
const BLOCK_MAX = 2;
const LOG_MEAN = 3;
const LOG_VARIANCE = 4;
/** Squared distance, in variances, above which a reading can score. */
const CANDIDATE = 5;
export const TAIL_FIELDS = 6;

/** Squared distances are cut here: a million standard deviations of a series that was constant are as good as infinite. */
const SQUARE_MAX = 1e12;

/** The state of a feature that was never seen. */
export function clearTail(s: Float64Array, o: number): void {
  s.fill(0, o, o + TAIL_FIELDS);
  s[o + CANDIDATE] = Infinity;
}

/**
 * Scores `features[channel]` of the sensor's `count`-th reading, then learns it. Writes decades above 0 to `decades[channel]` and answers
 * true for a few readings per thousand, else answers false; always for the first ones, which set the scale. `resolutions[channel]` is
 * the smallest distance that means something; `blocks` counts closed blocks.
 */
export function acceptTail(
  s: Float64Array,
  o: number,
  channel: number,
  features: Float64Array,
  resolutions: Float64Array,
  decades: Float64Array,
  blocks: number,
  count: number,
): boolean {
  const distance = features[channel]! - s[o + MEAN]!;
  const square = distance * distance;
  const variance = s[o + VARIANCE]!;
  let scored = false;
  if (count > SCALE_READINGS_MIN) {
    const resolution = resolutions[channel]!;
    const scale = variance + resolution * resolution + Number.MIN_VALUE;
    if (square > s[o + BLOCK_MAX]! * scale) s[o + BLOCK_MAX] = Math.min(square / scale, SQUARE_MAX);
    if (square > s[o + CANDIDATE]! * scale) scored = score(s, o, channel, square / scale, decades, blocks);
  }
  // The first reading has no change, so the second is the first that teaches a scale.
  const known = count - 1;
  if (known === 0) return false;
  const alpha = known < SCALE_N / 2 ? 1 / known : 2 / (SCALE_N + 1);
  // Once the scale is trusted one reading teaches it only so much; a series that was constant has no scale yet, so its first change is
  // learned as it is.
  let learned = distance;
  if (known >= SCALE_READINGS_MIN && square > LEARN_SD_MAX * LEARN_SD_MAX * variance && variance > 0) {
    const bound = LEARN_SD_MAX * Math.sqrt(variance);
    learned = distance > 0 ? bound : -bound;
  }
  s[o + MEAN] = s[o + MEAN]! + alpha * learned;
  s[o + VARIANCE] = (1 - alpha) * (variance + alpha * learned * learned);
  return scored;
}

/** Scores a candidate of that many variances. Apart from the common path, so that the latter stays free of logarithms. */
function score(
  s: Float64Array,
  o: number,
  channel: number,
  square: number,
  decades: Float64Array,
  blocks: number,
): boolean {
  const logSize = Math.log1p(Math.sqrt(Math.min(square, SQUARE_MAX)));
  const found = maximumDecades(logSize, s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, blocks);
  if (found <= 0) return false;
  decades[channel] = found;
  return true;
}

/** Closes a block, the `blocks`-th of the sensor. */
export function closeTailBlock(s: Float64Array, o: number, blocks: number): void {
  const raw = Math.log1p(Math.sqrt(s[o + BLOCK_MAX]!)) - s[o + LOG_MEAN]!;
  const delta = robustDelta(raw, s[o + LOG_VARIANCE]!, blocks);
  s[o + LOG_MEAN] = s[o + LOG_MEAN]! + delta / blocks;
  s[o + LOG_VARIANCE] = s[o + LOG_VARIANCE]! + (delta * delta * (1 - 1 / blocks) - s[o + LOG_VARIANCE]!) / blocks;
  s[o + BLOCK_MAX] = 0;
  const size = sizeAbove(0, s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, blocks);
  s[o + CANDIDATE] = size * size;
}

/** The distance from its mean that the feature usually reaches once per block, in the feature's unit; NaN while unknown. */
export function usualMaximum(s: Float64Array, o: number, blocks: number): number {
  return blocks === 0 ? Number.NaN : Math.expm1(s[o + LOG_MEAN]!) * Math.sqrt(s[o + VARIANCE]!);
}

/** The mean of the feature. */
export const tailMean = (s: Float64Array, o: number): number => s[o + MEAN]!;
