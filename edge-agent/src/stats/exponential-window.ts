import { LearnedState } from './learned-state.ts';
import type { MovingStatistic } from './moving-statistic.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import { RowTable } from './row-table.ts';
import type { SensorRows } from './sensor-rows.ts';

// One sensor's row.
const COUNT = 0;
const REFERENCE = 1;
/** Mean of value − reference. */
const MEAN = 2;
const VARIANCE = 3;
const FIELDS = 4;

/** Readings after which the reference moves to the newest one. */
const REFERENCE_READINGS = 64;

/**
 * Exponentially weighted mean and variance of each sensor's readings: the newest weighs α = 2 / (N + 1), each older one (1 − α) times
 * the one after it. The first readings weigh 1/n, so that the beginning is a plain mean and the first reading has no special weight.
 *
 * Source: T. Finch, "Incremental calculation of weighted mean and variance" (2009), section 9.
 */
export class ExponentialWindow implements MovingStatistic {
  readonly state: LearnedState;
  readonly #alpha: number;
  readonly #table: RowTable;

  /** @param readings N, at least 1. */
  constructor(readings: number, rows?: SensorRows) {
    this.#table = new RowTable(FIELDS, rows);
    this.#alpha = 2 / (readings + 1);
    this.state = new LearnedState({ version: 1, basis: { form: 'ew', readings } }, { rows: this.#table });
  }

  reserve(slots: number): void {
    this.#table.reserve(slots);
  }

  add(slot: number, { value }: ReadingInHand): void {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const count = s[o + COUNT]! + 1;
    s[o + COUNT] = count;
    if (count === 1) {
      s[o + REFERENCE] = value;
      return;
    }
    const alpha = Math.max(1 / count, this.#alpha);
    const delta = value - s[o + REFERENCE]! - s[o + MEAN]!;
    const step = alpha * delta;
    const mean = s[o + MEAN]! + step;
    s[o + VARIANCE] = (1 - alpha) * (s[o + VARIANCE]! + delta * step);
    if (count % REFERENCE_READINGS === 0) {
      s[o + MEAN] = mean + (s[o + REFERENCE]! - value);
      s[o + REFERENCE] = value;
    } else {
      s[o + MEAN] = mean;
    }
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
    return s[o + COUNT] === 0 ? NaN : s[o + VARIANCE]!;
  }
}
