import { BLOCKS_MIN, learnMaximum, maximumDecades, sizeAbove } from './block-maxima.ts';
import { BLOCK_READINGS, INTERVAL_DECADES_MIN } from './parameters.ts';
import { RowTable } from '../../stats/row-table.ts';
import type { SensorRows } from '../../stats/sensor-rows.ts';

// One sensor's row.
const COUNT = 0;
const LAST_TIME = 1;
/** Moving mean of the interval between arrivals, N = 100, in milliseconds. */
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
/** How much later than it was measured a reading came: the first one (NaN: long ago, or in an absence), and the last one. */
const FIRST_LAG = 9;
const LAST_LAG = 10;
/** How long the device has held readings back before it sent them, in milliseconds. */
const HELD = 11;
/** Readings for which the values of the sensor rest; {@link GAP_ENDS}: the next one ends a gap. */
const REST = 12;
const FIELDS = 13;

/** Below this many usual intervals nobody calls a sensor silent. */
const RATIO_MIN = 4;
/** Before there is a history, silence is ten usual intervals and five times the longest one so far. */
const EARLY_RATIO_MIN = 10;
const EARLY_FACTOR = 5;
/** Intervals before there is a usual one. */
const INTERVALS_MIN = 20;
const MEAN_N = 100;

const GAP_ENDS = -1;
/** However long a gap was, so many readings tell where the process is now. */
const REST_MAX = 30;

/** A device that sends what it has gathered is silent when it has missed a time to do so. */
const HELD_FACTOR = 2;
/** Arrivals in which what was held back is forgotten to a third, and until which a first backlog counts. */
const HELD_N = 1_000;
/** Of what nobody knows how late it came. */
const NO_LAG = Float64Array.of(NaN);

/**
 * Silence: no arrival for longer than the sensor's own cadence allows, as the intervals between past arrivals tell. The same bound serves
 * the arrival that ends a gap ({@link IntervalDetector.accept}) and the clock ({@link IntervalDetector.silentAfter}). Times are milliseconds on
 * one axis of the caller's.
 */
export class IntervalDetector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  /** The state of all sensors. */
  readonly table: RowTable;

  readonly #apartMsMin: number;

  /** @param apartMsMin what comes sooner after an arrival belongs to it; 0: only what comes at the same time. */
  constructor(rows?: SensorRows, apartMsMin = 0) {
    this.table = new RowTable(FIELDS, rows, clearRow);
    this.#apartMsMin = apartMsMin;
  }

  /** Whether anything has come of the sensor. */
  isKnown(slot: number): boolean {
    return this.table.state[this.table.rowOf(slot) + COUNT]! > 0;
  }

  /** The sensor's next reading ends a gap. */
  endGap(slot: number): void {
    this.table.state[this.table.rowOf(slot) + REST] = GAP_ENDS;
  }

  /**
   * Whether the value of a reading is to rest, because of a gap before it: nobody knows how far the process went meanwhile, so it can't be compared with what
   * was. After a gap as many readings rest as it would have had, 30 at most. To be asked once of each reading.
   *
   * @param gapMs since the reading before.
   */
  rests(slot: number, gapMs: number): boolean {
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    let rest = s[o + REST]!;
    if (rest === 0) return false;
    if (rest === GAP_ENDS)
      rest = Math.min(REST_MAX, Math.max(1, Math.ceil(gapMs / Math.max(1, s[o + INTERVAL_MEAN]!))));
    s[o + REST] = rest - 1;
    return true;
  }

  /** An arrival at `times[index]` whose interval says nothing about the sensor: nobody could hear it in between. */
  resume(slot: number, times: Float64Array, index: number): void {
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    if (s[o + COUNT] === 0) s[o + COUNT] = 1;
    s[o + LAST_TIME] = times[index]!;
    s[o + FIRST_LAG] = NaN;
    s[o + LAST_LAG] = NaN;
  }

  /**
   * Decades of improbability of the interval that the arrival at `times[index]` ends, 0 if usual.
   *
   * @param lags how much later than it was measured it came, in milliseconds, as the first element; NaN: nobody knows.
   */
  accept(slot: number, times: Float64Array, index: number, lags: Float64Array = NO_LAG): number {
    const timeMs = times[index]!;
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    const interval = timeMs - s[o + LAST_TIME]!;
    const first = s[o + COUNT] === 0;
    if (lags[0]! > -Infinity) noteLag(s, o, interval, lags);
    // Several values of one time are one arrival.
    if (!first && !(interval > 0 && interval >= this.#apartMsMin)) return 0;
    s[o + LAST_TIME] = timeMs;
    s[o + HELD]! *= 1 - 1 / HELD_N;
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

  /** The time after which the sensor is silent if nothing comes; Infinity while its cadence is unknown. */
  silentAfter(slot: number): number {
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    if (s[o + COUNT]! - 1 <= INTERVALS_MIN) return Infinity;
    return s[o + LAST_TIME]! + Math.max(s[o + RATIO_MAX]! * s[o + INTERVAL_MEAN]!, HELD_FACTOR * s[o + HELD]!);
  }

  /** The time of the sensor's last arrival; 0 before the first. */
  newestAt(slot: number): number {
    const o = this.table.rowOf(slot);
    return this.table.state[o + LAST_TIME]!;
  }

  /** The usual interval between arrivals in milliseconds; 0 before the second. */
  usualInterval(slot: number): number {
    const o = this.table.rowOf(slot);
    return this.table.state[o + INTERVAL_MEAN]!;
  }

  /** Forgets the sensor in `slot`, so that the slot can be given to another one. */
  forget(slot: number): void {
    this.table.clear(slot);
  }
}

/**
 * Learns how long the device holds readings back: after a gap they are older than before it, by no more than the gap; and the first that ever came
 * may have been held back already.
 */
function noteLag(s: Float64Array, o: number, interval: number, lags: Float64Array): void {
  const lag = lags[0]!;
  const count = s[o + COUNT]!;
  if (count === 0) s[o + FIRST_LAG] = lag;
  else if (count > HELD_N) s[o + FIRST_LAG] = NaN;
  const held = Math.max(0, s[o + FIRST_LAG]! - lag || 0, Math.min(interval, lag - s[o + LAST_LAG]!) || 0);
  if (held > s[o + HELD]!) s[o + HELD] = held;
  s[o + LAST_LAG] = lag;
}

function clearRow(s: Float64Array, o: number): void {
  s.fill(0, o, o + FIELDS);
  s[o + FIRST_LAG] = NaN;
  s[o + LAST_LAG] = NaN;
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
