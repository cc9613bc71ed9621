import path from 'node:path';

import type { Row } from '@floorwatch/contracts';
import type { DeadLetterSummary } from '@floorwatch/contracts/api';
import { type PositionRange, type Recovery, SegmentLog } from '@floorwatch/segment-log';

import { processorLimits } from '../limits.ts';
import { type DeadLetter, deadBatch, deadRow, decodeRecord, encodeRecord, type Settled } from './dead-letter.ts';

interface Entry {
  /** Undefined: the log has it not yet. */
  position: number | undefined;
  summary: DeadLetterSummary;
  /** Settled letters are remembered as long as the log holds them, so that a replay after a crash does not bring them back. */
  settled: Settled['how'] | undefined;
  /** It is being tried again; `failed` when it has come back meanwhile. */
  retry: 'running' | 'failed' | undefined;
}

/** Where a message or a row goes that can't be used. */
export interface DeadLetterSink {
  /** Takes a message; it is safe once {@link DeadLetters.flush} has resolved. One that is there already changes nothing. */
  addBatch(fault: Parameters<typeof deadBatch>[0], data: Uint8Array): void;
}

/**
 * The processor's dead letters: what can't be decoded, is impossible, or is refused by the store, in a segment log of the processor's own.
 * When the log is full, the oldest ones go, and are counted.
 *
 * A letter is safe before the checkpoint passes over what it is about, so a crash loses none; what a replay brings again is recognised by
 * its id.
 */
export class DeadLetters implements DeadLetterSink {
  /** Messages that could not be used since the start, by reason. */
  readonly rejected = new Map<string, number>();
  readonly recovery: Recovery;
  readonly #log: SegmentLog;
  /** In the order of their positions. */
  readonly #entries = new Map<string, Entry>();
  #unsaved: (DeadLetter | Settled)[] = [];
  #unsavedBytes = 0;
  #flushing: Promise<void> = Promise.resolve();
  /** Letters that went because the log was full, since the start. */
  dropped = 0;

  private constructor(log: SegmentLog, recovery: Recovery) {
    this.#log = log;
    this.recovery = recovery;
  }

  /**
   * Opens the log under `dataDir` and reads it.
   *
   * @throws SegmentLogError `locked` if another process has it open.
   */
  static async open(dataDir: string, bytesMax: number): Promise<DeadLetters> {
    const segmentBytesMax = processorLimits.deadLetterSegmentBytes;
    const { log, recovery } = await SegmentLog.open({
      directory: deadLetterDirectory(dataDir),
      durability: 'power',
      bytesMax,
      segmentBytesMax,
      whenFull: 'drop-unsent',
      dropping: async (range) => letters.#forget(range),
    });
    const letters = new DeadLetters(log, recovery);
    for await (const { first, items } of log.read(log.first)) {
      for (const [index, bytes] of items.entries()) letters.#remember(decodeRecord(bytes), first + index);
    }
    return letters;
  }

