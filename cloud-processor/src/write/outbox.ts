import type { Row } from '@floorwatch/contracts';

import { rowKey } from './row-key.ts';

/** A row that the store has not confirmed. */
interface Entry {
  readonly key: string;
  readonly row: Row;
  /** The first checkpoint that contains the row. */
  readonly checkpoint: number;
}

/**
 * The output of one partition that the store has not confirmed: one value per key, the newest. It is part of every checkpoint, so
 * nothing in it can be lost.
 *
 * The first value of a key may be sent at once: if the processor dies before its checkpoint, it makes the same row again. An update
 * waits for the checkpoint that contains it, because a restart from before it would write the older value over it.
 *
 * Invariant: every entry is in exactly one of `#urgent`, `#ready`, `#held` and `#sending`.
 */
export class Outbox {
  readonly #entries = new Map<string, Entry>();
  /** Anomalies, which overtake windows. */
  readonly #urgent = new Set<Entry>();
  readonly #ready = new Set<Entry>();
  /** In the order of their checkpoints. */
  readonly #held = new Set<Entry>();
  readonly #sending = new Set<Entry>();
  /** Ordinal of the next checkpoint to be taken. */
  #next: number;
  readonly #waiting = new Set<() => void>();

  /** @param from what a checkpoint held; `ordinal` is that checkpoint's, 0 for none. */
  constructor(ordinal = 0, from: readonly Row[] = []) {
    this.#next = ordinal + 1;
    for (const row of from) this.#makeReady(this.#remember(row));
  }

  /** Rows that wait, those that are being sent included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Rows that may be sent now. */
  get readySize(): number {
    return this.#urgent.size + this.#ready.size;
  }

  /** The newest value of a key, if the store has not confirmed it. */
  get(key: string): Row | undefined {
    return this.#entries.get(key)?.row;
  }

  /** Takes a row in; it replaces an unsent one with the same key. */
  put(row: Row): void {
    const entry = this.#remember(row);
    if (isFirstValue(row)) this.#makeReady(entry);
    else this.#held.add(entry);
  }

  #remember(row: Row): Entry {
    const entry = { key: rowKey(row), row, checkpoint: this.#next };
    const older = this.#entries.get(entry.key);
    if (older !== undefined) {
      // One that is being sent stays in `#sending`; confirming it will not remove this newer one.
      this.#urgent.delete(older);
      this.#ready.delete(older);
      this.#held.delete(older);
    }
    this.#entries.set(entry.key, entry);
    return entry;
  }

  #makeReady(entry: Entry): void {
    (entry.row.table === 'anomaly' ? this.#urgent : this.#ready).add(entry);
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting) resume();
  }

  /** Takes up to `max` rows to send, anomalies first. Each call must be settled by {@link settle} before the next. */
  take(max: number): readonly Row[] {
    const taken: Row[] = [];
    for (const queue of [this.#urgent, this.#ready]) {
      for (const entry of queue) {
        if (taken.length >= max) return taken;
        queue.delete(entry);
        this.#sending.add(entry);
        taken.push(entry.row);
      }
    }
    return taken;
  }

  /** The rows last taken are in the store, or will never be. Those that a newer value has replaced since do not take it along. */
  settle(): void {
    for (const entry of this.#sending) if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    this.#sending.clear();
    this.#wake();
  }

  /** What a checkpoint must hold, and its ordinal. Rows put from now on belong to the next one. */
  capture(): { readonly ordinal: number; readonly rows: readonly Row[] } {
    return { ordinal: this.#next++, rows: Array.from(this.#entries.values(), (entry) => entry.row) };
  }

  /** The checkpoint with this ordinal is safe: rows that waited for it may be sent. */
  saved(ordinal: number): void {
    for (const entry of this.#held) {
      if (entry.checkpoint > ordinal) return;
      this.#held.delete(entry);
      this.#makeReady(entry);
    }
  }

  /** Resolves when something may be sent or was settled, and when `signal` aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }
}

/**
 * Whether no earlier value of the row's key can exist. A window's first is revision 0, an episode's `opened`; a gateway's report has one
 * for ever; counts of late readings grow.
 */
function isFirstValue(row: Row): boolean {
  if (row.table === 'window') return row.revision === 0;
  if (row.table === 'anomaly') return row.phase === 'opened';
  return row.table === 'gateway';
}
