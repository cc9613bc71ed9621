import type { Predecessor } from '@floorwatch/contracts';

/** An epoch and the position of its first item; its items end where the next epoch begins. */
export interface EpochEntry {
  readonly epoch: string;
  readonly first: number;
}

/** An epoch with what follows from its neighbours. */
export interface EpochSpan extends EpochEntry {
  /** Position of its last item; Infinity: it is the newest. */
  readonly last: number;
  readonly predecessor: Predecessor;
}

/** Which positions of a lane belong to which epoch. Positions before the oldest epoch belong to none: it was forgotten. */
export class EpochTable {
  /** Oldest first. */
  readonly #entries: EpochEntry[];
  /** Of the oldest epoch; that of every other one is the entry before it. */
  #predecessor: Predecessor;

  constructor(entries: readonly EpochEntry[] = [], predecessor: Predecessor = null) {
    this.#entries = [...entries];
    this.#predecessor = predecessor;
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries;
  }

  /** What the oldest epoch named. */
  get predecessor(): Predecessor {
    return this.#predecessor;
  }

  /** The first position that belongs to an epoch; undefined if none does. */
  get first(): number | undefined {
    return this.#entries[0]?.first;
  }

  /** The epoch of a position, from the oldest epoch's first one on. */
  at(position: number): EpochSpan | undefined {
    return this.span(this.#entries.findLastIndex(({ first }) => first <= position));
  }

  /** The epoch at an index of {@link entries}. */
  span(index: number): EpochSpan | undefined {
    const entry = this.#entries[index];
    if (entry === undefined) return undefined;
    const before = this.#entries[index - 1];
    return {
      ...entry,
      last: (this.#entries[index + 1]?.first ?? Infinity) - 1,
      predecessor: before === undefined ? this.#predecessor : { epoch: before.epoch, last: entry.first - before.first },
    };
  }

  /** Where a number of an epoch lies, or would; a number behind the end of an epoch is where the next one begins. */
  locate(epoch: string, number: number): number | undefined {
    const span = this.span(this.#entries.findLastIndex((entry) => entry.epoch === epoch));
    return span === undefined ? undefined : Math.min(span.first + number - 1, span.last + 1);
  }

  /** The next item, at `first`, begins an epoch. */
  begin(epoch: string, first: number): void {
    this.#entries.push({ epoch, first });
  }

  /** Takes back the epochs that begin at `next` or later, and so have no items; returns whether there were any. */
  withdraw(next: number): boolean {
    const count = this.#entries.length;
    while ((this.#entries.at(-1)?.first ?? 0) >= next) this.#entries.pop();
    return this.#entries.length < count;
  }

  /** Forgets the oldest epoch. */
  forgetOldest(): void {
    this.#predecessor = this.span(1)?.predecessor ?? null;
    this.#entries.shift();
  }
}
