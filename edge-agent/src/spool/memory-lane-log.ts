import { Condition } from '@floorwatch/runtime';

import type { LaneItem, LaneLog } from '../lane-log.ts';

/** A {@link LaneLog} that lives as long as the process. */
export class MemoryLaneLog implements LaneLog {
  readonly bytesMax: number;
  /** Items `first` … `next − 1`. */
  #items: Uint8Array[] = [];
  #first = 1;
  #bytes = 0;
  readonly #changed = new Condition();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get next(): number {
    return this.#first + this.#items.length;
  }

  get first(): number {
    return this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#bytes >= this.bytesMax;
  }

  async append(items: readonly Uint8Array[]): Promise<void> {
    for (const item of items) {
      this.#items.push(item);
      this.#bytes += item.length;
    }
    this.#changed.notify();
  }

  read(from: number, bytesMax: number, itemsMax: number): readonly LaneItem[] {
    const read: LaneItem[] = [];
    let bytes = 0;
    for (let number = Math.max(from, this.#first); number < this.next && read.length < itemsMax; number++) {
      const item = this.#items[number - this.#first];
      if (item === undefined) break;
      bytes += item.length;
      if (read.length > 0 && bytes > bytesMax) break;
      read.push({ number, bytes: item });
    }
    return read;
  }

  release(through: number): void {
    const count = Math.min(through, this.next - 1) - this.#first + 1;
    if (count <= 0) return;
    for (const item of this.#items.slice(0, count)) this.#bytes -= item.length;
    this.#items = this.#items.slice(count);
    this.#first += count;
    this.#changed.notify();
  }

  async waitForItem(from: number, signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.next > from, signal);
  }

  async waitForRoom(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => !this.full, signal);
  }
}
