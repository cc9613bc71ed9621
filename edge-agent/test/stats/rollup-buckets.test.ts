import {
  NO_STATISTICS,
  epochMs,
  type HashSum,
  limits,
  MOVING_STATISTICS,
  type MovingStatistics,
} from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { statsLimits } from '../../src/stats/limits.ts';
import { ReadingInHand } from '../../src/stats/reading-in-hand.ts';
import { RecentReadings } from '../../src/stats/recent-readings.ts';
import { type RollupBucket, RollupBuckets } from '../../src/stats/rollup-buckets.ts';

const HASH: HashSum = { high: 2 ** 31, low: 2 ** 32 - 1 };

const hand = new ReadingInHand();

/** Statistics that say how many readings of the slot were learned. */
function counting() {
  const learned: number[] = [];
  const statistics = {
    snapshot: (slot: number): MovingStatistics => ({ ...NO_STATISTICS, countMean: learned[slot] ?? 0 }),
    write: (slot: number, into: Float64Array, at: number): void => {
      into.fill(NaN, at, at + MOVING_STATISTICS.length);
      into[at] = learned[slot] ?? 0;
    },
  };
  const buckets = new RollupBuckets(statistics);
  const add = (slot: number, at: number, value = 1): void => {
    buckets.add(slot, hand.set(at, value), HASH, false, false);
    learned[slot] = (learned[slot] ?? 0) + 1;
  };
  return { buckets, add };
}

/** What closes until `watermark`, of which at most `most` buckets at a time. */
function inParts(buckets: RollupBuckets, watermark: number, most: number): RollupBucket[] {
  const closed: RollupBucket[] = [];
  for (let part = buckets.closeUntil(watermark, most); part.length > 0; part = buckets.closeUntil(watermark, most)) {
    expect(part.length).toBeLessThanOrEqual(most);
    closed.push(...part);
  }
  return closed;
}

