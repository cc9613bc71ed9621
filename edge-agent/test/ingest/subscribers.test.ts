import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { parser } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';

import type { SubscriberSocket } from '../../src/ingest/subscriber-queue.ts';
import { Subscribers } from '../../src/ingest/subscribers.ts';
import { limits } from '../../src/limits.ts';

/** A connection that reads when it is told to. */
class FakeSocket extends EventEmitter {
  destroyed = false;
  writableNeedDrain = false;
  isReading = true;
  /** Bytes that nobody has read. */
  unread = 0;
  readonly topics: string[] = [];
  readonly #parser = parser();
  #taken: (() => void)[] = [];

  constructor() {
    super();
    this.#parser.on('packet', (packet) => this.topics.push(packet.cmd === 'publish' ? packet.topic : packet.cmd));
  }

  write(bytes: Buffer, done: () => void): boolean {
    if (this.isReading) {
      this.#parser.parse(bytes);
      setImmediate(done);
      return true;
    }
    this.unread += bytes.length;
    this.#taken.push(done);
    this.writableNeedDrain = true;
    return false;
  }

  readAll(): void {
    this.isReading = true;
    this.writableNeedDrain = false;
    this.unread = 0;
    const taken = this.#taken;
    this.#taken = [];
    for (const done of taken) done();
    this.emit('drain');
  }

  destroy(): void {
    this.destroyed = true;
    const taken = this.#taken;
    this.#taken = [];
    for (const done of taken) done();
    this.emit('close');
  }
}

/** Subscribers with a clock that stands still, and what they refused, counted as `reason who`. */
class Bench {
  now = 0;
  readonly refused = new Map<string, number>();
  readonly subscribers = new Subscribers(
    (reason, who) => {
      const key = `${reason} ${who}`;
      this.refused.set(key, (this.refused.get(key) ?? 0) + 1);
    },
    () => this.now,
  );

  subscribe(who: string, ...filters: string[]): FakeSocket {
    const socket = new FakeSocket();
    for (const filter of filters) this.add(socket, filter, who);
    return socket;
  }

  add(socket: FakeSocket, filter: string, who = 'someone'): boolean {
    return this.subscribers.add(socket as unknown as SubscriberSocket, filter, () => who);
  }

  publish(topic: string, payload = ''): void {
    this.subscribers.publish({ topic, payload }, () => 'publisher');
  }
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await nextTurn();
};

