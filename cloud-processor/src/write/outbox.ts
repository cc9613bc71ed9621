import type { Row } from '@floorwatch/contracts';

import { rowKey } from './row-key.ts';

/** A row that the store has not confirmed. */
interface Entry {
  readonly key: string;
  readonly row: Row;
  /** The first checkpoint that contains the row. */
  readonly checkpoint: number;
  /** No earlier value of the key can exist. */
  readonly first: boolean;
}

/** How an outbox begins. */
export interface OutboxStart {
  /** Of the checkpoint that it was in, 0 for none. */
  readonly ordinal: number;
  readonly rows: readonly Row[];
  /** The checkpoint is not the newest one, or follows one that was not: windows and episodes are compared with the store before they are sent. */
  readonly comparing: boolean;
  /** Updates wait until then, because a request of the process before may still land; in the time of {@link Outbox.take}. */
  readonly updatesFrom: number;
}

/**
 * The output of one partition that the store has not confirmed: one value per key, the newest. It is part of every checkpoint, so
 * nothing in it can be lost.
 *
 * The first value of a key may be sent at once: if the processor dies before its checkpoint, it makes the same row again. An update
 * waits for the checkpoint that contains it, because a restart from before it would write the older value over it. A request whose
 * outcome is unknown may still land, so newer values of its keys wait until that is over.
 *
 * Invariant: every entry is in exactly one of `#unchecked`, `#urgent`, `#ready`, `#held` and `#sending`.
 */
export class Outbox {
  readonly #entries = new Map<string, Entry>();
  /** Anomalies, which overtake windows. */
  readonly #urgent = new Set<Entry>();
  readonly #ready = new Set<Entry>();
  /** In the order of their checkpoints. */
  readonly #held = new Set<Entry>();
  readonly #sending = new Set<Entry>();
  /** To be compared with the store. */
  readonly #unchecked = new Set<Entry>();
  #comparing: boolean;
  readonly #updatesFrom: number;
  /** Until when an older value of a key may still land. */
  readonly #landing = new Map<string, number>();
  #saved: number;
  /** Ordinal of the next checkpoint to be taken. */
  #next: number;
  readonly #waiting = new Set<() => void>();

  constructor({ ordinal, rows, comparing, updatesFrom }: OutboxStart = FRESH) {
    this.#next = ordinal + 1;
    this.#saved = ordinal;
    this.#comparing = comparing;
    this.#updatesFrom = updatesFrom;
    for (const row of rows) this.#place(this.#remember(row, ordinal));
  }

  /** Rows that wait, those that are being sent included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Rows that may be sent now. */
  get readySize(): number {
    return this.#urgent.size + this.#ready.size;
  }

  /** The newest value of a key, if the store has not confirmed it; `unchecked` while it is to be compared with the store. */
  get(key: string): Row | 'unchecked' | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.#unchecked.has(entry) ? 'unchecked' : entry?.row;
  }

  /** Takes a row in; it replaces an unsent one with the same key. */
  put(row: Row): void {
    this.#place(this.#remember(row, this.#next));
  }

  #remember(row: Row, checkpoint: number): Entry {
    const entry = { key: rowKey(row), row, checkpoint, first: isFirstValue(row) };
    const older = this.#entries.get(entry.key);
    if (older !== undefined) {
      // One that is being sent stays in `#sending`; confirming it will not remove this newer one.
      for (const set of [this.#unchecked, this.#urgent, this.#ready, this.#held]) set.delete(older);
    }
    this.#entries.set(entry.key, entry);
    return entry;
  }

  #place(entry: Entry): void {
    if (this.#comparing && (entry.row.table === 'window' || entry.row.table === 'anomaly')) {
      this.#unchecked.add(entry);
      this.#wake();
    } else this.#release(entry);
  }

  #release(entry: Entry): void {
    if (entry.first || entry.checkpoint <= this.#saved) this.#makeReady(entry);
    else this.#held.add(entry);
  }

  #makeReady(entry: Entry): void {
    (entry.row.table === 'anomaly' ? this.#urgent : this.#ready).add(entry);
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting) resume();
  }

  /**
   * Takes up to `max` rows to send, anomalies first. Each call must be settled by {@link settle} before the next.
   *
   * @param now milliseconds of a clock that never steps.
   */
  take(max: number, now: number): readonly Row[] {
    const taken: Row[] = [];
    for (const queue of [this.#urgent, this.#ready]) {
      for (const entry of queue) {
        if (taken.length >= max) return taken;
        if (this.#waitsUntil(entry) > now) continue;
        queue.delete(entry);
        this.#sending.add(entry);
        taken.push(entry.row);
      }
    }
    return taken;
  }

  /** When the first of the rows that wait for their time may be taken; `Infinity` if none does. */
  get nextAt(): number {
    let next = Infinity;
    for (const queue of [this.#urgent, this.#ready]) {
      for (const entry of queue) next = Math.min(next, this.#waitsUntil(entry));
    }
    return next;
  }

  #waitsUntil({ key, first }: Entry): number {
    return Math.max(first ? 0 : this.#updatesFrom, this.#landing.get(key) ?? 0);
  }

  /** An attempt to send the rows last taken may still land until then, whatever becomes of the next one. */
  mayLandUntil(time: number, now: number): void {
    for (const [key, until] of this.#landing) if (until <= now) this.#landing.delete(key);
    for (const { key } of this.#sending) this.#landing.set(key, time);
  }

  /** Whether an attempt that was made may still land. */
  isLanding(now: number): boolean {
    return [...this.#landing.values()].some((until) => until > now);
  }

  /** Rows that must be compared with the store; until then they are not sent. */
  get unchecked(): readonly Row[] {
    return Array.from(this.#unchecked, ({ row }) => row);
  }

  /** The store is behind `row`, or has it already. Nothing happens if a newer one has taken its place. */
  checked(row: Row, isBehind: boolean): void {
    const entry = this.#entries.get(rowKey(row));
    if (entry?.row !== row || !this.#unchecked.delete(entry)) return;
    if (isBehind) this.#release(entry);
    else this.#entries.delete(entry.key);
    this.#wake();
  }

  /** Whether something is, or will be, to be compared. */
  get comparing(): boolean {
    return this.#comparing || this.#unchecked.size > 0;
  }

  /** What is put from now on is newer than anything that the store can have. */
  stopComparing(): void {
    this.#comparing = false;
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
    this.#saved = Math.max(this.#saved, ordinal);
    for (const entry of this.#held) {
      if (entry.checkpoint > ordinal) return;
      this.#held.delete(entry);
      this.#makeReady(entry);
    }
  }

  /** Resolves when something may be sent, is to be compared or was settled, and when `signal` aborts. */
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

const FRESH: OutboxStart = { ordinal: 0, rows: [], comparing: false, updatesFrom: 0 };

/**
 * Whether no earlier value of the row's key can exist. A window's first is revision 0, an episode's `opened`; a gateway's report has one
 * for ever; counts of late readings grow.
 */
function isFirstValue(row: Row): boolean {
  if (row.table === 'window') return row.revision === 0;
  if (row.table === 'anomaly') return row.phase === 'opened';
  return row.table === 'gateway';
}
