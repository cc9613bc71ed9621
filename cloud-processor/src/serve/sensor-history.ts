import type { Aggregate, MovingStatistics, RollupPoint } from '@floorwatch/contracts';
import { epochMs, meanOf } from '@floorwatch/contracts';

import { serveLimits } from './limits.ts';

/** One row of the ring. `lastAt` is there because a late rollup of the same bucket must not replace a newer `last`. */
const COLUMNS = {
  start: 0,
  n: 1,
  mean: 2,
  min: 3,
  max: 4,
  last: 5,
  lastAt: 6,
  anomalous: 7,
  countMean: 8,
  countSd: 9,
  timeMean: 10,
  timeSd: 11,
  ewMean: 12,
  ewSd: 13,
} as const;
const WIDTH = 14;

/** Grants the memory that rings share. */
export interface PointBudget {
  /** Takes `points` out of the budget, or answers false and takes none. */
  take(points: number): boolean;
}

/**
 * The newest points of one sensor, oldest first, without a gap between equal starts: a ring of numbers, because objects would need
 * five times the memory. It grows from {@link serveLimits.pointsPerSensorMin} by doubling while the budget lasts.
 */
export class SensorHistory {
  readonly #budget: PointBudget;
  #rows = new Float64Array(0);
  #capacity = 0;
  #first = 0;
  #length = 0;

