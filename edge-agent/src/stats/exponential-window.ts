import type { EpochMs } from '@floorwatch/contracts';

import { capacityFor, growFloat64 } from './grow.ts';
import type { MovingStatistic } from './moving-statistic.ts';

/** Readings after which the reference moves to the newest one. */
const REFERENCE_READINGS = 64;

/**
 * Exponentially weighted mean and variance of each sensor's readings: the newest weighs α = 2 / (N + 1), each older one (1 − α) times
 * the one after it. The first readings weigh 1/n, so that the beginning is a plain mean and the first reading has no special weight.
 *
 * Source: T. Finch, "Incremental calculation of weighted mean and variance" (2009), section 9.
 */
export class ExponentialWindow implements MovingStatistic {
  readonly #alpha: number;
  #capacity = 0;
  #count = new Float64Array();
  #reference = new Float64Array();
  /** Mean of value − reference. */
  #mean = new Float64Array();
  #variance = new Float64Array();

  /** @param readings N, at least 1. */
  constructor(readings: number) {
    this.#alpha = 2 / (readings + 1);
  }

  reserve(slots: number): void {
    if (slots <= this.#capacity) return;
    this.#capacity = capacityFor(slots, this.#capacity);
    this.#count = growFloat64(this.#count, this.#capacity);
    this.#reference = growFloat64(this.#reference, this.#capacity);
    this.#mean = growFloat64(this.#mean, this.#capacity);
    this.#variance = growFloat64(this.#variance, this.#capacity);
  }

  add(slot: number, _at: EpochMs, value: number): void {
    const count = this.#count[slot]! + 1;
    this.#count[slot] = count;
    if (count === 1) {
      this.#reference[slot] = value;
      return;
    }
    const alpha = Math.max(1 / count, this.#alpha);
    const delta = value - this.#reference[slot]! - this.#mean[slot]!;
    const step = alpha * delta;
    const mean = this.#mean[slot]! + step;
    this.#variance[slot] = (1 - alpha) * (this.#variance[slot]! + delta * step);
    if (count % REFERENCE_READINGS === 0) {
      this.#mean[slot] = mean + (this.#reference[slot]! - value);
      this.#reference[slot] = value;
    } else {
      this.#mean[slot] = mean;
    }
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
    return this.#count[slot] === 0 ? NaN : this.#variance[slot]!;
  }
}
