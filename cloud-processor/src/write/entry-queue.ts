import type { Row } from '@floorwatch/contracts';

/**
 * Where an entry is: to be compared with the store, may be sent (anomalies overtake windows), waits for its checkpoint, is being sent, or has
 * left.
 */
type Place = 'unchecked' | 'urgent' | 'ready' | 'held' | 'sending' | 'gone';

/** A row that the store has not confirmed. */
export interface Entry {
  readonly key: string;
  readonly table: Row['table'];
  /** Undefined when it is gone: the entry may stay for a while, in old memory, and must not keep its row there. */
  row: Row | undefined;
  /** The first checkpoint that contains the row. */
  readonly checkpoint: number;
  /** No earlier value of the key can exist. */
  readonly first: boolean;
  place: Place;
}

/** Entries that are gone are dropped when there are so many more of them than of others: about 2 MB. */
export const GONE_MAX = 2_000;

/** Entries of one place, first in first out. */
export class EntryQueue {
  readonly #place: Place;
  #entries: Entry[] = [];
  /** Index of the first that has not been passed. */
  #first = 0;
  #size = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  get size(): number {
    return this.#size;
  }

  /** Puts an entry behind all others; it must not be here. */
  push(entry: Entry): void {
    entry.place = this.#place;
    this.#entries.push(entry);
    this.#size++;
    if (this.#entries.length > 2 * this.#size + GONE_MAX) this.#keep([...this.entries()]);
  }

  #keep(entries: Entry[]): void {
    this.#entries = entries;
    this.#first = 0;
  }

  /** To be called before an entry gets another place, unless {@link take} gave it. */
  left(entry: Entry): void {
    if (entry.place === this.#place) this.#size--;
  }

  *entries(): Generator<Entry> {
    for (let i = this.#first; i < this.#entries.length; i++) {
      const entry = this.#entries[i]!;
      if (entry.place === this.#place) yield entry;
    }
  }

  /** Takes the first `max` that `mayGo`; the others keep their order. The caller gives them another place at once. */
  take(max: number, mayGo: (entry: Entry) => boolean): Entry[] {
    const taken: Entry[] = [];
    const passed: Entry[] = [];
    let i = this.#first;
    for (; i < this.#entries.length && taken.length < max; i++) {
      const entry = this.#entries[i]!;
      if (entry.place === this.#place) (mayGo(entry) ? taken : passed).push(entry);
    }
    this.#size -= taken.length;
    this.#first = i;
    if (passed.length > 0 || 2 * i > this.#entries.length) this.#keep([...passed, ...this.#entries.slice(i)]);
    return taken;
  }
}
