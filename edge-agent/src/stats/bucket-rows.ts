import { type Aggregate, epochMs, type HashSum, MOVING_STATISTICS } from '@floorwatch/contracts';

import type { PastNumbers } from '../state-section.ts';
import { growFloat64 } from './grow.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import type { RollupBucket } from './rollup-buckets.ts';
import { movingStatistics, type SensorStatistics } from './sensor-statistics.ts';

// One bucket's row. Moving statistics that are null are NaN.
const SLOT = 0;
const START = 1;
const N = 2;
const REFERENCE = 3;
const MEAN = 4;
const M2 = 5;
const MIN = 6;
const MAX = 7;
const LAST = 8;
const LAST_AT = 9;
const ANOMALOUS = 10;
const UNCERTAIN = 11;
const HASH_HIGH = 12;
const HASH_LOW = 13;
const MOVING = 14;
/** The sensor's open buckets that were opened before this one and after it; {@link NONE}: there is none. */
const EARLIER = MOVING + MOVING_STATISTICS.length;
const LATER = EARLIER + 1;
/** The bucket with the same start that was opened next. */
const FOLLOWING = LATER + 1;
const FIELDS = FOLLOWING + 1;

/** Stands for no bucket. */
export const NONE = -1;

const TWO_32 = 2 ** 32;

/**
 * Open rollup buckets as rows of numbers, which are used again when a bucket has gone out: a gateway opens thousands a second, and as objects
 * they would live just long enough to be expensive.
 */
export class BucketRows {
  #table = new Float64Array(FIELDS * 64);
  #rows = 0;
  /** The first of the rows that are free, which are linked as those of one start are. */
  #free = NONE;

  /** A row for a new bucket without readings. @param earlier the sensor's bucket that was opened before it. */
  open(slot: number, start: number, earlier: number): number {
    const row = this.#take();
    const t = this.#table;
    const o = row * FIELDS;
    t[o + SLOT] = slot;
    t[o + START] = start;
    t[o + N] = 0;
    for (let moving = 0; moving < MOVING_STATISTICS.length; moving++) t[o + MOVING + moving] = NaN;
    t[o + EARLIER] = earlier;
    t[o + LATER] = NONE;
    if (earlier !== NONE) t[earlier * FIELDS + LATER] = row;
    t[o + FOLLOWING] = NONE;
    return row;
  }

  #take(): number {
    const row = this.#free;
    if (row !== NONE) {
      this.#free = this.following(row);
      return row;
    }
    if ((this.#rows + 1) * FIELDS > this.#table.length) {
      this.#table = growFloat64(this.#table, Math.ceil(this.#table.length * 1.5));
    }
    return this.#rows++;
  }

