import { addHash, COUNT_MS, epochMs, type HashSum, hashOf, hashText, noHashes } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AcceptedCounts, type AcceptedHour } from '../../src/stats/accepted-counts.ts';
import { ReadingInHand } from '../../src/stats/reading-in-hand.ts';
import { statsLimits } from '../../src/stats/limits.ts';

const NOON = 1_700_000_000_000 - (1_700_000_000_000 % COUNT_MS);
const hand = new ReadingInHand();
const hashAt = (at: number): HashSum => ({
  high: Math.abs(at * 7919) % 2 ** 32,
  low: Math.abs(at * 104_729) % 2 ** 32,
});

/** What was told, the newest of each count, summed by slot and hour. */
function sumOf(told: readonly AcceptedHour[]): Record<string, string> {
  const newest = new Map(told.map((each) => [`${each.slot} ${each.hour} ${each.since}`, each]));
  const sums = new Map<string, { n: number; hash: HashSum }>();
  for (const { slot, hour, n, hash } of newest.values()) {
    const sum = sums.get(`${slot} ${hour}`) ?? { n: 0, hash: noHashes() };
    sum.n += n;
    addHash(sum.hash, hashOf(hash));
    sums.set(`${slot} ${hour}`, sum);
  }
  return Object.fromEntries(Array.from(sums, ([key, { n, hash }]) => [key, `${n} ${hashText(hash)}`]));
}

describe('counts of accepted readings', () => {
  it('add up to every reading, however often hours are told and forgotten, and whatever comes late', () => {
    const step = fc.record({
      slot: fc.nat(2),
      at: fc.integer({ min: -2 * COUNT_MS, max: 0 }),
      ahead: fc.nat(COUNT_MS / 2),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), fc.nat(79), (steps, restart) => {
        let counts = new AcceptedCounts();
        counts.begin('1-00000000');
        const told: AcceptedHour[] = [];
        const readings: AcceptedHour[] = [];
        let watermark = NOON;
        for (const [i, { slot, at, ahead }] of steps.entries()) {
          watermark += ahead;
          const eventTime = watermark + at;
          counts.add(slot, hand.set(eventTime, 0), hashAt(eventTime));
          const hour = epochMs(Math.floor(eventTime / COUNT_MS) * COUNT_MS);
          readings.push({ slot, hour, since: i, n: 1, hash: hashText(hashAt(eventTime))! });
          const taken = counts.take(watermark);
          expect(taken.every((each) => each.hour + COUNT_MS <= watermark)).toBe(true);
          told.push(...taken);
          if (i !== restart) continue;
          const section = counts.snapshot();
          counts = new AcceptedCounts();
          counts.restore([section], 0);
          expect(counts.snapshot()).toEqual(section);
        }
        told.push(...counts.take(watermark + 3 * COUNT_MS));
        expect(sumOf(told)).toEqual(sumOf(readings));
      }),
    );
  });

  it('tell an hour when it is over, and again only when something was added', () => {
    const counts = new AcceptedCounts();
    counts.add(3, hand.set(NOON, 0), hashAt(1));
    expect(counts.take(NOON + COUNT_MS - 1)).toEqual([]);
    expect(counts.take(NOON + COUNT_MS)).toMatchObject([{ slot: 3, hour: NOON, since: 0, n: 1 }]);
    expect(counts.take(NOON + COUNT_MS + 1)).toEqual([]);
    counts.add(3, hand.set(NOON + COUNT_MS - 1, 0), hashAt(2));
    expect(counts.take(NOON + COUNT_MS + 2)).toMatchObject([{ slot: 3, hour: NOON, since: 0, n: 2 }]);
  });

  it('are kept for an hour after the last change, and no longer', () => {
    const counts = new AcceptedCounts();
    const kept = (): number => counts.snapshot().arrays['hours']!.length / 8;
    counts.add(0, hand.set(NOON, 0), hashAt(1));
    counts.take(NOON + COUNT_MS);
    expect(kept()).toBe(1);
    counts.take(NOON + 2 * COUNT_MS - 1);
    expect(kept()).toBe(1);
    counts.take(NOON + 2 * COUNT_MS);
    expect(kept()).toBe(0);
    counts.add(0, hand.set(NOON, 0), hashAt(2));
    expect(counts.take(NOON + 2 * COUNT_MS)).toMatchObject([{ since: 1, n: 1 }]);
  });

  it('are all told and forgotten at the limit', () => {
    const counts = new AcceptedCounts();
    for (let slot = 0; slot < statsLimits.countedHoursMax; slot++) {
      expect(counts.isFull(1)).toBe(false);
      counts.add(slot, hand.set(NOON, 0), hashAt(slot));
    }
    expect(counts.isFull(1)).toBe(true);
    // As many sensors have as many hours all the time.
    expect(counts.isFull(statsLimits.countedHoursMax)).toBe(false);
    expect(counts.take(Infinity)).toHaveLength(statsLimits.countedHoursMax);
    expect(counts.isFull(1)).toBe(false);
    expect(counts.snapshot().arrays['hours']).toHaveLength(0);
  });

  it('say from which hour on they are complete, where an older release ran before', () => {
    const counts = new AcceptedCounts();
    counts.restore([], NOON + 1);
    expect(counts.completeFrom).toBe(NOON + COUNT_MS);
    const fresh = new AcceptedCounts();
    fresh.restore([], -Infinity);
    expect(fresh.completeFrom).toBeUndefined();
  });
});
