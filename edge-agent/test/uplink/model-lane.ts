import type { GapRecord, Predecessor } from '@floorwatch/contracts';

/** What a lane gives to be sent: numbers of one epoch, the first of which may be its start, or a gap in their place. */
export interface ModelPart {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  /** Numbers within the epoch. */
  readonly number: number;
  readonly last: number;
  readonly reason: GapRecord['reason'] | undefined;
  /** Of a part that begins at number 1. */
  readonly predecessor: Predecessor | undefined;
}

interface Item {
  readonly epoch: string;
  readonly number: number;
  /** Why it is gone. */
  readonly gone?: 'trimmed' | 'cap';
}

/** A lane without content: what exists, what was sent, trimmed and dropped. Trims item by item, which is harder on the sender than segments. */
export class ModelLane {
  /** Item of position p at index p − 1. */
  #items: Item[] = [];
  /** Everything up to here was marked as sent. */
  #marked = 0;
  saved = 1;

  get items(): readonly Item[] {
    return this.#items;
  }
  get next(): number {
    return this.#items.length + 1;
  }
  get epoch(): string | undefined {
    return this.#items.at(-1)?.epoch;
  }
  get markedThrough(): number {
    return this.#marked;
  }
  heldFrom(from: number): number {
    const index = this.#items.findIndex(({ gone }, i) => i + 1 >= from && gone === undefined);
    return index === -1 ? this.next : index + 1;
  }
  get first(): number {
    const index = this.#items.findIndex(({ gone }) => gone === undefined);
    return index === -1 ? this.next : index + 1;
  }
  get beginning(): number {
    const starts = this.#items.flatMap(({ number }, index) => (number === 1 ? [index + 1] : []));
    let which = starts.findLastIndex((start) => start <= this.first);
    while (which > 0 && this.#items[(starts[which] ?? 1) - 1]?.gone !== 'trimmed') which -= 1;
    return starts[which] ?? this.next;
  }

  /** An older copy of the disk comes back. */
  copy(): ModelLane {
    const copy = new ModelLane();
    copy.#items = [...this.#items];
    copy.#marked = this.#marked;
    copy.saved = this.saved;
    return copy;
  }

  begin(epoch: string): void {
    this.#items.push({ epoch, number: 1 });
  }
  append(count: number): void {
    for (let i = 0; i < count; i++) {
      const last = this.#items.at(-1);
      if (last !== undefined) this.#items.push({ epoch: last.epoch, number: last.number + 1 });
    }
  }

  locate(epoch: string, number: number): number | undefined {
    const first = this.#items.findIndex((item) => item.epoch === epoch);
    if (first === -1) return undefined;
    const count = this.#items.filter((item) => item.epoch === epoch).length;
    const isNewest = first + count === this.#items.length;
    return isNewest ? first + number : Math.min(first + number, first + count + 1);
  }

  read(from: number, itemsMax: number): ModelPart | undefined {
    const item = this.#items[from - 1];
    if (item === undefined) return undefined;
    const { epoch, number, gone } = item;
    let to = from;
    for (; gone !== undefined || to - from + 1 < itemsMax; to++) {
      const behind = this.#items[to];
      if (behind?.epoch !== epoch || behind.gone !== gone) break;
    }
    const before = this.#items[from - 2];
    const predecessor = before === undefined ? null : { epoch: before.epoch, last: before.number };
    return {
      epoch,
      from,
      to,
      number,
      last: number + to - from,
      reason: gone,
      predecessor: number === 1 ? predecessor : undefined,
    };
  }

  markSent(position: number): void {
    this.#marked = Math.max(this.#marked, position);
  }

  /** Drops up to `count` of the oldest items that were never sent; never the newest. */
  drop(count: number): void {
    const kept = this.#items.length - 1;
    let index = this.#items.findIndex(({ gone }, i) => i >= this.#marked && gone === undefined);
    for (let left = count; index !== -1 && index < kept && left > 0; index++, left--) {
      const item = this.#items[index];
      if (item !== undefined) this.#items[index] = { ...item, gone: 'cap' };
    }
  }

  /** Trims up to `through`, and returns the positions that this took away. */
  release(through: number): number[] {
    const gone: number[] = [];
    for (let index = 0; index < Math.min(through, this.#items.length - 1); index++) {
      const item = this.#items[index];
      if (item === undefined || item.gone === 'trimmed') continue;
      if (item.gone === undefined) gone.push(index + 1);
      this.#items[index] = { ...item, gone: 'trimmed' };
    }
    return gone;
  }
}
