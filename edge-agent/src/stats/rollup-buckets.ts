import {
  NO_STATISTICS,
  addHash,
  addReading,
  type Aggregate,
  aggregateOf,
  type EpochMs,
  type HashSum,
  intervalStart,
  type MovingStatistics,
  ROLLUP_MS,
} from '@floorwatch/contracts';

import type { StateSection } from '../state-section.ts';
import { statsLimits } from './limits.ts';
import { bucketsIn, rollupsSection, type SavedBucket } from './rollup-section.ts';

/** One sensor's readings in one bucket of {@link ROLLUP_MS} that have not gone out yet. */
export interface RollupBucket {
  readonly slot: number;
  readonly start: EpochMs;
  readonly aggregate: Aggregate;
  /** The sensor's moving statistics after its last reading of the bucket; null values if all of its readings were out of order. */
  moving: MovingStatistics;
  /** The sum of the hashes of its readings. */
  readonly hash: HashSum;
}

/**
 * The open rollup buckets of all sensors.
 *
 * Invariant: `#newest[slot]`, if set, is the open bucket of the sensor's newest reading. Its moving statistics are not captured
 * with each reading but when the sensor moves on to a later bucket or the bucket closes, whichever is first: until then they are
 * what the statistics say now.
 */
export class RollupBuckets {
  readonly #statistics: { snapshot(slot: number): MovingStatistics };
  readonly #byStart = new Map<EpochMs, Map<number, RollupBucket>>();
  readonly #newest: (RollupBucket | undefined)[] = [];
  #openCount = 0;
  /** End of the earliest open bucket. */
  #firstEnd = Infinity;

  constructor(statistics: { snapshot(slot: number): MovingStatistics }) {
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
  add(slot: number, at: EpochMs, value: number, hash: Readonly<HashSum>, anomalous: boolean, uncertain: boolean): void {
    const newest = this.#newest[slot];
    if (newest !== undefined && at - newest.start < ROLLUP_MS) {
      addReading(newest.aggregate, value, at, anomalous, uncertain);
      addHash(newest.hash, hash);
      return;
    }
    if (newest !== undefined) newest.moving = this.#statistics.snapshot(slot);
    this.#newest[slot] = this.#join(slot, at, value, hash, anomalous, uncertain);
  }

  /** Adds a reading that is older than its sensor's newest. */
  addOutOfOrder(slot: number, at: EpochMs, value: number, hash: Readonly<HashSum>, uncertain: boolean): void {
    this.#join(slot, at, value, hash, false, uncertain);
  }

  #join(
    slot: number,
    at: EpochMs,
    value: number,
    hash: Readonly<HashSum>,
    anomalous: boolean,
    uncertain: boolean,
  ): RollupBucket {
    const start = intervalStart(at, ROLLUP_MS);
    let buckets = this.#byStart.get(start);
    if (buckets === undefined) {
      buckets = new Map();
      this.#byStart.set(start, buckets);
      this.#firstEnd = Math.min(this.#firstEnd, start + ROLLUP_MS);
    }
    let bucket = buckets.get(slot);
    if (bucket === undefined) {
      const aggregate = aggregateOf(value, at, anomalous, uncertain);
      bucket = { slot, start, aggregate, moving: NO_STATISTICS, hash: { high: hash.high, low: hash.low } };
      buckets.set(slot, bucket);
      this.#openCount += 1;
    } else {
      addReading(bucket.aggregate, value, at, anomalous, uncertain);
      addHash(bucket.hash, hash);
    }
    return bucket;
  }

  /** Closes the buckets that end at or before `watermark` and returns them, earliest first. `Infinity` closes all. */
  closeUntil(watermark: number): RollupBucket[] {
    if (watermark < this.#firstEnd) return [];
    const starts = [...this.#byStart.keys()].filter((start) => start + ROLLUP_MS <= watermark).sort((a, b) => a - b);
    const closed: RollupBucket[] = [];
    for (const start of starts) {
      for (const bucket of this.#byStart.get(start)!.values()) {
        if (this.#newest[bucket.slot] === bucket) {
          bucket.moving = this.#statistics.snapshot(bucket.slot);
          this.#newest[bucket.slot] = undefined;
        }
        closed.push(bucket);
      }
      this.#byStart.delete(start);
    }
    this.#openCount -= closed.length;
    this.#firstEnd = Infinity;
    for (const start of this.#byStart.keys()) this.#firstEnd = Math.min(this.#firstEnd, start + ROLLUP_MS);
    return closed;
  }

  /** A copy of the open buckets. */
  snapshot(): StateSection {
    const buckets: SavedBucket[] = [];
    for (const bySlot of this.#byStart.values()) {
      for (const bucket of bySlot.values()) {
        buckets.push({ bucket, newest: this.#newest[bucket.slot] === bucket });
      }
    }
    return rollupsSection(buckets);
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
      let bySlot = this.#byStart.get(start);
      if (bySlot === undefined) {
        bySlot = new Map();
        this.#byStart.set(start, bySlot);
      }
      bySlot.set(slot, bucket);
      if (newest) this.#newest[slot] = bucket;
      this.#firstEnd = Math.min(this.#firstEnd, start + ROLLUP_MS);
      this.#openCount += 1;
    }
    return [];
  }

  /** Forgets what is open of one bucket, because it has gone out already; false if nothing is. */
  discard(slot: number, start: EpochMs): boolean {
    const bySlot = this.#byStart.get(start);
    const bucket = bySlot?.get(slot);
    if (bySlot === undefined || bucket === undefined) return false;
    if (this.#newest[slot] === bucket) this.#newest[slot] = undefined;
    bySlot.delete(slot);
    this.#openCount -= 1;
    return true;
  }
}
