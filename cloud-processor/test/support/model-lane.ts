import type { FloorRecord, GapRecord, LaneFloor } from '@floorwatch/contracts';

import { BASE, start, tick } from './floor.ts';

export interface ModelBatch {
  readonly epoch: string;
  readonly records: readonly FloorRecord[];
  /** Position of the last record in the gateway's lane. */
  readonly to: number;
}

type RecordOf = (number: number, at: number) => FloorRecord;

/** One lane on a gateway's disk: positions count from 0 over all epochs; what is gone is read as a gap. */
export class ModelLane {
  readonly items: { readonly epoch: string; readonly number: number }[] = [];
  readonly damaged = new Set<number>();
  /** Positions before this one are not needed any more. */
  trimmedTo = 0;
  next = 0;
  #starts = 0;
  readonly #tag: string;
  readonly #recordOf: RecordOf;

  /**
   * @param tag a hexadecimal digit that tells the epochs of this lane from others.
   * @param from another lane whose disk was copied.
   */
  constructor(tag: string, from?: ModelLane, recordOf: RecordOf = (number, at) => tick(number, BASE + at)) {
    this.#tag = tag;
    this.#recordOf = recordOf;
    if (from === undefined) return;
    this.items.push(...from.items);
    for (const position of from.damaged) this.damaged.add(position);
    this.trimmedTo = from.trimmedTo;
    this.next = from.next;
    this.#starts = from.#starts;
  }

  start(): void {
    this.#starts += 1;
    this.items.push({ epoch: `${this.#starts}-${this.#tag.repeat(8)}`, number: 1 });
  }

  append(count: number): void {
    if (this.items.length === 0) this.start();
    for (let i = 0; i < count; i++) {
      const { epoch, number } = this.items.at(-1)!;
      this.items.push({ epoch, number: number + 1 });
    }
  }

  damage(from: number, count: number): void {
    for (let at = from; at < Math.min(from + count, this.items.length); at++) this.damaged.add(at);
  }

  /** Up to `max` records from `next` on, of one epoch; a gap is as long as can be. Undefined at the end. */
  read(max: number): ModelBatch | undefined {
    const epoch = this.items[this.next]?.epoch;
    if (epoch === undefined) return undefined;
    const records: FloorRecord[] = [];
    let at = this.next;
    while (at < this.items.length && this.items[at]!.epoch === epoch && records.length < max) {
      const gone = this.#goneTo(at);
      records.push(gone > at ? this.#gap(at, gone - 1) : this.#record(at));
      at = Math.max(at + 1, gone);
    }
    return { epoch, records, to: at - 1 };
  }

  #goneTo(at: number): number {
    const { epoch } = this.items[at]!;
    const trimmed = at < this.trimmedTo;
    let to = at;
    while (this.items[to]?.epoch === epoch && (trimmed ? to < this.trimmedTo : this.damaged.has(to))) to++;
    return to;
  }

  #gap(from: number, to: number): GapRecord {
    const { number } = this.items[from]!;
    const reason = from < this.trimmedTo ? 'trimmed' : 'damage';
    const gap: GapRecord = { kind: 'gap', number, to: this.items[to]!.number, reason, frames: [] };
    return number === 1 ? { ...gap, predecessor: this.#predecessor(from) } : gap;
  }

  #record(at: number): FloorRecord {
    const { number } = this.items[at]!;
    return number === 1 ? start(this.#predecessor(at)) : this.#recordOf(number, at);
  }

  #predecessor(at: number): { epoch: string; last: number } | null {
    const before = this.items[at - 1];
    return before === undefined ? null : { epoch: before.epoch, last: before.number };
  }

  /** The position of a number; of one behind the end of its epoch, that of the next epoch. Undefined: forgotten, or never known. */
  positionOf(epoch: string, number: number): number | undefined {
    const first = this.items.findIndex((item) => item.epoch === epoch);
    if (first === -1 || first < this.beginning) return undefined;
    const length = this.items.filter((item) => item.epoch === epoch).length;
    return first + Math.min(number - 1, length);
  }

  /** Where a processor that knows nothing can begin: at a start without a predecessor, or one that is trimmed. */
  get beginning(): number {
    let first = 0;
    for (const [at, { number }] of this.items.entries()) if (number === 1 && at < this.trimmedTo) first = at;
    return first;
  }

  /** Follows a floor as a gateway does that always goes back to what is missing. */
  hear({ epoch, floor }: LaneFloor): void {
    const position = epoch === null ? undefined : this.positionOf(epoch, floor + 1);
    this.next = position ?? this.beginning;
  }
}