describe('rollup buckets', () => {
  it.each([
    ['just before its end, a bucket stays open', 19_999, 0],
    ['a watermark exactly at its end closes it', 20_000, 1],
    ['one just behind its end closes it', 20_001, 1],
  ])('%s', (_name, watermark, closed) => {
    const { buckets, add } = counting();
    add(0, 10_000);
    expect(buckets.closeUntil(watermark)).toHaveLength(closed);
    expect(buckets.openCount).toBe(1 - closed);
  });

  it.each([
    [-1, -10_000],
    [0, 0],
    [9_999, 0],
    [10_000, 10_000],
  ])('a reading of %i belongs to the bucket that begins at %i', (at, start) => {
    const { buckets, add } = counting();
    add(0, at);
    expect(buckets.closeUntil(Infinity)).toMatchObject([{ slot: 0, start, aggregate: { n: 1, lastAt: at } }]);
  });

  it('carry the moving statistics after their last reading, however many buckets the sensor has moved on', () => {
    const { buckets, add } = counting();
    for (const at of [1_000, 2_000, 11_000, 12_000, 13_000, 25_000]) add(0, at);
    expect(buckets.closeUntil(Infinity).map(({ moving }) => moving.countMean)).toEqual([2, 5, 6]);
  });

  it('closing while the sensor is in the bucket carries the statistics of that moment, once more if readings follow', () => {
    const { buckets, add } = counting();
    add(0, 1_000);
    add(0, 2_000);
    expect(buckets.closeUntil(10_000)).toMatchObject([{ aggregate: { n: 2 }, moving: { countMean: 2 } }]);
    add(0, 3_000);
    expect(buckets.closeUntil(10_000)).toMatchObject([{ aggregate: { n: 1 }, moving: { countMean: 3 } }]);
  });

  it('out-of-order readings join the open bucket of their time without touching its statistics', () => {
    const { buckets, add } = counting();
    add(0, 1_000, 5);
    add(0, 11_000, 7);
    buckets.addOutOfOrder(0, hand.set(500, -3), HASH, true);
    expect(buckets.closeUntil(10_000)).toMatchObject([
      {
        aggregate: { n: 2, min: -3, max: 5, last: 5, lastAt: 1_000, uncertain: 1, anomalous: 0 },
        moving: { countMean: 1 },
      },
    ]);
  });

  it('a bucket of out-of-order readings alone has no moving statistics', () => {
    const { buckets, add } = counting();
    add(0, 11_000);
    buckets.addOutOfOrder(0, hand.set(500, 1), HASH, false);
    expect(buckets.closeUntil(10_000)).toMatchObject([{ moving: NO_STATISTICS }]);
  });

  it('sum the hashes of their readings modulo 2^64, also of those that are out of order', () => {
    const { buckets, add } = counting();
    add(0, 9_000);
    add(0, 9_001);
    buckets.addOutOfOrder(0, hand.set(500, 1), HASH, false);
    // 3 · 0x80000000ffffffff = 0x1_80000002_fffffffd
    expect(buckets.closeUntil(Infinity)).toMatchObject([{ hash: { high: 0x80000002, low: 0xfffffffd } }]);
  });

  it('count anomalous and uncertain readings', () => {
    const { buckets } = counting();
    buckets.add(0, hand.set(0, 1), HASH, true, true);
    buckets.add(0, hand.set(1, 1), HASH, true, false);
    buckets.add(0, hand.set(2, 1), HASH, false, false);
    expect(buckets.closeUntil(Infinity)).toMatchObject([{ aggregate: { n: 3, anomalous: 2, uncertain: 1 } }]);
  });

  it('hold every reading exactly once, whenever they close and in whatever order readings come', () => {
    const step = fc.record({
      slot: fc.nat(2),
      at: fc.integer({ min: -50_000, max: 50_000 }),
      watermark: fc.option(fc.integer({ min: -60_000, max: 60_000 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), fc.integer({ min: 1, max: 4 }), (steps, most) => {
        const { buckets, add } = counting();
        const newest = new Map<number, number>();
        const closed = [];
        for (const { slot, at, watermark } of steps) {
          if (at >= (newest.get(slot) ?? -Infinity)) {
            newest.set(slot, at);
            add(slot, at);
          } else {
            buckets.addOutOfOrder(slot, hand.set(at, 1), HASH, false);
          }
          if (watermark === undefined) continue;
          const now = inParts(buckets, watermark, most);
          expect(buckets.closeUntil(watermark)).toEqual([]);
          expect(now.every(({ start }) => start + 10_000 <= watermark)).toBe(true);
          expect(now.map(({ start }) => start)).toEqual(now.map(({ start }) => start).sort((a, b) => a - b));
          closed.push(...now);
        }
        closed.push(...buckets.closeUntil(Infinity));
        expect(buckets.openCount).toBe(0);
        const key = (slot: number, at: number): string => `${slot}:${Math.floor(at / 10_000)}`;
        const [expected, actual] = [new Map<string, number>(), new Map<string, number>()];
        for (const { slot, at } of steps) expected.set(key(slot, at), (expected.get(key(slot, at)) ?? 0) + 1);
        for (const { slot, start, aggregate } of closed) {
          actual.set(key(slot, start), (actual.get(key(slot, start)) ?? 0) + aggregate.n);
        }
        expect(actual).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  it('are full at their limit and not before', () => {
    const { buckets, add } = counting();
    for (let slot = 0; slot < statsLimits.openBucketsMax - 1; slot++) add(slot, 0);
    expect(buckets.full).toBe(false);
    add(statsLimits.openBucketsMax, 0);
    expect(buckets.full).toBe(true);
  });
});

describe('recent readings', () => {
  it.each([0, 1, limits.contextReadingsMax - 1, limits.contextReadingsMax, limits.contextReadingsMax + 1, 100])(
    'after %i readings are the last ones, oldest first',
    (n) => {
      const recent = new RecentReadings();
      recent.reserve(2);
      const all = Array.from({ length: n }, (_, i) => ({ at: epochMs(i * 1_000), value: i / 2 }));
      for (const { at, value } of all) {
        recent.add(1, new ReadingInHand().set(at, value));
        recent.add(0, new ReadingInHand().set(at, -1));
      }
      recent.reserve(100);
      expect(recent.list(1)).toEqual(all.slice(-limits.contextReadingsMax));
    },
  );
});