  constructor(budget: PointBudget) {
    this.#budget = budget;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Adds a rollup, or merges it into the point of the same start.
   *
   * @returns the index of its {@link point}, or undefined if it is older than all that is kept.
   */
  add(start: number, aggregate: Readonly<Aggregate>, moving: MovingStatistics): number | undefined {
    let index = this.#length;
    while (index > 0 && this.#get(index - 1, COLUMNS.start) > start) index -= 1;
    if (index > 0 && this.#get(index - 1, COLUMNS.start) === start) {
      this.#merge(index - 1, aggregate, moving);
      return index - 1;
    }
    const newest = this.#length > 0 ? this.#get(this.#length - 1, COLUMNS.start) : start;
    if (newest - start > serveLimits.historyMs) return undefined;
    if (index === this.#length) {
      this.#dropOlderThan(start - serveLimits.historyMs);
      index = this.#length;
    }
    if (this.#length === this.#capacity && !this.#grow()) {
      if (index === 0) return undefined;
      this.#dropFirst();
      index -= 1;
    }
    this.#open(index);
    this.#write(index, start, aggregate, moving);
    return index;
  }

  /** Point `index`, counted from the oldest. */
  point(index: number): RollupPoint {
    const value = (column: keyof typeof COLUMNS): number => this.#get(index, COLUMNS[column]);
    const statistic = (column: keyof MovingStatistics): number | null => {
      const number = value(column);
      return Number.isNaN(number) ? null : number;
    };
    return {
      start: epochMs(value('start')),
      n: value('n'),
      mean: value('mean'),
      min: value('min'),
      max: value('max'),
      last: value('last'),
      anomalous: value('anomalous'),
      moving: {
        countMean: statistic('countMean'),
        countSd: statistic('countSd'),
        timeMean: statistic('timeMean'),
        timeSd: statistic('timeSd'),
        ewMean: statistic('ewMean'),
        ewSd: statistic('ewSd'),
      },
    };
  }

  /** The points with `from` ≤ start < `to`, oldest first. */
  points(from: number, to: number): RollupPoint[] {
    const found: RollupPoint[] = [];
    for (let index = 0; index < this.#length; index++) {
      const start = this.#get(index, COLUMNS.start);
      if (start >= from && start < to) found.push(this.point(index));
    }
    return found;
  }

  /** When and what the newest `count` points last read, oldest first: enough for a small chart. */
  lasts(count: number): { readonly at: number[]; readonly last: number[] } {
    const at: number[] = [];
    const last: number[] = [];
    for (let index = Math.max(0, this.#length - count); index < this.#length; index++) {
      at.push(this.#get(index, COLUMNS.lastAt));
      last.push(this.#get(index, COLUMNS.last));
    }
    return { at, last };
  }

  #offset(index: number): number {
    return ((this.#first + index) % this.#capacity) * WIDTH;
  }

  #get(index: number, column: number): number {
    return this.#rows[this.#offset(index) + column] ?? Number.NaN;
  }

  #write(index: number, start: number, a: Readonly<Aggregate>, m: MovingStatistics): void {
    const at = this.#offset(index);
    this.#rows[at + COLUMNS.start] = start;
    this.#rows[at + COLUMNS.n] = a.n;
    this.#rows[at + COLUMNS.mean] = meanOf(a);
    this.#rows[at + COLUMNS.min] = a.min;
    this.#rows[at + COLUMNS.max] = a.max;
    this.#rows[at + COLUMNS.last] = a.last;
    this.#rows[at + COLUMNS.lastAt] = a.lastAt;
    this.#rows[at + COLUMNS.anomalous] = a.anomalous;
    this.#writeMoving(at, m);
  }

  #writeMoving(at: number, m: MovingStatistics): void {
    this.#rows[at + COLUMNS.countMean] = m.countMean ?? Number.NaN;
    this.#rows[at + COLUMNS.countSd] = m.countSd ?? Number.NaN;
    this.#rows[at + COLUMNS.timeMean] = m.timeMean ?? Number.NaN;
    this.#rows[at + COLUMNS.timeSd] = m.timeSd ?? Number.NaN;
    this.#rows[at + COLUMNS.ewMean] = m.ewMean ?? Number.NaN;
    this.#rows[at + COLUMNS.ewSd] = m.ewSd ?? Number.NaN;
  }

  #merge(index: number, from: Readonly<Aggregate>, moving: MovingStatistics): void {
    const at = this.#offset(index);
    const set = (column: number, value: number): void => {
      this.#rows[at + column] = value;
    };
    const n = this.#get(index, COLUMNS.n);
    const mean = this.#get(index, COLUMNS.mean);
    set(COLUMNS.n, n + from.n);
    set(COLUMNS.mean, mean + ((meanOf(from) - mean) * from.n) / (n + from.n));
    set(COLUMNS.min, Math.min(this.#get(index, COLUMNS.min), from.min));
    set(COLUMNS.max, Math.max(this.#get(index, COLUMNS.max), from.max));
    set(COLUMNS.anomalous, this.#get(index, COLUMNS.anomalous) + from.anomalous);
    if (from.lastAt < this.#get(index, COLUMNS.lastAt)) return;
    set(COLUMNS.last, from.last);
    set(COLUMNS.lastAt, from.lastAt);
    this.#writeMoving(at, moving);
  }

  /** Makes room for a row at `index` by moving the newer ones; nearly always there are none. */
  #open(index: number): void {
    this.#length += 1;
    for (let to = this.#length - 1; to > index; to--) {
      const from = this.#offset(to - 1);
      this.#rows.copyWithin(this.#offset(to), from, from + WIDTH);
    }
  }

  #dropOlderThan(start: number): void {
    while (this.#length > 0 && this.#get(0, COLUMNS.start) < start) this.#dropFirst();
  }

  #dropFirst(): void {
    this.#first = (this.#first + 1) % this.#capacity;
    this.#length -= 1;
  }

  #grow(): boolean {
    const { pointsPerSensorMin, pointsPerSensorMax } = serveLimits;
    const capacity = this.#capacity === 0 ? pointsPerSensorMin : Math.min(this.#capacity * 2, pointsPerSensorMax);
    if (capacity === this.#capacity) return false;
    if (this.#capacity > 0 && !this.#budget.take(capacity - this.#capacity)) return false;
    const rows = new Float64Array(capacity * WIDTH);
    for (let index = 0; index < this.#length; index++) {
      const from = this.#offset(index);
      rows.set(this.#rows.subarray(from, from + WIDTH), index * WIDTH);
    }
    this.#rows = rows;
    this.#capacity = capacity;
    this.#first = 0;
    return true;
  }
}
