import { gatewayKey, type Row } from '@floorwatch/contracts';
import { Condition } from '@floorwatch/runtime';

import type { StoredBefore, StoredGateway } from '../stored-gateway.ts';
import { type Entry, EntryQueue, GONE_MAX } from './entry-queue.ts';
import { rowKey } from './row-key.ts';

/** How an outbox begins. */
export interface OutboxStart {
  /** Of the checkpoint that it was in, 0 for none. */
  readonly ordinal: number;
  readonly rows: readonly Row[];
  /** What the store may hold that this state does not know, see {@link Outbox.compare}. */
  readonly stored: StoredBefore;
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
 * Invariant: every entry is in the list of its `place`. Lists, and the map of keys, may also hold entries that have moved on, which are passed
 * over until they are dropped together. To take each out at once would make sets and maps grow and shrink all the time, and what those leave
 * in old memory keeps rows from being collected cheaply: that took a third of the processor's time.
 */
export class Outbox {
  /** By key, the newest; with some that are gone. */
  #entries = new Map<string, Entry>();
  /** Entries that are not gone. */
  #size = 0;
  readonly #urgent = new EntryQueue('urgent');
  readonly #ready = new EntryQueue('ready');
  /** In the order of their checkpoints. */
  readonly #held = new EntryQueue('held');
  #sending: readonly Entry[] = [];
  readonly #unchecked = new Set<Entry>();
  /** Processors before have stored what this state may not know. */
  #hasOthers = false;
  /** By gateway. */
  #stored: ReadonlyMap<string, StoredGateway> = new Map();
  readonly #updatesFrom: number;
  /** Until when an older value of a key may still land. */
  readonly #landing = new Map<string, number>();
  #saved: number;
  /** Ordinal of the next checkpoint to be taken. */
  #next: number;
  readonly #change = new Condition();

  constructor({ ordinal, rows, stored, updatesFrom }: OutboxStart = FRESH) {
    this.#next = ordinal + 1;
    this.#saved = ordinal;
    this.compare(stored);
    this.#updatesFrom = updatesFrom;
    for (const row of rows) this.#place(this.#remember(row, ordinal));
  }

  /** Rows that wait, those that are being sent included. */
  get size(): number {
    return this.#size;
  }

  /** Rows that may be sent now. */
  get readySize(): number {
    return this.#urgent.size + this.#ready.size;
  }

  /** The newest value of a key, if the store has not confirmed it; `unchecked` while it is to be compared with the store. */
  get(key: string): Row | 'unchecked' | undefined {
    const entry = this.#find(key);
    return entry?.place === 'unchecked' ? 'unchecked' : entry?.row;
  }

  /** Takes a row in; it replaces an unsent one with the same key. */
  put(row: Row): void {
    this.#place(this.#remember(row, this.#next));
  }

  #remember(row: Row, checkpoint: number): Entry {
    const key = rowKey(row);
    const entry: Entry = { key, table: row.table, row, checkpoint, first: isFirstValue(row), place: 'gone' };
    const older = this.#find(key);
    if (older === undefined) this.#size++;
    // One that is being sent goes on being sent; confirming it will not remove this newer one.
    else if (older.place !== 'sending') {
      this.#leave(older);
      letGo(older);
    }
    this.#entries.set(key, entry);
    return entry;
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry?.place === 'gone' ? undefined : entry;
  }

  /** Forgets an entry that is the newest of its key and is in no queue. */
  #forget(entry: Entry): void {
    letGo(entry);
    this.#size--;
    if (this.#size === 0) this.#entries = new Map();
    else if (this.#entries.size > 2 * this.#size + GONE_MAX) {
      this.#entries = new Map([...this.#entries].filter(([, { place }]) => place !== 'gone'));
    }
  }

  /** To be called before an entry gets another place, or is gone. */
  #leave(entry: Entry): void {
    if (entry.place === 'unchecked') this.#unchecked.delete(entry);
    else for (const queue of [this.#urgent, this.#ready, this.#held]) queue.left(entry);
  }

  #place(entry: Entry): void {
    if (entry.row !== undefined && this.#mayBeStored(entry.row)) {
      entry.place = 'unchecked';
      this.#unchecked.add(entry);
      this.#change.notify();
    } else this.#release(entry);
  }

  /** Whether the store may hold a value of the row's key that this state does not know. */
  #mayBeStored(row: Row): boolean {
    if (!this.#hasOthers || (row.table !== 'window' && row.table !== 'anomaly')) return false;
    const stored = this.#stored.get(gatewayKey(row.sensor));
    // Episodes overtake everything, so the store may have some of a gateway of which it has neither windows nor reports.
    if (stored === undefined) return row.table === 'anomaly';
    return row.table === 'window' ? row.start + row.size <= stored.windowsTo : row.openedAt <= stored.episodesTo;
  }