  /** The bucket is closed; its row holds the next one. */
  release(row: number): void {
    this.follow(row, this.#free);
    this.#free = row;
  }

  slot(row: number): number {
    return this.#table[row * FIELDS + SLOT]!;
  }

  start(row: number): number {
    return this.#table[row * FIELDS + START]!;
  }

  earlier(row: number): number {
    return this.#table[row * FIELDS + EARLIER]!;
  }

  /** Takes a bucket from among those of its sensor. @returns the one that was opened after it. */
  unlink(row: number): number {
    const t = this.#table;
    const earlier = t[row * FIELDS + EARLIER]!;
    const later = t[row * FIELDS + LATER]!;
    if (earlier !== NONE) t[earlier * FIELDS + LATER] = later;
    if (later !== NONE) t[later * FIELDS + EARLIER] = earlier;
    return later;
  }

  following(row: number): number {
    return this.#table[row * FIELDS + FOLLOWING]!;
  }

  follow(row: number, following: number): void {
    this.#table[row * FIELDS + FOLLOWING] = following;
  }

  /** See `addReading` and `addHash` of the contracts, whose sums these are to the bit. */
  add(
    row: number,
    { eventTime, value }: ReadingInHand,
    hash: Readonly<HashSum>,
    anomalous: number,
    uncertain: number,
  ): void {
    const t = this.#table;
    const o = row * FIELDS;
    const n = t[o + N]! + 1;
    t[o + N] = n;
    if (n === 1) {
      t[o + REFERENCE] = value;
      t[o + MEAN] = 0;
      t[o + M2] = 0;
      t[o + MIN] = value;
      t[o + MAX] = value;
      t[o + LAST] = value;
      t[o + LAST_AT] = eventTime;
      t[o + ANOMALOUS] = anomalous;
      t[o + UNCERTAIN] = uncertain;
      t[o + HASH_HIGH] = hash.high;
      t[o + HASH_LOW] = hash.low;
      return;
    }
    const shifted = value - t[o + REFERENCE]!;
    const delta = shifted - t[o + MEAN]!;
    const mean = t[o + MEAN]! + delta / n;
    t[o + MEAN] = mean;
    t[o + M2] = t[o + M2]! + delta * (shifted - mean);
    if (value < t[o + MIN]!) t[o + MIN] = value;
    if (value > t[o + MAX]!) t[o + MAX] = value;
    if (eventTime >= t[o + LAST_AT]!) {
      t[o + LAST] = value;
      t[o + LAST_AT] = eventTime;
    }
    t[o + ANOMALOUS] = t[o + ANOMALOUS]! + anomalous;
    t[o + UNCERTAIN] = t[o + UNCERTAIN]! + uncertain;
    const low = t[o + HASH_LOW]! + hash.low;
    const carry = low >= TWO_32 ? 1 : 0;
    const high = t[o + HASH_HIGH]! + hash.high + carry;
    t[o + HASH_LOW] = low - carry * TWO_32;
    t[o + HASH_HIGH] = high >= TWO_32 ? high - TWO_32 : high;
  }

  /** Notes the moving statistics of the sensor at `slot` after the bucket's last reading. */
  setMoving(row: number, statistics: Pick<SensorStatistics, 'write'>, slot: number): void {
    statistics.write(slot, this.#table, row * FIELDS + MOVING);
  }

  read(row: number): RollupBucket {
    const t = this.#table;
    const o = row * FIELDS;
    const at = (field: number): number => t[o + field]!;
    return {
      slot: at(SLOT),
      start: epochMs(at(START)),
      aggregate: {
        n: at(N),
        reference: at(REFERENCE),
        mean: at(MEAN),
        m2: at(M2),
        min: at(MIN),
        max: at(MAX),
        last: at(LAST),
        lastAt: at(LAST_AT),
        anomalous: at(ANOMALOUS),
        uncertain: at(UNCERTAIN),
      },
      moving: movingStatistics(t, o + MOVING),
      hash: { high: at(HASH_HIGH), low: at(HASH_LOW) },
    };
  }

  /** Makes a row hold what {@link read} gave, but for its links. */
  write(row: number, { aggregate, moving, hash }: RollupBucket): void {
    const t = this.#table;
    const o = row * FIELDS;
    for (const [field, name] of AGGREGATE) t[o + field] = aggregate[name];
    t[o + HASH_HIGH] = hash.high;
    t[o + HASH_LOW] = hash.low;
    for (const [i, name] of MOVING_STATISTICS.entries()) t[o + MOVING + i] = moving[name] ?? NaN;
  }

  /** A copy of all rows, for {@link PastBuckets}. */
  copy(): Float64Array {
    return this.#table.slice(0, this.#rows * FIELDS);
  }
}

/** Open buckets as they were at one moment: rows that were copied as they lay, which takes a tenth of the time that columns take. */
export class PastBuckets {
  readonly length: number;
  readonly #table: Float64Array;
  /** The first bucket of every start, in the order in which they go out within one start of the agent. */
  readonly #firsts: readonly number[];
  /** By slot: the row of its newest bucket. */
  readonly #newest: Int32Array;
  /** Rows in the order of the snapshot; found with the first column that is asked for. */
  #order: Int32Array | undefined;

  constructor(rows: BucketRows, length: number, firsts: readonly number[], newest: Int32Array) {
    this.length = length;
    this.#table = rows.copy();
    this.#firsts = firsts;
    this.#newest = newest;
  }

  get #rows(): Int32Array {
    return (this.#order ??= this.#findOrder());
  }

  #findOrder(): Int32Array {
    const order = new Int32Array(this.length);
    let index = 0;
    for (const first of this.#firsts) {
      for (let row = first; row !== NONE; row = this.#table[row * FIELDS + FOLLOWING]!) order[index++] = row;
    }
    return order;
  }

  #isNewest(row: number): boolean {
    return this.#newest[this.#table[row * FIELDS + SLOT]!] === row;
  }

  /**
   * The columns of a snapshot, by name. `newest` is 1 for a bucket that holds its sensor's newest reading; its moving statistics are NaN: they
   * are what the statistics say.
   */
  columns(): Record<string, PastNumbers> {
    const columns: Record<string, PastNumbers> = {
      slot: this.#column(SLOT),
      start: this.#column(START),
      newest: {
        type: 'uint8',
        length: this.length,
        copyTo: (into, begin) => {
          for (let i = 0; i < into.length; i++) into[i] = this.#isNewest(this.#rows[begin + i]!) ? 1 : 0;
        },
      },
      hash: this.#column(HASH_HIGH, 2),
    };
    for (const [field, name] of AGGREGATE) columns[name] = this.#column(field);
    for (const [place, name] of MOVING_STATISTICS.entries()) columns[name] = this.#column(MOVING + place);
    return columns;
  }

  #column(field: number, fields = 1): PastNumbers {
    return {
      type: 'float64',
      length: this.length * fields,
      copyTo: (into, begin) => {
        for (let i = 0; i < into.length; i++) {
          const row = this.#rows[Math.floor((begin + i) / fields)]!;
          const number = this.#table[row * FIELDS + field + ((begin + i) % fields)]!;
          into[i] = field >= MOVING && this.#isNewest(row) ? NaN : number;
        }
      },
    };
  }
}

/** The fields of an aggregate, in the order of a row and of a snapshot. */
const AGGREGATE = [
  [N, 'n'],
  [REFERENCE, 'reference'],
  [MEAN, 'mean'],
  [M2, 'm2'],
  [MIN, 'min'],
  [MAX, 'max'],
  [LAST, 'last'],
  [LAST_AT, 'lastAt'],
  [ANOMALOUS, 'anomalous'],
  [UNCERTAIN, 'uncertain'],
] as const satisfies readonly (readonly [field: number, name: keyof Aggregate])[];

/** The names of an aggregate's columns in a snapshot. */
export const SUMS = AGGREGATE.map(([, name]) => name);
