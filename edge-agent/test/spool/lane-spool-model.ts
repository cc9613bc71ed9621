import assert from 'node:assert/strict';

import type { Predecessor } from '@floorwatch/contracts';

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
  /** What an append has failed to take: the same goes again, and a start may find it there, whole. */
  #failed: { readonly items: readonly ModelItem[]; readonly begins: boolean } | undefined;
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

  /** Appends `count` items, the first of them a start record if `starts` or there is no epoch yet; or what failed before, if something did. */
  async append(spool: LaneSpool, count: number, size: number, starts: boolean): Promise<void> {
    this.#failed ??= this.#make(count, size, starts);
    const { items, begins } = this.#failed;
    await spool.append(
      items.map(({ bytes }) => bytes),
      begins ? { epoch: items[0]!.epoch } : {},
    );
    this.items.push(...items);
    this.#failed = undefined;
  }

  #make(
    count: number,
    size: number,
    starts: boolean,
  ): { readonly items: readonly ModelItem[]; readonly begins: boolean } {
    const newest = this.items.at(-1);
    const begins = starts || newest === undefined;
    if (begins) this.#starts += 1;
    const epoch = begins ? `${this.#starts}-0123456789abcdef` : newest.epoch;
    const first = begins ? 1 : newest.number + 1;
    const items = Array.from({ length: count }, (_, index): ModelItem => {
      const number = first + index;
      if (number === 1) {
        const bytes = startItem(epoch, this.#predecessorOf(epoch));
        return { epoch, number, bytes, readings: 0, bucket: undefined };
      }
      const [readings, bucket] = [1 + ((number * 7) % 50), 1_700_000_000_000 + (this.next + index) * 10_000];
      return { epoch, number, bytes: rollupItem(number, readings, bucket, size), readings, bucket };
    });
    return { items, begins };
  }

  /** After a restart: what was acknowledged is there; what failed is there whole, or not at all. */
  reopened(spool: LaneSpool): void {
    if (this.#failed !== undefined && spool.next > this.next) this.items.push(...this.#failed.items);
    this.#failed = undefined;
    assert.equal(spool.next, this.next);
  }

  /** Reads everything and checks that each number of each epoch is found exactly once, as what it was or in an exact gap. */
  async check(spool: LaneSpool, bytesMax = 5_000, itemsMax = 40): Promise<readonly LanePart[]> {
    const newest = this.items.at(-1);
    assert.deepEqual([spool.epoch, spool.lastNumber, spool.next], [newest?.epoch, newest?.number ?? 0, this.next]);
    const parts: LanePart[] = [];
    for (let from = 1; ; from = parts.at(-1)!.to + 1) {
      const part = await spool.read(from, bytesMax, itemsMax);
      if (part === undefined) break;
      assert.equal(part.from, from);
      this.#checkPart(part, bytesMax, itemsMax);
      parts.push(part);
    }
    assert.equal((parts.at(-1)?.to ?? 0) + 1, this.next);
    for (const { epoch, number, to, from } of parts.map((part) => ({ ...part, to: part.to - part.from })))
      assert.deepEqual([spool.locate(epoch, number), spool.locate(epoch, number + to)], [from, from + to]);
    this.#checkBeginning(spool, parts);
    const last = await spool.last();
    assert.deepEqual(
      last === undefined ? undefined : Buffer.from(last),
      newest === undefined ? undefined : Buffer.from(newest.bytes),
    );
    return parts;
  }

  #checkPart(part: LanePart, bytesMax: number, itemsMax: number): void {
    const expected = this.items.slice(part.from - 1, part.to);
    assert.equal(expected.length, part.to - part.from + 1);
    for (const [index, item] of expected.entries())
      assert.deepEqual([item.epoch, item.number], [part.epoch, part.number + index]);
    if (part.kind === 'records') {
      assert.deepEqual(
        part.items.map((bytes) => Buffer.from(bytes)),
        expected.map(({ bytes }) => Buffer.from(bytes)),
      );
      assert.ok(part.items.length <= itemsMax);
      const bytes = part.items.reduce((sum, { length }) => sum + length, 0);
      if (part.items.length > 1) assert.ok(bytes <= bytesMax);
      return;
    }
    const { gap } = part;
    assert.deepEqual([gap.number, gap.to], [part.number, part.number + part.to - part.from]);
    if (gap.number === 1) assert.deepEqual(gap.predecessor, this.#predecessorOf(part.epoch));
    else assert.equal(gap.predecessor, undefined);
    if (gap.reason !== 'cap') return;
    let next = gap.number;
    for (const frame of gap.frames) {
      assert.equal(frame.number, next);
      const held = expected.slice(frame.number - gap.number, frame.to - gap.number + 1);
      assert.equal(
        frame.readings,
        held.reduce((sum, { readings }) => sum + readings, 0),
      );
      const buckets = held.flatMap(({ bucket }) => bucket ?? []);
      const eventTimes = { from: Math.min(...buckets), to: Math.max(...buckets) + 9_999 };
      assert.deepEqual(frame.eventTimes, buckets.length === 0 ? null : eventTimes);
      next = frame.to + 1;
    }
    assert.equal(next, gap.to + 1);
    for (let position = part.from; position <= part.to; position++) assert.equal(this.sent.has(position), false);
  }

  /** A processor that knows nothing can take what is read from the beginning on. */
  #checkBeginning(spool: LaneSpool, parts: readonly LanePart[]): void {
    const part = parts.find(({ from }) => from === spool.beginning);
    if (part === undefined) {
      assert.equal(spool.beginning, this.next);
      return;
    }
    assert.equal(part.number, 1);
    if (part.kind === 'records' || part.gap.reason !== 'trimmed') assert.equal(this.#predecessorOf(part.epoch), null);
  }
}
