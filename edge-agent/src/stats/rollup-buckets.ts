import {
  type Aggregate,
  type EpochMs,
  epochMs,
  type HashSum,
  intervalStart,
  type MovingStatistics,
  ROLLUP_MS,
} from '@floorwatch/contracts';

import type { CapturedSection, StateSection } from '../state-section.ts';
import { BucketRows, NONE, PastBuckets } from './bucket-rows.ts';
import { capacityFor, growInt32 } from './grow.ts';
import { statsLimits } from './limits.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import { bucketsIn, rollupsSection } from './rollup-section.ts';
import type { SensorStatistics } from './sensor-statistics.ts';

/** One sensor's readings in one bucket of {@link ROLLUP_MS} that have not gone out yet. */
export interface RollupBucket {
  readonly slot: number;
  readonly start: EpochMs;
  readonly aggregate: Aggregate;
  /** The sensor's moving statistics after its last reading of the bucket; null values if all of its readings were out of order. */
  readonly moving: MovingStatistics;
  /** The sum of the hashes of its readings. */
  readonly hash: HashSum;
}

/** What says a sensor's moving statistics as they stand. */
type Statistics = Pick<SensorStatistics, 'snapshot' | 'write'>;

/** The buckets of one start, in the order in which they were opened. */
interface Ends {
  first: number;
  last: number;
}

/**
 * The open rollup buckets of all sensors.
 *
 * Invariant: the newest bucket of a slot, if it has one, is the open bucket of the sensor's newest reading. Its moving statistics are not
 * captured with each reading but when the sensor moves on to a later bucket or the bucket closes, whichever is first: until then they are
 * what the statistics say now.
 */
export class RollupBuckets {
  readonly #statistics: Statistics;
  readonly #rows = new BucketRows();
  readonly #byStart = new Map<number, Ends>();
  /** By slot: the newest bucket, and the one opened last, from which the others can be reached. */
  #newest = new Int32Array();
  #latest = new Int32Array();
  #openCount = 0;
  /** End of the earliest open bucket. */
  #firstEnd = Infinity;

  constructor(statistics: Statistics) {
    this.#statistics = statistics;
  }

  get openCount(): number {
    return this.#openCount;
  }

  /** Whether so many buckets are open that all must go out, closed or not. */
  get full(): boolean {
    return this.#openCount >= statsLimits.openBucketsMax;
  }

  /** Adds a reading that is not older than its sensor's newest. To be called before the sensor's statistics learn it. */
  add(slot: number, hand: ReadingInHand, hash: Readonly<HashSum>, anomalous: boolean, uncertain: boolean): void {
    if (slot >= this.#newest.length) this.#reserve(slot + 1);
    let row = this.#newest[slot]!;
    if (row === NONE) {
      row = this.#join(slot, hand.eventTime);
      this.#newest[slot] = row;
    } else if (hand.eventTime - this.#rows.start(row) >= ROLLUP_MS) {
      this.#rows.setMoving(row, this.#statistics, slot);
      // No bucket can be there: none of the sensor's readings is as new.
      row = this.#open(slot, intervalStart(epochMs(hand.eventTime), ROLLUP_MS));
      this.#newest[slot] = row;
    }
    this.#rows.add(row, hand, hash, anomalous ? 1 : 0, uncertain ? 1 : 0);
  }

  /** Adds a reading that is older than its sensor's newest. */
  addOutOfOrder(slot: number, hand: ReadingInHand, hash: Readonly<HashSum>, uncertain: boolean): void {
    if (slot >= this.#newest.length) this.#reserve(slot + 1);
    this.#rows.add(this.#join(slot, hand.eventTime), hand, hash, 0, uncertain ? 1 : 0);
  }

  #reserve(slots: number): void {
    const capacity = capacityFor(slots, this.#newest.length);
    this.#newest = growInt32(this.#newest, capacity, NONE);
    this.#latest = growInt32(this.#latest, capacity, NONE);
  }

  /** The open bucket of a time, or a new one. */
  #join(slot: number, at: number): number {
    const start = intervalStart(epochMs(at), ROLLUP_MS);
    const row = this.#find(slot, start);
    return row === NONE ? this.#open(slot, start) : row;
  }

  /** A sensor has two or three open buckets; more when its readings come hours late or in reverse, and then until the next tick. */
  #find(slot: number, start: number): number {
    let row = this.#latest[slot] ?? NONE;
    while (row !== NONE && this.#rows.start(row) !== start) row = this.#rows.earlier(row);
    return row;
  }

  #open(slot: number, start: number): number {
    const row = this.#rows.open(slot, start, this.#latest[slot]!);
    this.#latest[slot] = row;
    const ends = this.#byStart.get(start);
    if (ends === undefined) {
      this.#byStart.set(start, { first: row, last: row });
      this.#firstEnd = Math.min(this.#firstEnd, start + ROLLUP_MS);
    } else {
      this.#rows.follow(ends.last, row);
      ends.last = row;
    }
    this.#openCount += 1;
    return row;
  }

