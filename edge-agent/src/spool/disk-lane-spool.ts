import { epochMs, type GapRecord, type Lane } from '@floorwatch/contracts';
import { Condition } from '@floorwatch/runtime';
import {
  type Frame,
  nodeFileSystem,
  type PositionRange,
  type Recovery,
  SegmentLog,
  type SegmentLogCounts,
  SegmentLogError,
  type SegmentLogOptions,
} from '@floorwatch/segment-log';

import type { LanePart, LaneSpool } from '../lane-spool.ts';
import { describeItems, type DroppedFrame, gapEnd } from './dropped-frames.ts';
import type { EpochSpan } from './epoch-table.ts';
import { EPOCHS_MAX, LaneTable } from './lane-table.ts';
import { rebuildEpochs } from './rebuild-epochs.ts';
import { RecentFrames } from './recent-frames.ts';

export interface DiskLaneSpoolOptions extends Pick<
  SegmentLogOptions,
  'directory' | 'durability' | 'bytesMax' | 'reserveBytes' | 'commitDelayMs' | 'committed' | 'makeSpace' | 'fileSystem'
> {
  readonly lane: Lane;
  /** `drop-unsent`: the oldest segment that was never sent goes to make room, and a gap stands for it. `refuse`: {@link LaneSpool.append} fails. */
  readonly whenFull: 'refuse' | 'drop-unsent';
  /**
   * Bytes of a segment, and of the most that one append may hold. By default a sixteenth of `bytesMax`, from 256 KiB to 8 MiB: a segment is
   * what is dropped or trimmed at a time.
   */
  readonly segmentBytesMax?: number;
}

const SEGMENT_BYTES_MIN = 256 * 1024;
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of the newest items that are in memory too: what a batch can hold. */
const RECENT_BYTES_MAX = 256 * 1024;
/** Where the sender goes on after a restart. */
const SENDER = 'sender';
const REASONS = { trimmed: 'trimmed', dropped: 'cap', damaged: 'damage', skipped: 'damage' } as const;

/** A {@link LaneSpool} over a segment log, with a table of its epochs and of what was dropped beside it. */
export class DiskLaneSpool implements LaneSpool {
  readonly lane: Lane;
  readonly bytesMax: number;
  /**
   * Positions from here on are kept although they are released, as long as there is room: a start that goes on from a snapshot may have to
   * look at them.
   */
  keepFrom = Infinity;
  /** The last position that was released. */
  #released = 0;
  readonly #log: SegmentLog;
  readonly #table: LaneTable;
  /** With less room than this, an append may have to drop or refuse. */
  readonly #roomMin: number;
  /** What is sent at once need not come from the disk: opening and reading a file takes longer than to publish an anomaly. */
  readonly #recent = new RecentFrames(RECENT_BYTES_MAX);
  readonly #changed = new Condition();
  /** Appends in hand, in order. */
  readonly #appending = new Set<Promise<void>>();
  /** The newest of those that begins an epoch: none behind it may take the position of its first item. */
  #beginning: Promise<void> | undefined;

  private constructor(
    { lane, bytesMax }: DiskLaneSpoolOptions,
    log: SegmentLog,
    table: LaneTable,
    segmentBytesMax: number,
  ) {
    this.lane = lane;
    this.bytesMax = bytesMax;
    this.#roomMin = 2 * segmentBytesMax;
    this.#log = log;
    this.#table = table;
  }

  /**
   * Opens the lane in its own directory, or makes it.
   *
   * @throws SegmentLogError as {@link SegmentLog.open}; `format` if the table of epochs is damaged and the records do not tell what it said.
   */
  static async open(
    options: DiskLaneSpoolOptions,
  ): Promise<{ readonly spool: DiskLaneSpool; readonly recovery: Recovery }> {
    const { bytesMax, directory, fileSystem = nodeFileSystem } = options;
    const segmentBytesMax =
      options.segmentBytesMax ?? Math.min(SEGMENT_BYTES_MAX, Math.max(SEGMENT_BYTES_MIN, Math.floor(bytesMax / 16)));
    let spool: DiskLaneSpool | undefined;
    const { log, recovery } = await SegmentLog.open({
      ...options,
      segmentBytesMax,
      // There is a spool by the time that there is an append.
      dropping: async (range, frames) => spool!.#describe(range, frames),
    });
    let table: LaneTable | undefined;
    try {
      const opened = await LaneTable.open(fileSystem, directory);
      ({ table } = opened);
      if (!opened.found && log.next > 1) {
        const epochs = await rebuildEpochs(log);
        if (epochs === undefined) throw tableLost(directory);
        table.replaceEpochs(epochs);
      }
      if (table.epochs.withdraw(log.next)) table.invalidate();
      spool = new DiskLaneSpool(options, log, table, segmentBytesMax);
      return { spool, recovery };
    } catch (error) {
      await table?.close().catch(() => {});
      await log.close().catch(() => {});
      throw error;
    }
  }