  #remember(record: DeadLetter | Settled, position: number | undefined): void {
    if (record.kind === 'settled') {
      const entry = this.#entries.get(record.id);
      if (entry !== undefined) entry.settled = record.how;
      return;
    }
    const { id, kind, at, reason, message } = record;
    // One that comes again after it was tried again is a new one.
    this.#entries.delete(id);
    this.#entries.set(id, {
      position,
      summary: { id, kind, at, reason, message },
      settled: undefined,
      retry: undefined,
    });
  }

  async #forget({ from, to }: PositionRange): Promise<void> {
    for (const [id, { position, settled }] of this.#entries) {
      if (position === undefined || position < from || position > to) continue;
      this.#entries.delete(id);
      if (settled === undefined) this.dropped += 1;
    }
  }

  /** Letters that wait for a person. */
  get open(): number {
    let open = 0;
    for (const { settled } of this.#entries.values()) if (settled === undefined) open += 1;
    return open;
  }

  /** Bytes that the log takes on the disk. */
  get bytes(): number {
    return this.#log.bytes;
  }

  /** False while so much waits for the disk that nothing more should be read. */
  get hasRoom(): boolean {
    return this.#unsavedBytes < processorLimits.deadLettersUnsavedBytesMax;
  }

  addBatch(fault: Parameters<typeof deadBatch>[0], data: Uint8Array): void {
    this.rejected.set(fault.reason, (this.rejected.get(fault.reason) ?? 0) + 1);
    this.#add(deadBatch(fault, data));
  }

  /** Takes rows that the store refused; they are safe when this resolves. */
  async addRows(rows: readonly { readonly row: Row; readonly reason: string }[], at: number): Promise<void> {
    for (const { row, reason } of rows) this.#add(deadRow(row, reason, at));
    await this.flush();
  }

  #add(letter: DeadLetter): void {
    const known = this.#entries.get(letter.id);
    if (known?.retry === 'running') known.retry = 'failed';
    if (known !== undefined && known.settled !== 'retried') return;
    this.#remember(letter, undefined);
    this.#enqueue(letter);
  }

  #enqueue(record: DeadLetter | Settled): void {
    this.#unsaved.push(record);
    this.#unsavedBytes += sizeOf(record);
  }

  /**
   * Resolves when everything that was added is on the disk.
   *
   * @throws SegmentLogError if it is not; it stays and is tried again by the next call.
   */
  async flush(): Promise<void> {
    this.#flushing = this.#flushing.catch(() => {}).then(async () => this.#write());
    return this.#flushing;
  }

  async #write(): Promise<void> {
    for (let record = this.#unsaved[0]; record !== undefined; record = this.#unsaved[0]) {
      const part = this.#takePart();
      const first = await this.#log.append(part.map(encodeRecord), { now: true });
      this.#unsaved = this.#unsaved.slice(part.length);
      for (const [index, written] of part.entries()) {
        this.#unsavedBytes -= sizeOf(written);
        const entry = written.kind === 'settled' ? undefined : this.#entries.get(written.id);
        if (entry !== undefined) entry.position = first + index;
      }
    }
  }

  /** As many of the records that wait as belong into one append. */
  #takePart(): (DeadLetter | Settled)[] {
    let bytes = 0;
    const end = this.#unsaved.findIndex((record, index) => {
      bytes += sizeOf(record);
      return index > 0 && bytes > processorLimits.deadLetterSegmentBytes / 4;
    });
    return end === -1 ? this.#unsaved.slice() : this.#unsaved.slice(0, end);
  }

  /** Letters that wait for a person, the newest first. */
  list(limit: number, after?: string): { readonly items: readonly DeadLetterSummary[]; readonly next: string | null } {
    const open = [...this.#entries.values()].filter(({ settled }) => settled === undefined).toReversed();
    const start = after === undefined ? 0 : open.findIndex(({ summary }) => summary.id === after) + 1;
    const items = open.slice(start, start + limit).map(({ summary }) => summary);
    return { items, next: start + limit < open.length ? (items.at(-1)?.id ?? null) : null };
  }

  /** A letter that waits for a person, whole; undefined if there is none of that id, or it can't be read any more. */
  async get(id: string): Promise<DeadLetter | undefined> {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settled !== undefined) return undefined;
    await this.flush();
    const { position } = entry;
    if (position === undefined) return undefined;
    for await (const { first, items } of this.#log.read(position)) {
      const bytes = first === position ? items[0] : undefined;
      const record = bytes === undefined ? undefined : decodeRecord(bytes);
      return record?.kind === 'settled' ? undefined : record;
    }
    return undefined;
  }

  /** Ends a letter. Returns false if there is none of that id. */
  async settle(id: string, how: Settled['how'], at: number): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.settled !== undefined) return false;
    this.#enqueue({ kind: 'settled', id, at, how });
    await this.flush();
    entry.settled = how;
    await this.#trim();
    return true;
  }

  /**
   * Tries a letter again by `act`, which resolves when what the letter holds is safe elsewhere, and ends it.
   *
   * @returns false if it came back at once, and so stays.
   */
  async retry(id: string, act: () => Promise<void>, now: () => number): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    entry.retry = 'running';
    try {
      await act();
      // Read through a function, because `act` may have changed it.
      if (cameBack(entry)) return false;
    } finally {
      entry.retry = undefined;
    }
    return this.settle(id, 'retried', now());
  }

  /** What lies before the oldest letter that waits is not needed any more. */
  async #trim(): Promise<void> {
    const oldest = [...this.#entries.values()].find(({ settled }) => settled === undefined);
    await this.#log.trim(oldest === undefined ? this.#log.next : (oldest.position ?? 1));
    const { first } = this.#log;
    for (const [id, { position }] of this.#entries) {
      if (position !== undefined && position < first) this.#entries.delete(id);
    }
  }

  /** Saves what waits and closes the log. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#log.close();
    }
  }
}

const cameBack = ({ retry }: Entry): boolean => retry === 'failed';

/** The folder of the dead letters. */
export const deadLetterDirectory = (dataDir: string): string => path.join(dataDir, 'dead-letters');

/** About the bytes of a record. */
function sizeOf(record: DeadLetter | Settled): number {
  if (record.kind === 'settled') return 100;
  return record.kind === 'batch' ? record.data.length + 500 : 2_000;
}
