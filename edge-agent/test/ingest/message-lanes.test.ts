import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Lane, MessageLanes } from '../../src/ingest/message-lanes.ts';
import { limits } from '../../src/limits.ts';

interface Message {
  readonly sender: string | undefined;
  readonly number: number;
  readonly readings: number;
  readonly bytes: number;
}

class Taken {
  readonly lanes: MessageLanes<Message>;
  readonly #open: [Lane<Message>, number][] = [];
  #numbers = 0;

  constructor(openMax = Infinity) {
    this.lanes = new MessageLanes(openMax);
  }

  add(sender: string | undefined, count = 1, readings = 1): void {
    for (let i = 0; i < count; i++) {
      const number = (this.#numbers += 1);
      this.lanes.add(sender, { sender, number, readings, bytes: readings });
    }
  }

  /** Names of the senders of what is taken. */
  take(readingsMax: number = limits.deliveryReadingsMax): Message[] {
    const taken: Message[] = [];
    this.lanes.take(readingsMax, (message, lane) => {
      taken.push(message);
      this.#open.push([lane, message.readings]);
    });
    return taken;
  }

  settle(): void {
    for (const [lane, readings] of this.#open.splice(0)) this.lanes.settle(lane, readings);
  }
}

const senders = (messages: readonly Message[]): string => messages.map(({ sender }) => sender).join('');
const { turnReadings, deliveryReadingsMax } = limits;

describe('lanes of messages', () => {
  it('take turns, so that who sends little does not wait for what others flood', () => {
    const one = new Taken();
    one.add('a', 20_000);
    one.add('b');
    one.add('c', turnReadings + 1);
    const taken = senders(one.take());
    expect(taken).toHaveLength(deliveryReadingsMax);
    expect(taken.startsWith('a'.repeat(turnReadings) + 'b' + 'c'.repeat(turnReadings) + 'a')).toBe(true);
    expect(taken.split('c')).toHaveLength(turnReadings + 2);
  });

  it('give large messages no more than small ones, and do not starve them', () => {
    const one = new Taken();
    one.add('a', 100, 400);
    one.add('b', 5_000);
    const readings = { a: 0, b: 0 };
    while (readings.b < 5_000) for (const { sender, readings: n } of one.take()) readings[sender as 'a' | 'b'] += n;
    expect(readings.a).toBeGreaterThan(4_000);
    expect(readings.a).toBeLessThan(6_000);
  });

  it('take one message in any case, whatever it holds', () => {
    const one = new Taken();
    one.add('a', 2, deliveryReadingsMax + 1);
    expect([one.take().length, one.take().length, one.take().length]).toEqual([1, 1, 0]);
  });

  it('share what is on its way, but the first of everybody is taken, and the rest when that has arrived', () => {
    const one = new Taken(100);
    one.add('a', 500);
    expect(senders(one.take())).toBe('a'.repeat(100));
    expect(one.lanes.isReady).toBe(false);
    one.add('b', 2);
    // Two lanes share now, and a has more than its share.
    expect(senders(one.take())).toBe('bb');
    one.settle();
    one.add('b', 500);
    expect(senders(one.take()).length).toBe(100);
    expect(one.take()).toEqual([]);
  });

  it('of a sender that is not known are bounded by nothing', () => {
    const one = new Taken(10);
    one.add(undefined, 500);
    expect(one.take()).toHaveLength(500);
  });

  it('are forgotten when nothing of them waits or is on its way', () => {
    const one = new Taken();
    one.add('a');
    one.take();
    expect(one.lanes.of('a')).toBeDefined();
    one.settle();
    expect(one.lanes.of('a')).toBeUndefined();
  });

  it('hand on everything once, of each sender in order, whatever is added, taken and settled', () => {
    const step = fc.oneof(
      fc.record({
        add: fc.constantFrom('a', 'b', 'c', undefined),
        count: fc.nat(40),
        readings: fc.integer({ min: 1, max: 60 }),
      }),
      fc.record({ take: fc.integer({ min: 1, max: 50 }) }),
      fc.constant('settle' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 100 }), (steps, openMax) => {
        const one = new Taken(openMax);
        const all: Message[] = [];
        let added = 0;
        for (const each of steps) {
          if (each === 'settle') one.settle();
          else if ('take' in each) all.push(...one.take(each.take));
          else {
            one.add(each.add, each.count, each.readings);
            added += each.count;
          }
          expect(one.lanes.length).toBe(added - all.length);
        }
        while (one.lanes.length > 0) {
          one.settle();
          const taken = one.take();
          expect(taken.length).toBeGreaterThan(0);
          all.push(...taken);
        }
        one.settle();
        expect(new Set(all.map(({ number }) => number)).size).toBe(added);
        for (const sender of ['a', 'b', 'c', undefined]) {
          const numbers = all.filter((message) => message.sender === sender).map(({ number }) => number);
          expect(numbers).toEqual(numbers.toSorted((x, y) => x - y));
          expect(one.lanes.of(sender)).toBeUndefined();
        }
        expect([one.lanes.length, one.lanes.bytes, one.lanes.isReady]).toEqual([0, 0, false]);
      }),
    );
  });
});