  /**
   * Closes buckets that end at or before `watermark` (`Infinity`: all) and returns them, earliest first.
   *
   * @param most how many at most. To be called again until there are none: objects of thousands at once would live too long to be cheap.
   */
  closeUntil(watermark: number, most = Infinity): RollupBucket[] {
    if (watermark < this.#firstEnd) return [];
    const starts = [...this.#byStart.keys()].filter((start) => start + ROLLUP_MS <= watermark).sort((a, b) => a - b);
    const closed: RollupBucket[] = [];
    for (const start of starts) {
      for (const row of this.#of(start)) {
        if (closed.length === most) return closed;
        const slot = this.#rows.slot(row);
        if (this.#newest[slot] === row) this.#rows.setMoving(row, this.#statistics, slot);
        closed.push(this.#rows.read(row));
        this.#byStart.get(start)!.first = this.#rows.following(row);
        this.#forget(row);
      }
      this.#byStart.delete(start);
    }
    this.#firstEnd = Infinity;
    for (const start of this.#byStart.keys()) this.#firstEnd = Math.min(this.#firstEnd, start + ROLLUP_MS);
    return closed;
  }

  /** The buckets of a start, each of which may be forgotten when it was given. */
  *#of(start: number): Generator<number> {
    let row = this.#byStart.get(start)?.first ?? NONE;
    while (row !== NONE) {
      const following = this.#rows.following(row);
      yield row;
      row = following;
    }
  }

  /** Takes a bucket from its sensor; its start still has it. */
  #forget(row: number): void {
    const slot = this.#rows.slot(row);
    if (this.#newest[slot] === row) this.#newest[slot] = NONE;
    if (this.#rows.unlink(row) === NONE) this.#latest[slot] = this.#rows.earlier(row);
    this.#rows.release(row);
    this.#openCount -= 1;
  }

  /** The open buckets at this moment. */
  capture(): CapturedSection {
    const firsts = [...this.#byStart.values()].map(({ first }) => first);
    return rollupsSection(new PastBuckets(this.#rows, this.#openCount, firsts, this.#newest.slice()));
  }

  /**
   * Takes up the buckets that a snapshot holds, after the statistics. None may be open.
   *
   * @returns those of another width than {@link ROLLUP_MS}, which can't go on: they are to go out as they are.
   * @throws StateError
   */
  restore(sections: readonly StateSection[]): readonly RollupBucket[] {
    const { bucketMs, buckets } = bucketsIn(sections);
    if (bucketMs !== ROLLUP_MS) {
      return buckets.map(({ bucket, newest }) =>
        newest ? { ...bucket, moving: this.#statistics.snapshot(bucket.slot) } : bucket,
      );
    }
    for (const { bucket, newest } of buckets) {
      const { slot, start } = bucket;
      if (slot >= this.#newest.length) this.#reserve(slot + 1);
      const row = this.#open(slot, start);
      this.#rows.write(row, bucket);
      if (newest) this.#newest[slot] = row;
    }
    return [];
  }

  /** Forgets what is open of one bucket, because it has gone out already; false if nothing is. */
  discard(slot: number, start: EpochMs): boolean {
    const row = this.#find(slot, start);
    const ends = this.#byStart.get(start);
    if (row === NONE || ends === undefined) return false;
    let before = NONE;
    for (const other of this.#of(start)) {
      if (other === row) break;
      before = other;
    }
    const following = this.#rows.following(row);
    if (before === NONE) ends.first = following;
    else this.#rows.follow(before, following);
    if (following === NONE) ends.last = before;
    if (ends.first === NONE) this.#byStart.delete(start);
    this.#forget(row);
    return true;
  }
}