  get epoch(): string | undefined {
    return this.#table.epochs.at(this.next - 1)?.epoch;
  }

  get lastNumber(): number {
    return this.next - (this.#table.epochs.at(this.next - 1)?.first ?? this.next);
  }

  get next(): number {
    return this.#log.next;
  }

  get first(): number {
    return this.#log.first;
  }

  get beginning(): number {
    const { epochs } = this.#table;
    // What lies before the oldest item was committed once; whoever has forgotten that gets one gap for it, and not all that came before.
    let index = epochs.entries.findLastIndex(({ first }) => first <= this.first);
    while (index > 0 && !this.#isTrimmed(epochs.entries[index]!.first)) index -= 1;
    return epochs.entries[Math.max(index, 0)]?.first ?? this.next;
  }

  /** Whether a position is gone because it is not needed any more, also after a crash. */
  #isTrimmed(position: number): boolean {
    return position < Math.min(this.first, this.#log.trimmedDurable);
  }

  get bytes(): number {
    return this.#log.bytes;
  }

  get dropped(): number {
    return this.#log.counts.dropped;
  }

  /** Items, commits, refusals and sync failures since the start. */
  get counts(): Readonly<SegmentLogCounts> {
    return this.#log.counts;
  }

  get segments(): number {
    return this.#log.segments;
  }

  async append(
    items: readonly Uint8Array[],
    { epoch, now = false }: { readonly epoch?: string; readonly now?: boolean } = {},
  ): Promise<void> {
    const before = epoch === undefined ? this.#beginning : Promise.allSettled(this.#appending);
    const appended = this.#append(items, epoch, now, before);
    this.#appending.add(appended);
    if (epoch !== undefined) this.#beginning = appended;
    try {
      await appended;
    } finally {
      this.#appending.delete(appended);
      if (this.#beginning === appended) this.#beginning = undefined;
    }
  }

  async #append(
    items: readonly Uint8Array[],
    epoch: string | undefined,
    now: boolean,
    before: Promise<unknown> | undefined,
  ): Promise<void> {
    await before?.catch(() => {});
    try {
      if (epoch !== undefined) await this.#begin(epoch);
      else if (this.#table.stale) await this.#table.save();
      if (this.bytesMax - this.bytes < this.#roomMin) await this.#releaseKept();
      // What begins an epoch may use the reserve: room can depend on what the cloud processor says of the epoch, so it must hear of it.
      const options = { now, reserve: epoch !== undefined };
      const first = await this.#log.append(items, options).catch(async (error: unknown) => {
        const isFull = error instanceof SegmentLogError && error.code === 'disk-full';
        if (!isFull || (await this.#releaseKept()) === 0) throw error;
        return this.#log.append(items, options);
      });
      if (items.length > 0) this.#recent.add(first, items);
    } catch (error) {
      if (epoch !== undefined && this.#table.epochs.withdraw(this.next)) this.#table.invalidate();
      throw error;
    }
    this.#changed.notify();
  }

  /** Notes where an epoch begins, before its first item is written. */
  async #begin(epoch: string): Promise<void> {
    const { epochs } = this.#table;
    while (epochs.entries.length >= EPOCHS_MAX && this.#isTrimmed(epochs.entries[1]!.first)) epochs.forgetOldest();
    if (epochs.entries.length >= EPOCHS_MAX) {
      const message = `the ${this.lane} lane holds records of ${EPOCHS_MAX} starts that were never sent; it takes another one when some are`;
      throw new SegmentLogError('full', message);
    }
    epochs.begin(epoch, this.next);
    await this.#table.save();
    // Into the other slot too: damage to one must not take the name of the epoch.
    await this.#table.save();
  }

  async last(): Promise<Uint8Array | undefined> {
    for (const from of [this.next - 1, this.first]) {
      let newest: Uint8Array | undefined;
      for await (const { items } of this.#log.read(from)) newest = items.at(-1);
      if (newest !== undefined) return newest;
    }
    return undefined;
  }

  async read(from: number, bytesMax: number, itemsMax: number): Promise<LanePart | undefined> {
    const start = Math.max(from, this.#table.epochs.first ?? this.next);
    const { next } = this;
    const span = this.#table.epochs.at(start);
    if (span === undefined || start >= next) return undefined;
    const end = Math.min(span.last, next - 1);
    // A part lies in one segment, so that marking its last item as sent marks all of it.
    const inSegment = this.#log.segmentEnd(start);
    const segmentEnd = Math.min(end, inSegment ?? end);
    // What was dropped is a gap, whether it is remembered or not.
    const recent = inSegment === undefined ? undefined : this.#recent.from(start);
    const items: Uint8Array[] = [];
    let bytes = 0;
    let found = next;
    for await (const frame of recent ?? this.#log.read(start)) {
      if (items.length === 0) found = frame.first;
      if (frame.first !== start + items.length || frame.first > segmentEnd) break;
      const rest = frame.items.slice(0, segmentEnd - frame.first + 1);
      const count = countThatFits(rest, bytesMax - bytes, itemsMax - items.length);
      if (count < rest.length && items.length > 0) break;
      items.push(...rest.slice(0, Math.max(count, 1)));
      bytes += rest.reduce((sum, { length }) => sum + length, 0);
      if (count < rest.length) break;
    }
    const { epoch } = span;
    const number = start - span.first + 1;
    if (items.length > 0) return { kind: 'records', epoch, from: start, to: start + items.length - 1, number, items };
    return this.#gap(span, { from: start, to: Math.min(found - 1, end) });
  }

  /** What stands in the place of positions of one epoch that are not there. */
  async #gap({ epoch, first, predecessor }: EpochSpan, missing: PositionRange): Promise<LanePart> {
    const absence = this.#log.absences(missing)[0] ?? { ...missing, why: 'damaged' as const };
    const { from, why } = absence;
    const to = gapEnd(absence, (through) => this.#table.unparted(through));
    const number = from - first + 1;
    const frames = why === 'dropped' ? this.#table.droppedIn({ from, to }) : [];
    const gap: GapRecord = {
      kind: 'gap',
      number,
      to: to - first + 1,
      reason: REASONS[why],
      frames: frames.map((frame) => ({
        number: frame.from - first + 1,
        to: frame.to - first + 1,
        readings: frame.readings,
        anomalies: frame.anomalies,
        eventTimes:
          frame.eventTimes === null ? null : { from: epochMs(frame.eventTimes.from), to: epochMs(frame.eventTimes.to) },
      })),
      ...(number === 1 ? { predecessor } : {}),
    };
    // Where the end of a gap can't be remembered, a frame may be told twice; numbers stay right.
    if (frames.length > 0) await this.#table.tell(to).catch(() => {});
    return { kind: 'gap', epoch, from, to, number, gap };
  }

  locate(epoch: string, number: number): number | undefined {
    return this.#table.epochs.locate(epoch, number);
  }

  async markSent(position: number): Promise<boolean> {
    return this.#log.markSent(position);
  }

  get markedThrough(): number {
    return this.#log.markedThrough;
  }

  heldFrom(from: number): number {
    return this.#log.heldFrom(from);
  }

  async release(through: number): Promise<void> {
    this.#released = Math.max(this.#released, through);
    const whole = this.#table.unparted(Math.min(through, this.keepFrom - 1));
    await this.#log.trim(whole + 1);
    this.#table.forgetThrough(Math.min(whole, this.#log.trimmedDurable - 1));
  }

  /** Lets go of what is kept for later starts only; returns the bytes that became free. */
  async #releaseKept(): Promise<number> {
    if (this.keepFrom > this.#released) return 0;
    const { bytes } = this;
    this.keepFrom = this.#released + 1;
    await this.release(this.#released);
    return Math.max(0, bytes - this.bytes);
  }

  /**
   * Makes space for others: lets go of what is kept for later starts only, else drops the oldest segment that was never sent, where the
   * policy allows it.
   *
   * @returns the bytes that became free; 0: there was nothing to drop.
   */
  async dropOldest(): Promise<number> {
    return (await this.#releaseKept()) || this.#log.dropOldest();
  }

  async #describe(range: PositionRange, frames: AsyncGenerator<Frame>): Promise<void> {
    const described: DroppedFrame[] = [];
    for await (const { first, items } of frames) {
      // A frame is of one epoch, unless appends of two came together.
      for (let done = 0; done < items.length;) {
        const from = first + done;
        const last = this.#table.epochs.at(from)?.last ?? from;
        const part = items.slice(done, last - first + 1);
        described.push(describeItems(from, part));
        done += part.length;
      }
    }
    const isDropped = (position: number): boolean => {
      const why = this.#log.absences({ from: position, to: position })[0]?.why;
      // After a crash, what is not durably trimmed counts as dropped again.
      return why === 'dropped' || (why === 'trimmed' && position >= this.#log.trimmedDurable);
    };
    this.#table.describe(range, described, isDropped);
    await this.#table.save();
  }

  get sentThrough(): number {
    return this.#log.cursor(SENDER) ?? 1;
  }

  async saveSentThrough(position: number): Promise<void> {
    await this.#log.setCursor(SENDER, Math.max(1, position));
  }

  async waitForItem(from: number, signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.next > from, signal);
  }

  /** Finishes the appends in hand and lets go of everything. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#appending);
    try {
      await this.#log.close();
    } finally {
      await this.#table.close();
    }
  }
}

/** How many of the first items fit. */
function countThatFits(items: readonly Uint8Array[], bytesMax: number, itemsMax: number): number {
  let bytes = 0;
  const over = items.findIndex((item, index) => index >= itemsMax || (bytes += item.length) > bytesMax);
  return over === -1 ? items.length : over;
}

const tableLost = (directory: string): SegmentLogError =>
  new SegmentLogError(
    'format',
    `the table of epochs in ${directory} is damaged, and without it the records there can't be numbered; restore the file "epochs", or move the folder away`,
  );
