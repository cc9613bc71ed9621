import {
  at,
  epochMs,
  type MovingStatistics,
  type RollupPoint,
  rollupStart,
  type RollupsRecord,
} from '@floorwatch/contracts';

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
  /** Start of the newest point. */
  #newest = Number.NEGATIVE_INFINITY;

  constructor(budget: PointBudget) {
    this.#budget = budget;
  }

  get length(): number {
    this.#forgetOld();
    return this.#length;
  }

  /**
   * Adds rollup `of` of a record, or merges it into the point of the same start.
   *
   * @returns the index of its {@link point}, or undefined if it is older than all that is kept.
   */
  add(record: RollupsRecord, of: number): number | undefined {
    const start = rollupStart(record, of);
    if (start < this.#newest) return this.#addLate(start, record, of);
    if (start > this.#newest) {
      if (this.#length === this.#capacity && !this.#makeRoom(start)) this.#dropFirst();
      this.#length += 1;
      this.#newest = start;
      this.#write(this.#length - 1, start, record, of);
    } else this.#merge(this.#length - 1, record, of);
    return this.#length - 1;
  }

  #addLate(start: number, record: RollupsRecord, of: number): number | undefined {
    if (this.#newest - start > serveLimits.historyMs) return undefined;
    this.#forgetOld();
    let index = this.#length;
    while (index > 0 && this.#get(index - 1, COLUMNS.start) > start) index -= 1;
    if (index > 0 && this.#get(index - 1, COLUMNS.start) === start) {
      this.#merge(index - 1, record, of);
      return index - 1;
    }
    if (this.#length === this.#capacity && !this.#makeRoom(this.#newest)) {
      if (index === 0) return undefined;
      this.#dropFirst();
      index -= 1;
    }
    this.#open(index);
    this.#write(index, start, record, of);
    return index;
  }

  /** Whether there is room without dropping a point that is not too old. Where no more can be had, nobody looks how old the first one is. */
  #makeRoom(newest: number): boolean {
    if (this.#capacity === serveLimits.pointsPerSensorMax) return false;
    this.#dropOlderThan(newest - serveLimits.historyMs);
    return this.#length < this.#capacity || this.#grow();
  }

  /** What is too old goes when somebody looks, or when its room is wanted: the first point is far from the cache when one is added. */
  #forgetOld(): void {
    this.#dropOlderThan(this.#newest - serveLimits.historyMs);
  }

  /** Point `index`, counted from the oldest. */
  point(index: number): RollupPoint {
    const value = (column: keyof typeof COLUMNS): number => this.#get(index, COLUMNS[column]);
    return {
      start: epochMs(value('start')),
      n: value('n'),
      mean: value('mean'),
      min: value('min'),
      max: value('max'),
      last: value('last'),
      anomalous: value('anomalous'),
      moving: this.#moving(index),
    };
  }

  /** The moving statistics that came with the newest reading; undefined if the newest point is from before `since`. */
  newestMoving(since: number): MovingStatistics | undefined {
    const newest = this.#length - 1;
    return newest >= 0 && this.#get(newest, COLUMNS.lastAt) >= since ? this.#moving(newest) : undefined;
  }

  #moving(index: number): MovingStatistics {
    const statistic = (column: keyof MovingStatistics): number | null => {
      const number = this.#get(index, COLUMNS[column]);
      return Number.isNaN(number) ? null : number;
    };
    return {
      countMean: statistic('countMean'),
      countSd: statistic('countSd'),
      timeMean: statistic('timeMean'),
      timeSd: statistic('timeSd'),
      ewMean: statistic('ewMean'),
      ewSd: statistic('ewSd'),
    };
  }

  /** The points with `from` ≤ start < `to`, oldest first. */
  points(from: number, to: number): RollupPoint[] {
    this.#forgetOld();
    const found: RollupPoint[] = [];
    for (let index = 0; index < this.#length; index++) {
      const start = this.#get(index, COLUMNS.start);
      if (start >= from && start < to) found.push(this.point(index));
    }
    return found;
  }

  /** When and what the newest `count` points last read, oldest first: enough for a small chart. */
  lasts(count: number): { readonly at: number[]; readonly last: number[] } {
    this.#forgetOld();
    const found: { readonly at: number[]; readonly last: number[] } = { at: [], last: [] };
    for (let index = Math.max(0, this.#length - count); index < this.#length; index++) {
      found.at.push(this.#get(index, COLUMNS.lastAt));
      found.last.push(this.#get(index, COLUMNS.last));
    }
    return found;
  }

  #offset(index: number): number {
    const place = this.#first + index;
    return (place < this.#capacity ? place : place - this.#capacity) * WIDTH;
  }

  #get(index: number, column: number): number {
    return this.#rows[this.#offset(index) + column] ?? Number.NaN;
  }

  #write(index: number, start: number, { columns: c }: RollupsRecord, of: number): void {
    const to = this.#offset(index);
    this.#rows[to + COLUMNS.start] = start;
    this.#rows[to + COLUMNS.n] = c.n[of]!;
    this.#rows[to + COLUMNS.mean] = c.reference[of]! + c.mean[of]!;
    this.#rows[to + COLUMNS.min] = c.min[of]!;
    this.#rows[to + COLUMNS.max] = c.max[of]!;
    this.#rows[to + COLUMNS.last] = c.last[of]!;
    this.#rows[to + COLUMNS.lastAt] = start + c.lastAt[of]!;
    this.#rows[to + COLUMNS.anomalous] = c.anomalous[of]!;
    this.#writeMoving(to, c, of);
  }

  #writeMoving(to: number, { reference, moving }: RollupsRecord['columns'], of: number): void {
    const offset = reference[of]!;
    this.#rows[to + COLUMNS.countMean] = offset + (moving.countMean[of] ?? Number.NaN);
    this.#rows[to + COLUMNS.countSd] = moving.countSd[of] ?? Number.NaN;
    this.#rows[to + COLUMNS.timeMean] = offset + (moving.timeMean[of] ?? Number.NaN);
    this.#rows[to + COLUMNS.timeSd] = moving.timeSd[of] ?? Number.NaN;
    this.#rows[to + COLUMNS.ewMean] = offset + (moving.ewMean[of] ?? Number.NaN);
    this.#rows[to + COLUMNS.ewSd] = moving.ewSd[of] ?? Number.NaN;
  }

  #merge(index: number, record: RollupsRecord, of: number): void {
    const c = record.columns;
    const to = this.#offset(index);
    const set = (column: number, value: number): void => {
      this.#rows[to + column] = value;
    };
    const n = this.#get(index, COLUMNS.n);
    const mean = this.#get(index, COLUMNS.mean);
    const more = at(c.n, of);
    set(COLUMNS.n, n + more);
    set(COLUMNS.mean, mean + ((at(c.reference, of) + at(c.mean, of) - mean) * more) / (n + more));
    set(COLUMNS.min, Math.min(this.#get(index, COLUMNS.min), at(c.min, of)));
    set(COLUMNS.max, Math.max(this.#get(index, COLUMNS.max), at(c.max, of)));
    set(COLUMNS.anomalous, this.#get(index, COLUMNS.anomalous) + at(c.anomalous, of));
    const lastAt = rollupStart(record, of) + at(c.lastAt, of);
    if (lastAt < this.#get(index, COLUMNS.lastAt)) return;
    set(COLUMNS.last, at(c.last, of));
    set(COLUMNS.lastAt, lastAt);
    this.#writeMoving(to, c, of);
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
    this.#first = this.#first + 1 < this.#capacity ? this.#first + 1 : 0;
    this.#length -= 1;
  }

  #grow(): boolean {
    const { pointsPerSensorMin, pointsPerSensorMax } = serveLimits;
    const capacity = this.#capacity === 0 ? pointsPerSensorMin : Math.min(this.#capacity * 2, pointsPerSensorMax);
    if (capacity === this.#capacity) return false;
    if (this.#capacity > 0 && !this.#budget.take(capacity - this.#capacity)) return false;
    const rows = new Float64Array(capacity * WIDTH);
    const begin = this.#first * WIDTH;
    rows.set(this.#rows.subarray(begin));
    rows.set(this.#rows.subarray(0, begin), this.#rows.length - begin);
    this.#rows = rows;
    this.#capacity = capacity;
    this.#first = 0;
    return true;
  }
}
