import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { MessageQueue } from '../../src/ingest/message-queue.ts';
import { limits } from '../../src/limits.ts';

const message = (topic: string, bytes = 1) => ({
  topic,
  payload: new Uint8Array(bytes),
  receivedAt: epochMs(0),
  retained: false,
});
const never = new AbortController().signal;
const nothing = (): void => undefined;

describe('the queue between broker and pipeline', () => {
  it('hands on all that arrived since the last delivery, in order', async () => {
    const queue = new MessageQueue();
    const deliveries = queue.deliveries(never);
    queue.push(message('1'), nothing);
    queue.push(message('2'), nothing);
    const first = await deliveries.next();
    queue.push(message('3'), nothing);
    const second = await deliveries.next();
    expect(first.value?.items.map(({ topic }) => topic)).toEqual(['1', '2']);
    expect(second.value?.items.map(({ topic }) => topic)).toEqual(['3']);
  });

  it('is full of long topics as of large payloads', async () => {
    const queue = new MessageQueue();
    const topic = 'x'.repeat(limits.payloadBytesMax - 1);
    const count = limits.pendingBytesMax / limits.payloadBytesMax;
    for (let i = 0; i < count; i++) {
      expect(queue.full).toBe(false);
      queue.push(message(topic), nothing);
    }
    expect(queue.full).toBe(true);
    await queue.deliveries(never).next();
    expect(queue.full).toBe(false);
  });

  it('waits for the first message', async () => {
    const queue = new MessageQueue();
    const next = queue.deliveries(never).next();
    queue.push(message('1'), nothing);
    expect((await next).value?.items).toHaveLength(1);
  });

  it.each([-1, 0, 1])('bounds a delivery: limit %d', async (beyond) => {
    const queue = new MessageQueue();
    const count = limits.deliveryReadingsMax + beyond;
    for (let i = 0; i < count; i++) queue.push(message(String(i)), nothing);
    queue.end();
    const sizes: number[] = [];
    for await (const delivery of queue.deliveries(never)) sizes.push(delivery.items.length);
    expect(sizes).toEqual(beyond <= 0 ? [count] : [limits.deliveryReadingsMax, 1]);
  });

  it('bounds a delivery by the readings that its messages may hold, and always takes one message', async () => {
    const queue = new MessageQueue();
    const list = (readings: number): string => `[${Array.from({ length: readings }, () => '{}').join(',')}]`;
    for (const readings of [600, 400, 1, 1_500, 600, 401]) {
      queue.push({ ...message('x'), payload: new TextEncoder().encode(list(readings)) }, nothing);
    }
    queue.end();
    const sizes: number[] = [];
    for await (const delivery of queue.deliveries(never)) sizes.push(delivery.items.length);
    expect(sizes).toEqual([2, 1, 1, 1, 1]);
  });

  it('settles every message of a delivery once, with the error if it is refused', async () => {
    const queue = new MessageQueue();
    const settled: (string | undefined)[] = [];
    queue.push(message('1'), (error) => settled.push(error?.message));
    const deliveries = queue.deliveries(never);
    const first = (await deliveries.next()).value;
    expect(queue.drained).toBe(false);
    await first?.ack();
    expect(queue.drained).toBe(true);
    queue.push(message('2'), (error) => settled.push(error?.message));
    const second = (await deliveries.next()).value;
    await second?.nack(new Error('full'));
    expect(settled).toEqual([undefined, 'full']);
    await expect(second?.ack()).rejects.toThrow('settled once');
  });

  it('is full at its limit of messages and at its limit of bytes, and says when there is room', async () => {
    const byCount = new MessageQueue();
    for (let i = 1; i < limits.pendingMessagesMax; i++) byCount.push(message('t'), nothing);
    expect(byCount.full).toBe(false);
    byCount.push(message('t'), nothing);
    expect(byCount.full).toBe(true);

    let room = 0;
    const byBytes: MessageQueue = new MessageQueue(() => (byBytes.full ? undefined : room++));
    byBytes.push(message('', limits.pendingBytesMax - 1), nothing);
    expect(byBytes.full).toBe(false);
    byBytes.push(message('', 1), nothing);
    expect(byBytes.full).toBe(true);
    await byBytes.deliveries(never).next();
    expect([byBytes.full, room]).toEqual([false, 1]);
  });

  it('holds a sender that has its share, and reads the others', () => {
    const byCount = new MessageQueue();
    const push = (queue: MessageQueue, sender: string, bytes = 1): void =>
      queue.push({ ...message('', bytes), client: sender }, nothing);
    for (let i = 1; i < limits.laneMessagesMax; i++) push(byCount, 'a');
    expect(byCount.isHeld('a')).toBe(false);
    push(byCount, 'a');
    expect([byCount.isHeld('a'), byCount.isHeld('b')]).toEqual([true, false]);

    const byBytes = new MessageQueue();
    push(byBytes, 'a', limits.laneBytesMax - 1);
    expect(byBytes.isHeld('a')).toBe(false);
    push(byBytes, 'a', 1);
    expect([byBytes.isHeld('a'), byBytes.isHeld('b')]).toEqual([true, false]);
  });

  it('when it is full reads only from who has nothing in it, up to twice its limit', () => {
    const queue = new MessageQueue();
    const push = (sender: number): void => queue.push({ ...message('t'), client: `${sender}` }, nothing);
    for (let i = 1; i < limits.pendingMessagesMax; i++) push(i);
    expect(queue.isHeld('1')).toBe(false);
    push(limits.pendingMessagesMax);
    expect([queue.full, queue.isHeld('1'), queue.isHeld('new')]).toEqual([true, true, false]);
    for (let i = 1; i < limits.pendingMessagesMax; i++) push(-i);
    expect(queue.isHeld('new')).toBe(false);
    push(-limits.pendingMessagesMax);
    expect(queue.isHeld('new')).toBe(true);
  });

  it('hands on what waited for room on the way, when there is', async () => {
    const queue = new MessageQueue(nothing, 2);
    const deliveries = queue.deliveries(never);
    const count = limits.turnReadings + 1;
    for (let i = 0; i < count; i++) queue.push({ ...message(`${i}`), client: 'a' }, nothing);
    const first = (await deliveries.next()).value;
    expect(first?.items).toHaveLength(count - 1);
    const second = deliveries.next();
    queue.end();
    await first?.ack();
    expect((await second).value?.items.map(({ topic }) => topic)).toEqual([`${count - 1}`]);
    expect((await deliveries.next()).done).toBe(true);
  });

  it('ends when it was ended and is empty, and at once when the signal aborts', async () => {
    const queue = new MessageQueue();
    queue.push(message('1'), nothing);
    queue.end();
    const all: number[] = [];
    for await (const delivery of queue.deliveries(never)) all.push(delivery.items.length);
    expect(all).toEqual([1]);

    const stop = new AbortController();
    const waiting = new MessageQueue().deliveries(stop.signal).next();
    stop.abort();
    expect((await waiting).done).toBe(true);
  });
});
