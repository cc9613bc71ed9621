import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { LaneLog } from '../../src/lane-log.ts';

const never = new AbortController().signal;
const item = (bytes: number, fill = 0): Uint8Array => new Uint8Array(bytes).fill(fill);
const numbersOf = (log: LaneLog, from = log.first, bytesMax = 1e9, itemsMax = 1e9): number[] =>
  log.read(from, bytesMax, itemsMax).map(({ number }) => number);

/** What every {@link LaneLog} promises. */
export function laneLogContract(name: string, create: (bytesMax: number) => LaneLog): void {
  describe(`a lane log ${name}`, () => {
    it('numbers items from 1 without holes, and keeps the count when all are released', async () => {
      const log = create(1_000);
      expect([log.first, log.next]).toEqual([1, 1]);
      await log.append([item(1), item(2)]);
      await log.append([item(3)]);
      expect(numbersOf(log)).toEqual([1, 2, 3]);
      log.release(3);
      expect([log.first, log.next, log.bytes]).toEqual([4, 4, 0]);
      await log.append([item(1)]);
      expect(numbersOf(log)).toEqual([4]);
    });

    it('reads as many as fit, and at least one', async () => {
      const log = create(1_000);
      await log.append([item(10), item(10), item(10)]);
      expect(numbersOf(log, 1, 9)).toEqual([1]);
      expect(numbersOf(log, 1, 19)).toEqual([1]);
      expect(numbersOf(log, 1, 20)).toEqual([1, 2]);
      expect(numbersOf(log, 1, 21)).toEqual([1, 2]);
      expect(numbersOf(log, 2, 100, 1)).toEqual([2]);
      expect(numbersOf(log, 4)).toEqual([]);
    });

    it('is full at its limit, still takes the step in hand, and has room when enough is released', async () => {
      const log = create(30);
      await log.append([item(29)]);
      expect(log.full).toBe(false);
      await log.append([item(1)]);
      expect(log.full).toBe(true);
      await log.append([item(5)]);
      expect(log.bytes).toBe(35);
      const room = log.waitForRoom(never);
      log.release(1);
      await room;
      expect([log.full, log.bytes]).toEqual([false, 6]);
    });

    it('wakes who waits for an item or for room, and who gives up', async () => {
      const log = create(10);
      const waiting = log.waitForItem(1, never);
      await log.append([item(10)]);
      await waiting;
      const stop = new AbortController();
      const both = [log.waitForItem(2, stop.signal), log.waitForRoom(stop.signal)];
      stop.abort();
      await Promise.all(both);
      expect([log.next, log.full]).toEqual([2, true]);
    });

    it('ignores a release of what is gone, and releases no more than there is', async () => {
      const log = create(1_000);
      await log.append([item(1), item(1)]);
      log.release(1);
      log.release(1);
      log.release(0);
      expect(numbersOf(log)).toEqual([2]);
      log.release(99);
      expect([log.first, log.next]).toEqual([3, 3]);
    });

    it('gives everything back once, in order, whatever is appended, read and released in between', async () => {
      const step = fc.oneof(
        fc.record({ append: fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 5 }) }),
        fc.record({ take: fc.integer({ min: 1, max: 100 }) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const log = create(1_000_000);
          const sent: number[] = [];
          const seen: number[] = [];
          const take = (bytesMax: number): void => {
            const items = log.read(log.first, bytesMax, 1e9);
            seen.push(...items.map(({ bytes }) => bytes[0] ?? -1));
            log.release(items.at(-1)?.number ?? 0);
          };
          for (const one of steps) {
            if ('take' in one) take(one.take);
            else {
              await log.append(one.append.map((bytes, i) => item(bytes, (sent.length + i) % 251)));
              one.append.forEach(() => sent.push(sent.length % 251));
            }
          }
          take(1e9);
          expect(seen).toEqual(sent);
          expect(log.bytes).toBe(0);
        }),
      );
    });
  });
}