describe('subscribers', () => {
  it('get each message once however many of their filters match, and none of the broker’s own or of those that were shortened', async () => {
    const bench = new Bench();
    const all = bench.subscribe('all', '#', 'a/#', 'a/+');
    const some = bench.subscribe('some', 'a/+/c', 'x//y');
    const long = 'x'.repeat(limits.payloadBytesMax + 1);
    for (const topic of ['a', 'a/b', 'a/b/c', '$SYS/a', 'x//y']) bench.publish(topic);
    bench.publish('a/long', long);
    bench.publish('a/fits', long.slice(1));
    await turns(3);
    expect(all.topics).toEqual(['a', 'a/b', 'a/b/c', 'x//y', 'a/fits']);
    expect(some.topics).toEqual(['a/b/c', 'x//y']);
  });

  it('get nothing more when they unsubscribe or leave', async () => {
    const bench = new Bench();
    const one = bench.subscribe('one', 'a', 'b');
    const other = bench.subscribe('other', 'a');
    bench.subscribers.remove(one as unknown as SubscriberSocket, 'a');
    other.destroy();
    for (const topic of ['a', 'b']) bench.publish(topic);
    await turns(3);
    expect([one.topics, other.topics]).toEqual([['b'], []]);
    expect(bench.subscribers.size).toBe(1);
  });

  it('that do not read lose messages beyond a bound, then their connection; the others get everything', async () => {
    const bench = new Bench();
    const stalled = bench.subscribe('stalled', '#');
    const good = bench.subscribe('good', '#');
    stalled.isReading = false;
    const payload = 'x'.repeat(1_000);
    const count = (4 * limits.unsentPerSubscriberBytesMax) / payload.length;
    let sent = 0;
    const publishSome = async (): Promise<void> => {
      for (let i = 0; i < count; i += 100) {
        for (let j = 0; j < 100; j++) bench.publish(`a/${(sent += 1)}`, payload);
        await turns(3);
      }
    };
    await publishSome();
    const dropped = bench.refused.get('subscriber-slow stalled') ?? 0;
    expect(dropped).toBeGreaterThan(count / 2);
    expect(stalled.unread).toBeLessThanOrEqual(limits.unsentPerSubscriberBytesMax);
    expect(stalled.destroyed).toBe(false);
    bench.now = limits.subscriberStalledMs - 1;
    bench.publish('a/before', payload);
    await turns(3);
    expect(stalled.destroyed).toBe(false);
    bench.now = limits.subscriberStalledMs;
    bench.publish('a/at', payload);
    await turns(3);
    expect(stalled.destroyed).toBe(true);
    expect(bench.refused.get('subscriber-stalled stalled')).toBe(1);
    expect(good.topics).toHaveLength(sent + 2);
    expect([...bench.refused.keys()]).toEqual(['subscriber-slow stalled', 'subscriber-stalled stalled']);
  });

  it('that read again in time keep their connection, and get what fitted in order', async () => {
    const bench = new Bench();
    const slow = bench.subscribe('slow', '#');
    slow.isReading = false;
    const payload = 'x'.repeat(10_000);
    for (let i = 0; i < 40; i++) bench.publish(`${i}`, payload);
    await turns(3);
    expect(bench.refused.get('subscriber-slow slow')).toBeGreaterThan(0);
    bench.now = limits.subscriberStalledMs - 1;
    slow.readAll();
    await turns(3);
    bench.now = 10 * limits.subscriberStalledMs;
    bench.publish('after', payload);
    await turns(3);
    expect(slow.topics.at(-1)).toBe('after');
    expect(slow.destroyed).toBe(false);
  });

  it('together hold no more than their bound, and one that keeps up still gets everything then', async () => {
    const bench = new Bench();
    const count = (3 * limits.unsentBytesMax) / limits.unsentPerSubscriberBytesMax;
    const stalled = Array.from({ length: count }, (_, i) => bench.subscribe(`stalled ${i}`, '#'));
    for (const one of stalled) one.isReading = false;
    const payload = 'x'.repeat(50_000);
    for (let i = 0; i < 10; i++) {
      bench.publish(`${i}`, payload);
      await turns(3);
    }
    const good = bench.subscribe('good', '#');
    for (let i = 0; i < 10; i++) {
      bench.publish(`good/${i}`, payload);
      await turns(3);
    }
    expect(good.topics).toHaveLength(10);
    // Nobody holds back what the bound of one would allow.
    expect(bench.refused.get('subscriber-slow stalled 0')).toBeGreaterThan(10);
  });

  it('never make a publisher wait: what can’t be passed on in time is dropped and counted', async () => {
    const bench = new Bench();
    const subscribers = Array.from({ length: 50 }, (_, i) => bench.subscribe(`${i}`, '#'));
    for (let i = 0; i < limits.deliveryQueueMax + 1; i++) bench.publish(`${i}`);
    expect(bench.refused.get('subscribers-busy publisher')).toBe(1);
    expect(subscribers[0]?.topics).toEqual([]);
    await turns(1);
    const delivered = subscribers.reduce((sum, { topics }) => sum + topics.length, 0);
    expect(delivered).toBe(limits.deliveriesPerTurnMax);
    await turns((50 * limits.deliveryQueueMax) / limits.deliveriesPerTurnMax);
    expect(subscribers.map(({ topics }) => topics.length)).toEqual(
      Array.from({ length: 50 }, () => limits.deliveryQueueMax),
    );
  });

  it('have a bound of filters each and in all, and of a filter’s length; what one leaves another can take', () => {
    const bench = new Bench();
    const one = new FakeSocket();
    for (let i = 0; i < limits.subscriptionsPerClientMax; i++) expect(bench.add(one, `${i}`)).toBe(true);
    expect(bench.add(one, 'more')).toBe(false);
    expect(bench.add(one, '0')).toBe(true);
    const others = Array.from(
      { length: limits.subscriptionsMax / limits.subscriptionsPerClientMax - 1 },
      () => new FakeSocket(),
    );
    for (const other of others) {
      for (let i = 0; i < limits.subscriptionsPerClientMax; i++) expect(bench.add(other, `${i}`)).toBe(true);
    }
    const last = new FakeSocket();
    expect(bench.add(last, 'a', 'last')).toBe(false);
    one.destroy();
    expect(bench.add(last, 'a', 'last')).toBe(true);
    expect(bench.add(last, 'x'.repeat(limits.filterLengthMax), 'last')).toBe(true);
    expect(bench.add(last, 'x'.repeat(limits.filterLengthMax + 1), 'last')).toBe(false);
    expect(Object.fromEntries(bench.refused)).toEqual({
      'subscriptions-client someone': 1,
      'subscriptions-all last': 1,
      'filter-too-long last': 1,
    });
  });
});