  /**
   * The store may hold rows of these gateways that a process before has made and that this state does not know. What is here of them, and what
   * will be put, is compared with the store before it is sent. Nothing may be on its way.
   */
  compare({ gateways, runsTo }: StoredBefore): void {
    this.#hasOthers = gateways.length > 0 || runsTo > 0;
    this.#stored = new Map(gateways.map((gateway) => [gatewayKey(gateway), gateway] as const));
    for (const entry of this.#entries.values()) {
      if (entry.place === 'gone' || entry.place === 'unchecked') continue;
      // A queue that an entry comes back to would hold it twice.
      const again = { ...entry };
      this.#leave(entry);
      letGo(entry);
      this.#entries.set(again.key, again);
      this.#place(again);
    }
  }

  #release(entry: Entry): void {
    if (entry.first || entry.checkpoint <= this.#saved) this.#makeReady(entry);
    else this.#held.push(entry);
  }

  #makeReady(entry: Entry): void {
    // Reports tell which run is which epoch's, so no window of a run may be stored before the first of them.
    (entry.table === 'anomaly' || entry.table === 'gateway' ? this.#urgent : this.#ready).push(entry);
    this.#change.notify();
  }

  /**
   * Takes up to `max` rows to send, anomalies first. Each call must be settled by {@link settle} before the next.
   *
   * @param now milliseconds of a clock that never steps.
   */
  take(max: number, now: number): readonly Row[] {
    const mayGo = (entry: Entry): boolean => this.#waitsUntil(entry) <= now;
    const urgent = this.#urgent.take(max, mayGo);
    const taken = [...urgent, ...this.#ready.take(max - urgent.length, mayGo)];
    for (const entry of taken) entry.place = 'sending';
    this.#sending = [...this.#sending, ...taken];
    return rowsOf(taken);
  }

  /** When the first of the rows that wait for their time may be taken; `Infinity` if none does. */
  get nextAt(): number {
    let next = Infinity;
    for (const queue of [this.#urgent, this.#ready]) {
      for (const entry of queue.entries()) next = Math.min(next, this.#waitsUntil(entry));
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

  /** Whether an attempt that was made may still land: one of this process, or of the one before it that was killed. */
  isLanding(now: number): boolean {
    return now < this.#updatesFrom || [...this.#landing.values()].some((until) => until > now);
  }

  /** Rows that must be compared with the store; until then they are not sent. */
  get unchecked(): readonly Row[] {
    return rowsOf(this.#unchecked);
  }

  /** The store is behind `row`, or has it already. Nothing happens if a newer one has taken its place. */
  checked(row: Row, isBehind: boolean): void {
    const entry = this.#find(rowKey(row));
    if (entry?.row !== row || entry.place !== 'unchecked') return;
    this.#leave(entry);
    if (isBehind) this.#release(entry);
    else this.#forget(entry);
    this.#change.notify();
  }

  /** Whether something is to be compared with the store. */
  get comparing(): boolean {
    return this.#unchecked.size > 0;
  }

  /** The rows last taken are in the store, or will never be. Those that a newer value has replaced since do not take it along. */
  settle(): void {
    for (const entry of this.#sending) {
      if (this.#entries.get(entry.key) === entry) this.#forget(entry);
      else letGo(entry);
    }
    this.#sending = [];
    this.#change.notify();
  }

  /** What a checkpoint must hold, and its ordinal. Rows put from now on belong to the next one. */
  capture(): { readonly ordinal: number; readonly rows: readonly Row[] } {
    return { ordinal: this.#next++, rows: this.rows() };
  }

  /** All that wait, the newest value of each key. */
  rows(): readonly Row[] {
    return rowsOf(this.#entries.values());
  }

  /** The checkpoint with this ordinal is safe: rows that waited for it may be sent. */
  saved(ordinal: number): void {
    this.#saved = Math.max(this.#saved, ordinal);
    for (const entry of this.#held.take(Infinity, ({ checkpoint }) => checkpoint <= ordinal)) this.#makeReady(entry);
  }

  /** Resolves when something may be sent, is to be compared or was settled, and when `signal` aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    await this.#change.changed(signal);
  }
}

const FRESH: OutboxStart = { ordinal: 0, rows: [], stored: { gateways: [], runsTo: 0 }, updatesFrom: 0 };

/** An entry that has left its place is gone, and lets go of its row. */
function letGo(entry: Entry): void {
  entry.place = 'gone';
  entry.row = undefined;
}

/** The rows of those entries that are not gone. */
function rowsOf(entries: Iterable<Entry>): readonly Row[] {
  const rows: Row[] = [];
  for (const { row } of entries) if (row !== undefined) rows.push(row);
  return rows;
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
