import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { CONNECTION_ENDED, InFlight } from '../../src/ingest/in-flight.ts';
import type { Settle } from '../../src/ingest/message-queue.ts';

const message = (topic: string, text: string) => ({
  topic,
  payload: new TextEncoder().encode(text),
  receivedAt: epochMs(0),
  retained: false,
});

/** What was let through, in order, and the way to settle it. */
class Passed {
  readonly texts: string[] = [];
  readonly settles = new Map<string, Settle>();
  rooms = 0;
  readonly inFlight = new InFlight(
    2,
    ({ payload }, settle) => {
      const text = new TextDecoder().decode(payload);
      this.texts.push(text);
      this.settles.set(text, settle);
    },
    () => (this.rooms += 1),
  );
  readonly heard: string[] = [];

  accept(topic: string, text: string, gated = true): void {
    this.inFlight.accept(message(topic, text), gated, (error) => {
      this.heard.push(`${text} ${error === undefined ? 'safe' : error.message}`);
    });
  }
}

describe('messages in flight', () => {
  it('count by the readings that they may hold, and one is always let through', () => {
    const passed = new Passed();
    const many = '[{},{},{}]';
    for (const text of [many, 'a2', 'a3', 'a4']) passed.accept('a', text);
    expect(passed.texts).toEqual([many]);
    passed.settles.get(many)?.();
    expect(passed.texts).toEqual([many, 'a2', 'a3']);
    passed.accept('a', '[{},{}]');
    passed.settles.get('a2')?.();
    expect(passed.texts.at(-1)).toBe('a4');
    passed.settles.get('a3')?.();
    // One is on its way, and the list has two.
    expect(passed.texts.at(-1)).toBe('a4');
    passed.settles.get('a4')?.();
    expect(passed.texts.at(-1)).toBe('[{},{}]');
  });

  it('are let through up to the limit of their topic, and the rest in order as others are settled', () => {
    const passed = new Passed();
    for (const text of ['a1', 'a2', 'a3', 'b1', 'a4']) passed.accept(text.slice(0, 1), text);
    // b1 keeps its place behind a3: a device hears of its messages in the order in which it sent them.
    expect(passed.texts).toEqual(['a1', 'a2']);
    expect(passed.inFlight.holding).toBe(true);
    passed.settles.get('a1')?.();
    expect(passed.texts).toEqual(['a1', 'a2', 'a3', 'b1']);
    expect([passed.inFlight.holding, passed.rooms]).toEqual([true, 0]);
    passed.settles.get('a2')?.();
    expect(passed.texts.at(-1)).toBe('a4');
    expect([passed.inFlight.holding, passed.rooms]).toEqual([false, 1]);
    expect(passed.heard).toEqual(['a1 safe', 'a2 safe']);
  });

  it('have no limit where nobody repeats them', () => {
    const passed = new Passed();
    for (let i = 0; i < 5; i++) passed.accept('a', `${i}`, false);
    expect(passed.texts).toHaveLength(5);
  });

  it('are forgotten with their connection if they wait and will be repeated', () => {
    const passed = new Passed();
    for (const text of ['a1', 'a2', 'a3']) passed.accept('a', text);
    passed.accept('a', 'once', false);
    passed.inFlight.close();
    expect(passed.texts).toEqual(['a1', 'a2', 'once']);
    expect(passed.heard).toEqual([`a3 ${CONNECTION_ENDED.message}`]);
    passed.settles.get('a1')?.();
    expect(passed.texts).toHaveLength(3);
  });

  it('are forgotten too if they are read when their connection has ended, but for what nobody repeats', () => {
    const passed = new Passed();
    for (const text of ['a1', 'a2', 'a3']) passed.accept('a', text);
    passed.inFlight.close();
    passed.accept('b', 'b1');
    passed.accept('b', 'b2', false);
    passed.settles.get('a1')?.();
    passed.accept('a', 'a4');
    expect(passed.texts).toEqual(['a1', 'a2', 'b2']);
    const ended = CONNECTION_ENDED.message;
    expect(passed.heard).toEqual([`a3 ${ended}`, `b1 ${ended}`, 'a1 safe', `a4 ${ended}`]);
  });

  it('do not leave topics behind without an end, however long these are', () => {
    const passed = new Passed();
    for (let i = 0; i < 100; i++) {
      passed.accept(`${i}/${'x'.repeat(10_000)}`, `${i}`);
      passed.settles.get(`${i}`)?.();
    }
    expect(passed.inFlight.characters).toBeLessThan(100_000);
    // A topic that is not remembered counts again from nothing.
    for (const text of ['a1', 'a2', 'a3']) passed.accept('a', text);
    expect(passed.texts.slice(-2)).toEqual(['a1', 'a2']);
    passed.settles.get('a1')?.();
    expect(passed.texts.at(-1)).toBe('a3');
  });

  it('let nothing through behind one that was refused', () => {
    const passed = new Passed();
    for (const text of ['a1', 'a2', 'a3', 'a4']) passed.accept('a', text);
    passed.settles.get('a1')?.(new Error('the disk is full'));
    passed.settles.get('a2')?.(new Error('the disk is full'));
    expect(passed.texts).toEqual(['a1', 'a2']);
    expect(passed.inFlight.holding).toBe(false);
  });
});
