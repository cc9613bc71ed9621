import type { EpochMs } from '@floorwatch/contracts';
import { StartError } from '@floorwatch/runtime';
import {
  type PositionRange,
  type Recovery,
  SegmentLog,
  type SegmentLogCounts,
  type SegmentLogOptions,
} from '@floorwatch/segment-log';

import {
  type ArrivalItem,
  isStart,
  type JournalItem,
  JournalItemError,
  JournalItemWriter,
  readJournalItem,
  type ReadingItem,
  type StartItem,
  type TickItem,
  timeOf,
} from './journal-item.ts';

export type JournalOptions = Pick<
  SegmentLogOptions,
  | 'directory'
  | 'durability'
  | 'bytesMax'
  | 'reserveBytes'
  | 'segmentBytesMax'
  | 'commitDelayMs'
  | 'committed'
  | 'makeSpace'
  | 'fileSystem'
>;

/** Items at consecutive positions, the first at `first`. */
export interface JournalPart {
  readonly first: number;
  readonly items: readonly JournalItem[];
}

/**
 * The log of accepted input: readings, ticks of the clock and starts. What an append has resolved for survives, and only that may be
 * processed. Appends are committed in groups, and resolve in the order in which they were asked for.
 */
export class Journal {
  readonly #directory: string;
  readonly #log: SegmentLog;
  readonly #writer = new JournalItemWriter();
  readonly recovery: Recovery;
  #oldestAt: EpochMs | null = null;

  private constructor(directory: string, log: SegmentLog, recovery: Recovery) {
    this.#directory = directory;
    this.#log = log;
    this.recovery = recovery;
  }

  /** Opens the journal in its own directory, or makes it. @throws SegmentLogError as {@link SegmentLog.open}. */
  static async open(options: JournalOptions): Promise<Journal> {
    const { log, recovery } = await SegmentLog.open(options);
    const journal = new Journal(options.directory, log, recovery);
    await journal.#findOldest();
    return journal;
  }

  /** Position of the oldest item held; {@link next} if there is none. */
  get first(): number {
    return this.#log.first;
  }

  /** Position that the next item gets. Everything before it is safe. */
  get next(): number {
    return this.#log.next;
  }

  get bytes(): number {
    return this.#log.bytes;
  }

  get counts(): Readonly<SegmentLogCounts> {
    return this.#log.counts;
  }

  /** When the oldest item held came; null: there is none. */
  get oldestAt(): EpochMs | null {
    return this.#oldestAt;
  }

  /** Resolves with the position of the first one, readings before arrivals, when all are safe. @throws SegmentLogError and keeps none of them. */
  async appendReadings(items: readonly ReadingItem[], arrivals: readonly ArrivalItem[] = []): Promise<number> {
    const first = items[0] ?? arrivals[0];
    for (const item of items) this.#writer.reading(item);
    for (const item of arrivals) this.#writer.arrival(item);
    const safe = this.#log.append(this.#writer.take());
    if (first !== undefined) this.#oldestAt ??= first.receivedAt;
    return safe;
  }

  /** As {@link appendReadings}. */
  async appendTick(item: TickItem): Promise<number> {
    this.#writer.tick(item);
    return this.#log.append(this.#writer.take());
  }

  /** As {@link appendReadings}, at once, and also where only the reserve has room: an agent that can't begin can't make room either. */
  async appendStart(item: StartItem): Promise<number> {
    this.#writer.start(item);
    const safe = this.#log.append(this.#writer.take(), { now: true, reserve: true });
    this.#oldestAt ??= item.at;
    return safe;
  }

  /**
   * The items from a position on, up to what is safe now. Positions that are not there are passed over.
   *
   * @throws StartError at an item that this release can't read.
   */
  async *read(from: number): AsyncGenerator<JournalPart> {
    for await (const { first, items } of this.#log.read(from)) {
      yield { first, items: items.map((bytes, index) => this.#item(bytes, first + index)) };
    }
  }

  /** The starts from a position on. @throws StartError at one that this release can't read. */
  async *starts(from: number): AsyncGenerator<{ readonly position: number; readonly start: StartItem }> {
    for await (const { first, items } of this.#log.read(from)) {
      for (const [index, bytes] of items.entries()) {
        if (!isStart(bytes)) continue;
        const item = this.#item(bytes, first + index);
        if (item.kind === 'start') yield { position: first + index, start: item };
      }
    }
  }

  #item(bytes: Uint8Array, position: number): JournalItem {
    try {
      return readJournalItem(bytes);
    } catch (error) {
      if (!(error instanceof JournalItemError)) throw error;
      const remedy = 'start the release that wrote it, or move the folder away and lose what it holds';
      const message = `item ${position} of the journal in ${this.#directory} can't be read: ${error.message}; ${remedy}`;
      throw new StartError('config-invalid', message, { cause: error });
    }
  }

  /** How many of the positions that {@link read} passed over were safe once. */
  lostIn(range: PositionRange): number {
    return this.#log
      .absences(range)
      .reduce((sum, { from, to, why }) => sum + (why === 'skipped' ? 0 : to - from + 1), 0);
  }

  /** Items before `position` are not needed any more. */
  async trim(position: number): Promise<void> {
    const freed = await this.#log.trim(position);
    if (freed > 0) await this.#findOldest();
  }

  /** The next item gets `position` or a later one. */
  async advanceTo(position: number): Promise<void> {
    await this.#log.advanceTo(position);
  }

  async #findOldest(): Promise<void> {
    this.#oldestAt = null;
    for await (const { items } of this.read(this.first)) {
      const [item] = items;
      if (item === undefined) continue;
      this.#oldestAt = timeOf(item);
      return;
    }
  }

  /** Finishes the appends in hand and lets go of everything. */
  async close(): Promise<void> {
    await this.#log.close();
  }
}
