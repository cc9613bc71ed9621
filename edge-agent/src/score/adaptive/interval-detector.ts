import { BLOCKS_MIN, learnMaximum, maximumDecades, sizeAbove } from './block-maxima.ts';
import { BLOCK_READINGS, INTERVAL_DECADES_MIN } from './parameters.ts';
import { RowTable } from '../../stats/row-table.ts';
import type { SensorRows } from '../../stats/sensor-rows.ts';

// One sensor's row.
const COUNT = 0;
const LAST_TIME = 1;
/** Moving mean of the interval between readings, N = 100, in milliseconds. */
const INTERVAL_MEAN = 2;
/** Largest interval of the current block over the mean at that time, and the mean and variance of log(1 + it) of past blocks. */
const BLOCK_MAX = 3;
const LOG_MEAN = 4;
const LOG_VARIANCE = 5;
/** Intervals above this many means are improbable. */
const RATIO_MAX = 6;
/** Intervals in the current block, and closed blocks. */
const BLOCK_FILL = 7;
const BLOCKS = 8;
const FIELDS = 9;

/** Below this many usual intervals nobody calls a sensor silent. */
const RATIO_MIN = 4;
/** Before there is a history, silence is ten usual intervals and five times the longest one so far. */
const EARLY_RATIO_MIN = 10;
const EARLY_FACTOR = 5;
/** Intervals before there is a usual one. */
const INTERVALS_MIN = 20;
const MEAN_N = 100;

/**
 * Silence: no reading for longer than the sensor's own cadence allows, as the intervals of past readings tell. The same bound serves
 * the reading that ends a gap ({@link IntervalDetector.accept}) and the clock ({@link IntervalDetector.silentAfter}).
 */
export class IntervalDetector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  /** The state of all sensors. */
  readonly table: RowTable;

  constructor(rows?: SensorRows) {
    this.table = new RowTable(FIELDS, rows, clearRow);
  }

  /** Decades of improbability of the interval that the reading at `times[index]` (epoch ms) ends, 0 if usual. */
  accept(slot: number, times: Float64Array, index: number): number {
    const timeMs = times[index]!;
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    const interval = timeMs - s[o + LAST_TIME]!;
    const first = s[o + COUNT] === 0;
    // Several values of one time are one arrival.
    if (!first && !(interval > 0)) return 0;
    s[o + LAST_TIME] = timeMs;
    const count = s[o + COUNT]! + 1;
    s[o + COUNT] = count;
    if (first) return 0;
    const mean = s[o + INTERVAL_MEAN]!;
    const intervals = count - 1;
    let decades = 0;
    if (intervals > INTERVALS_MIN) {
      if (interval > s[o + BLOCK_MAX]! * mean) s[o + BLOCK_MAX] = interval / mean;
      if (interval > s[o + RATIO_MAX]! * mean) decades = score(s, o, interval / mean);
      const fill = s[o + BLOCK_FILL]! + 1;
      s[o + BLOCK_FILL] = fill;
      if (fill === BLOCK_READINGS) closeBlock(s, o);
    }
    const alpha = Math.max(1 / intervals, 2 / (MEAN_N + 1));
    const learned = intervals > INTERVALS_MIN ? Math.min(interval, RATIO_MIN * mean) : interval;
    s[o + INTERVAL_MEAN] = mean + alpha * (learned - mean);
    return decades;
  }

  /** The instant after which the sensor is silent if no reading comes, epoch ms; Infinity while its cadence is unknown. */
  silentAfter(slot: number): number {
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    if (s[o + COUNT]! - 1 <= INTERVALS_MIN) return Infinity;
    return s[o + LAST_TIME]! + s[o + RATIO_MAX]! * s[o + INTERVAL_MEAN]!;
  }

  /** Event time of the sensor's newest reading, epoch ms; 0 before the first. */
  newestAt(slot: number): number {
    const o = this.table.rowOf(slot);
    return this.table.state[o + LAST_TIME]!;
  }

  /** The usual interval between readings in milliseconds; 0 before the second reading. */
  usualInterval(slot: number): number {
    const o = this.table.rowOf(slot);
    return this.table.state[o + INTERVAL_MEAN]!;
  }

  /** Forgets the sensor in `slot`, so that the slot can be given to another one. */
  forget(slot: number): void {
    this.table.clear(slot);
  }
}

function clearRow(s: Float64Array, o: number): void {
  s.fill(0, o, o + FIELDS);
  s[o + RATIO_MAX] = EARLY_RATIO_MIN;
}

function score(s: Float64Array, o: number, ratio: number): number {
  const blocks = s[o + BLOCKS]!;
  if (blocks >= BLOCKS_MIN) return maximumDecades(Math.log1p(ratio), s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, blocks);
  s[o + RATIO_MAX] = Math.max(s[o + RATIO_MAX]!, EARLY_FACTOR * ratio);
  return INTERVAL_DECADES_MIN;
}

function closeBlock(s: Float64Array, o: number): void {
  const blocks = s[o + BLOCKS]! + 1;
  s[o + BLOCKS] = blocks;
  s[o + BLOCK_FILL] = 0;
  learnMaximum(s, o + BLOCK_MAX, blocks);
  if (blocks < BLOCKS_MIN) return;
  s[o + RATIO_MAX] = Math.max(
    RATIO_MIN,
    sizeAbove(INTERVAL_DECADES_MIN, s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, blocks),
  );
}
