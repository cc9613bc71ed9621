import type { Predecessor } from '@floorwatch/contracts';
import { expect } from 'vitest';

import type { LanePart, LaneSpool } from '../../src/lane-spool.ts';
import { rollupItem, startItem } from './spooled-items.ts';

interface ModelItem {
  readonly epoch: string;
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly readings: number;
  /** Start of its bucket; undefined: it has no readings. */
  readonly bucket: number | undefined;
}

/** What a lane must hold: everything that was appended, with the numbers that it must have. */
export class LaneSpoolModel {
  /** The item at position p is at p − 1. */
  items: ModelItem[] = [];
  /** Taken together by appends whose outcome is not known: they are there, or not, whole. */
  #unknown: ModelItem[] | undefined;
  readonly sent = new Set<number>();
  #starts = 0;

  get next(): number {
    return this.items.length + 1;
  }

  #predecessorOf(epoch: string): Predecessor {
    const first = this.items.findIndex((item) => item.epoch === epoch);
    const before = this.items[(first === -1 ? this.items.length : first) - 1];
    return before === undefined ? null : { epoch: before.epoch, last: before.number };
  }

  /** Appends `count` items, the first of them a start record if `starts` or there is no epoch yet. */
  async append(spool: LaneSpool, count: number, size: number, starts: boolean): Promise<void> {
    const newest = this.items.at(-1);
    const begins = starts || newest === undefined;
    if (begins) this.#starts += 1;
    const epoch = begins ? `${this.#starts}-${'0123456789abcdef'}` : newest.epoch;
    const first = begins ? 1 : newest.number + 1;
    const added = Array.from({ length: count }, (_, index): ModelItem => {
      const number = first + index;
      if (number === 1) {
        const bytes = startItem(epoch, this.#predecessorOf(epoch));
        return { epoch, number, bytes, readings: 0, bucket: undefined };
      }
      const [readings, bucket] = [1 + ((number * 7) % 50), 1_700_000_000_000 + (this.next + index) * 10_000];
      return { epoch, number, bytes: rollupItem(number, readings, bucket, size), readings, bucket };
    });
    this.#unknown = added;
    await spool.append(
      added.map(({ bytes }) => bytes),
      begins ? { epoch } : {},
    );
    this.items.push(...added);
    this.#unknown = undefined;
  }

  /** The append that was refused has left nothing behind. */
  refused(): void {
    this.#unknown = undefined;
  }

  /** After a restart: what was acknowledged is there; what was not, whole or not at all. */
  reopened(spool: LaneSpool): void {
    if (this.#unknown !== undefined && spool.next === this.next + this.#unknown.length)
      this.items.push(...this.#unknown);
    this.#unknown = undefined;
    expect(spool.next).toBe(this.next);
  }

  /** Reads everything and checks that each number of each epoch is found exactly once, as what it was or in an exact gap. */
  async check(spool: LaneSpool, bytesMax = 5_000, itemsMax = 40): Promise<readonly LanePart[]> {
    const newest = this.items.at(-1);
    expect([spool.epoch, spool.lastNumber, spool.next]).toEqual([newest?.epoch, newest?.number ?? 0, this.next]);
    const parts: LanePart[] = [];
    for (let from = 1; ; from = parts.at(-1)!.to + 1) {
      const part = await spool.read(from, bytesMax, itemsMax);
      if (part === undefined) break;
      expect(part.from).toBe(from);
      this.#checkPart(part, bytesMax, itemsMax);
      parts.push(part);
    }
    expect((parts.at(-1)?.to ?? 0) + 1).toBe(this.next);
    for (const { epoch, number, to, from } of parts.map((part) => ({ ...part, to: part.to - part.from })))
      expect([spool.locate(epoch, number), spool.locate(epoch, number + to)]).toEqual([from, from + to]);
    this.#checkBeginning(spool, parts);
    const last = await spool.last();
    expect(last === undefined ? undefined : Buffer.from(last)).toEqual(
      newest === undefined ? undefined : Buffer.from(newest.bytes),
    );
    return parts;
  }

  #checkPart(part: LanePart, bytesMax: number, itemsMax: number): void {
    const expected = this.items.slice(part.from - 1, part.to);
    expect(expected).toHaveLength(part.to - part.from + 1);
    for (const [index, item] of expected.entries())
      expect([item.epoch, item.number]).toEqual([part.epoch, part.number + index]);
    if (part.kind === 'records') {
      expect(part.items.map((bytes) => Buffer.from(bytes))).toEqual(expected.map(({ bytes }) => Buffer.from(bytes)));
      expect(part.items.length).toBeLessThanOrEqual(itemsMax);
      const bytes = part.items.reduce((sum, { length }) => sum + length, 0);
      if (part.items.length > 1) expect(bytes).toBeLessThanOrEqual(bytesMax);
      return;
    }
    const { gap } = part;
    expect([gap.number, gap.to]).toEqual([part.number, part.number + part.to - part.from]);
    if (gap.number === 1) expect(gap.predecessor).toEqual(this.#predecessorOf(part.epoch));
    else expect(gap.predecessor).toBeUndefined();
    if (gap.reason !== 'cap') return;
    let next = gap.number;
    for (const frame of gap.frames) {
      expect(frame.number).toBe(next);
      const held = expected.slice(frame.number - gap.number, frame.to - gap.number + 1);
      expect(frame.readings).toBe(held.reduce((sum, { readings }) => sum + readings, 0));
      const buckets = held.flatMap(({ bucket }) => bucket ?? []);
      const eventTimes = { from: Math.min(...buckets), to: Math.max(...buckets) + 9_999 };
      expect(frame.eventTimes).toEqual(buckets.length === 0 ? null : eventTimes);
      next = frame.to + 1;
    }
    expect(next).toBe(gap.to + 1);
    for (let position = part.from; position <= part.to; position++) expect(this.sent.has(position)).toBe(false);
  }

  /** A processor that knows nothing can take what is read from the beginning on. */
  #checkBeginning(spool: LaneSpool, parts: readonly LanePart[]): void {
    const part = parts.find(({ from }) => from === spool.beginning);
    if (part === undefined) {
      expect(spool.beginning).toBe(this.next);
      return;
    }
    expect(part.number).toBe(1);
    if (part.kind === 'records' || part.gap.reason !== 'trimmed') expect(this.#predecessorOf(part.epoch)).toBeNull();
  }
}
