import { LearnedState } from './learned-state.ts';
import type { MovingStatistic } from './moving-statistic.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import { RowTable } from './row-table.ts';
import type { SensorRows } from './sensor-rows.ts';

// One sensor's row.
const COUNT = 0;
/** Position that the next reading overwrites, once the ring is full. */
const NEXT = 1;
const REFERENCE = 2;
/** Mean of value − reference. */
const MEAN = 3;
/** Sum of squared distances from the mean; may be slightly negative between rebuilds. */
const M2 = 4;
/** The largest m2 since the last rebuild: its rounding errors are still in the sums. */
const M2_PEAK = 5;
/** The raw values, as many as the window has. */
const RING = 6;

/** Rebuild when m2 has fallen to this part of its largest value since the last rebuild. */
const CANCELLATION = 1 / 256;

/**
 * Mean and variance of each sensor's last `size` readings.
 *
 * A full window replaces its oldest reading in constant time (the sliding form of Welford's update). Hazard: subtracting a reading
 * leaves its rounding error behind. So the sums are computed afresh from the ring, in two passes, once per turn of the ring, and
 * at once when m2 has fallen so far that what is left could be mostly error, as when a spike leaves the window.
 *
 * Example with size 3: after 10, 12, 14, 10 the ring holds 10, 12, 14 with position 0 overwritten by the last 10, the next to be
 * overwritten is position 1, and the mean is 12.
 */
export class CountWindow implements MovingStatistic {
  readonly state: LearnedState;
  readonly #size: number;
  readonly #fields: number;
  readonly #table: RowTable;

  /** @param size readings in a full window, at least 1. */
  constructor(size: number, rows?: SensorRows) {
    this.#size = size;
    this.#fields = RING + size;
    this.#table = new RowTable(this.#fields, rows);
    this.state = new LearnedState({ version: 1, basis: { form: 'count', readings: size } }, { rows: this.#table });
  }

  reserve(slots: number): void {
    this.#table.reserve(slots);
  }

  add(slot: number, hand: ReadingInHand): void {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    if (s[o + COUNT]! < this.#size) append(s, o, hand);
    else replaceOldest(s, o, this.#size, hand);
  }

  count(slot: number): number {
    return this.#table.state[this.#table.rowOf(slot) + COUNT]!;
  }

  mean(slot: number): number {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    return s[o + COUNT] === 0 ? NaN : s[o + REFERENCE]! + s[o + MEAN]!;
  }

  deviation(slot: number, value: number): number {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    return s[o + COUNT] === 0 ? NaN : value - s[o + REFERENCE]! - s[o + MEAN]!;
  }

  variance(slot: number): number {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    return Math.max(0, s[o + M2]!) / s[o + COUNT]!;
  }
}

function append(s: Float64Array, o: number, { value }: ReadingInHand): void {
  const count = s[o + COUNT]!;
  s[o + RING + count] = value;
  s[o + COUNT] = count + 1;
  if (count === 0) {
    s[o + REFERENCE] = value;
    return;
  }
  const shifted = value - s[o + REFERENCE]!;
  const delta = shifted - s[o + MEAN]!;
  const mean = s[o + MEAN]! + delta / (count + 1);
  s[o + MEAN] = mean;
  s[o + M2] = s[o + M2]! + delta * (shifted - mean);
  s[o + M2_PEAK] = s[o + M2]!;
}

function replaceOldest(s: Float64Array, o: number, size: number, { value }: ReadingInHand): void {
  const position = s[o + NEXT]!;
  const oldest = s[o + RING + position]!;
  s[o + RING + position] = value;
  if (position + 1 === size) {
    s[o + NEXT] = 0;
    rebuild(s, o, size, value);
    return;
  }
  s[o + NEXT] = position + 1;
  const reference = s[o + REFERENCE]!;
  const before = s[o + MEAN]!;
  const delta = value - oldest;
  const mean = before + delta / size;
  const m2 = s[o + M2]! + delta * (value - reference - mean + (oldest - reference - before));
  s[o + MEAN] = mean;
  s[o + M2] = m2;
  const peak = s[o + M2_PEAK]!;
  if (m2 > peak) s[o + M2_PEAK] = m2;
  else if (m2 < peak * CANCELLATION) rebuild(s, o, size, value);
}

/** Two passes over the ring, relative to the newest reading; the second corrects for the rounding of the mean. */
function rebuild(s: Float64Array, o: number, size: number, newest: number): void {
  const begin = o + RING;
  let sum = 0;
  for (let i = begin; i < begin + size; i++) sum += s[i]! - newest;
  const mean = sum / size;
  let m2 = 0;
  let residual = 0;
  for (let i = begin; i < begin + size; i++) {
    const distance = s[i]! - newest - mean;
    m2 += distance * distance;
    residual += distance;
  }
  s[o + REFERENCE] = newest;
  s[o + MEAN] = mean + residual / size;
  s[o + M2] = Math.max(0, m2 - (residual * residual) / size);
  s[o + M2_PEAK] = s[o + M2]!;
}
