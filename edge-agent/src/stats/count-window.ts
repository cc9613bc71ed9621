import type { EpochMs } from '@floorwatch/contracts';

import { capacityFor, growFloat64, growUint32 } from './grow.ts';
import type { MovingStatistic } from './moving-statistic.ts';

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
  readonly #size: number;
  #capacity = 0;
  /** `size` raw values per slot. */
  #ring = new Float64Array();
  #count = new Uint32Array();
  /** Position that the next reading overwrites, once the ring is full. */
  #next = new Uint32Array();
  #reference = new Float64Array();
  /** Mean of value − reference. */
  #mean = new Float64Array();
  /** Sum of squared distances from the mean; may be slightly negative between rebuilds. */
  #m2 = new Float64Array();
  /** The largest m2 since the last rebuild: its rounding errors are still in the sums. */
  #m2Peak = new Float64Array();

  /** @param size readings in a full window, at least 1. */
  constructor(size: number) {
    this.#size = size;
  }

  reserve(slots: number): void {
    if (slots <= this.#capacity) return;
    this.#capacity = capacityFor(slots, this.#capacity);
    this.#ring = growFloat64(this.#ring, this.#capacity * this.#size);
    this.#count = growUint32(this.#count, this.#capacity);
    this.#next = growUint32(this.#next, this.#capacity);
    this.#reference = growFloat64(this.#reference, this.#capacity);
    this.#mean = growFloat64(this.#mean, this.#capacity);
    this.#m2 = growFloat64(this.#m2, this.#capacity);
    this.#m2Peak = growFloat64(this.#m2Peak, this.#capacity);
  }

  add(slot: number, _at: EpochMs, value: number): void {
    const count = this.#count[slot]!;
    if (count < this.#size) this.#append(slot, count, value);
    else this.#replaceOldest(slot, value);
  }

  #append(slot: number, count: number, value: number): void {
    this.#ring[slot * this.#size + count] = value;
    this.#count[slot] = count + 1;
    if (count === 0) {
      this.#reference[slot] = value;
      return;
    }
    const shifted = value - this.#reference[slot]!;
    const delta = shifted - this.#mean[slot]!;
    const mean = this.#mean[slot]! + delta / (count + 1);
    this.#mean[slot] = mean;
    this.#m2[slot] = this.#m2[slot]! + delta * (shifted - mean);
    this.#m2Peak[slot] = this.#m2[slot]!;
  }

  #replaceOldest(slot: number, value: number): void {
    const position = this.#next[slot]!;
    const index = slot * this.#size + position;
    const oldest = this.#ring[index]!;
    this.#ring[index] = value;
    if (position + 1 === this.#size) {
      this.#next[slot] = 0;
      this.#rebuild(slot, value);
      return;
    }
    this.#next[slot] = position + 1;
    const reference = this.#reference[slot]!;
    const before = this.#mean[slot]!;
    const delta = value - oldest;
    const mean = before + delta / this.#size;
    const m2 = this.#m2[slot]! + delta * (value - reference - mean + (oldest - reference - before));
    this.#mean[slot] = mean;
    this.#m2[slot] = m2;
    const peak = this.#m2Peak[slot]!;
    if (m2 > peak) this.#m2Peak[slot] = m2;
    else if (m2 < peak * CANCELLATION) this.#rebuild(slot, value);
  }

  /** Two passes over the ring, relative to the newest reading; the second corrects for the rounding of the mean. */
  #rebuild(slot: number, newest: number): void {
    const size = this.#size;
    const ring = this.#ring;
    const begin = slot * size;
    let sum = 0;
    for (let i = begin; i < begin + size; i++) sum += ring[i]! - newest;
    const mean = sum / size;
    let m2 = 0;
    let residual = 0;
    for (let i = begin; i < begin + size; i++) {
      const distance = ring[i]! - newest - mean;
      m2 += distance * distance;
      residual += distance;
    }
    this.#reference[slot] = newest;
    this.#mean[slot] = mean + residual / size;
    this.#m2[slot] = Math.max(0, m2 - (residual * residual) / size);
    this.#m2Peak[slot] = this.#m2[slot]!;
  }

  count(slot: number): number {
    return this.#count[slot]!;
  }

  mean(slot: number): number {
    return this.#count[slot] === 0 ? NaN : this.#reference[slot]! + this.#mean[slot]!;
  }

  deviation(slot: number, value: number): number {
    return this.#count[slot] === 0 ? NaN : value - this.#reference[slot]! - this.#mean[slot]!;
  }

  variance(slot: number): number {
    return Math.max(0, this.#m2[slot]!) / this.#count[slot]!;
  }
}
