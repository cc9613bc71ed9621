import type { Frame } from '@floorwatch/segment-log';

/** The newest frames of a lane, kept in memory for the sender, which as a rule wants what was just made safe. */
export class RecentFrames {
  readonly #bytesMax: number;
  /** Consecutive, oldest first. */
  #frames: (Frame & { readonly bytes: number })[] = [];
  #bytes = 0;

  /** @param bytesMax bytes of items at most; the oldest frames are forgotten for it. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Takes what was made safe at position `first` and behind it. The items must not change any more. */
  add(first: number, items: readonly Uint8Array[]): void {
    const last = this.#frames.at(-1);
    if (last !== undefined && last.first + last.items.length !== first) this.clear();
    const bytes = items.reduce((sum, { length }) => sum + length, 0);
    this.#frames.push({ first, items, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) this.#bytes -= this.#frames.shift()!.bytes;
  }

  clear(): void {
    this.#frames = [];
    this.#bytes = 0;
  }

  /** The frames from a position on, the first cut to it; undefined if it is not among them. */
  from(position: number): readonly Frame[] | undefined {
    const index = this.#frames.findIndex(({ first, items }) => first <= position && position < first + items.length);
    const [begun, ...rest] = index === -1 ? [] : this.#frames.slice(index);
    if (begun === undefined) return undefined;
    return [{ first: position, items: begun.items.slice(position - begun.first) }, ...rest];
  }
}
