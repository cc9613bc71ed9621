import type { ProcessLock } from '@floorwatch/runtime';

import { type Absence, absencesIn } from './absence.ts';
import { CommitGroup, GROUP_BUFFER_BYTES_MIN } from './commit-group.ts';
import { SegmentLogError } from './errors.ts';
import { type FileSystem, nodeFileSystem } from './file-system.ts';
import { bodyBytes, countOf, FRAME_HEADER_BYTES, HEADER_BYTES, type ItemBlock } from './format.ts';
import { limits } from './limits.ts';
import { type AppendOptions, checkedSegmentBytes, type SegmentLogOptions } from './log-options.ts';
import { checkCursor, LogState } from './log-state.ts';
import { type PositionRange, without, withRange } from './position-ranges.ts';
import { recover, type Recovery } from './recovery.ts';
import { type Frame, removeFile, type Segment } from './segment.ts';
import { SegmentWriter } from './segment-writer.ts';

/** What happened since the log was opened. */
export interface SegmentLogCounts {
  items: number;
  commits: number;
  /** Items whose append failed. */
  refused: number;
  syncFailures: number;
  dropped: number;
}

/**
 * An append-only log of items, each with a position that counts up from 1. An append is acknowledged when its items are safe; what was
 * acknowledged is found again after a kill, and with `durability: power` after a power cut. Appends that come while others wait or are
 * being written join one frame (group commit), but the items of one append are never parted. Segments are deleted whole.
 */
export class SegmentLog {
  readonly #options: SegmentLogOptions;
  readonly #fileSystem: FileSystem;
  readonly #segmentBytesMax: number;
  readonly #groupBytesMax: number;
  readonly #delayMs: number;
  readonly #lock: ProcessLock;
  readonly #state: LogState;
  readonly #segments: Segment[];
  readonly #writer: SegmentWriter;
  readonly counts: SegmentLogCounts = { items: 0, commits: 0, refused: 0, syncFailures: 0, dropped: 0 };
  /** Everything up to this mark is durably marked as sent. */
  #sentDurable: number;
  #trimmedDurable: number;
  #next: number;
  /** The last one takes appends; those before it wait for the disk. */
  readonly #groups: CommitGroup[] = [];
  #pendingBytes = 0;
  #pendingItems = 0;
  #committing: Promise<void> | undefined;
  #dropping: Promise<number> | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #buffers: Buffer[] = [];
  #closed: Promise<void> | undefined;

  private constructor(options: SegmentLogOptions, segmentBytesMax: number, opened: Opened) {
    this.#options = options;
    this.#fileSystem = opened.fileSystem;
    this.#segmentBytesMax = segmentBytesMax;
    this.#groupBytesMax = Math.min(limits.groupBytes, segmentBytesMax / 4);
    this.#delayMs = options.commitDelayMs ?? 0;
    this.#lock = opened.lock;
    this.#state = opened.state;
    this.#sentDurable = opened.state.content.sent;
    this.#trimmedDurable = opened.state.content.trimmed;
    this.#segments = opened.segments;
    this.#next = opened.next;
    this.#writer = new SegmentWriter({
      ...opened,
      directory: options.directory,
      powerSafe: options.durability === 'power',
      segmentBytesMax,
    });
  }

  /**
   * Opens the log: takes its lock, cuts off a torn end, sets damaged bytes aside, and syncs what it found, because a kill can leave data
   * that looks safe and is not.
   *
   * @throws SegmentLogError `locked`, `format`, or `sync-failed`, `write-failed`, `disk-full` if the disk does not do its part.
   */
  static async open(options: SegmentLogOptions): Promise<{ readonly log: SegmentLog; readonly recovery: Recovery }> {
    const segmentBytesMax = checkedSegmentBytes(options);
    const { directory, fileSystem = nodeFileSystem } = options;
    await fileSystem.makeDirectory(directory);
    const lock = await fileSystem.lock(directory);
    let state: LogState | undefined;
    try {
      const loaded = await LogState.open(fileSystem, directory);
      state = loaded.state;
      const { recovery, ...recovered } = await recover(fileSystem, directory, loaded);
      // Also so that what recovery decided is decided for good, before anything is built on it.
      await state.save();
      return { log: new SegmentLog(options, segmentBytesMax, { ...recovered, fileSystem, lock, state }), recovery };
    } catch (error) {
      await state?.close().catch(() => {});
      await lock.release();
      throw error;
    }
  }

  /** The oldest position that is kept; equal to {@link next} when there is none. */
  get first(): number {
    return this.#segments[0]?.first ?? this.#next;
  }

  /** The position that the next item will get. Everything before it is safe. */
  get next(): number {
    return this.#next;
  }

  /**
   * Positions before it are trimmed also for a start after a crash. For those behind it that start may have another answer, and needs what
   * is known of them.
   */
  get trimmedDurable(): number {
    return this.#trimmedDurable;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.end, 0);
  }

  get segments(): number {
    return this.#segments.length;
  }

  /** Bytes that wait for the disk. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Appends items in one frame and resolves with the position of the first when all are safe. The items are copied at once. None: the
   * position that the next one will get, at once.
   *
   * @throws SegmentLogError and keeps nothing of the items.
   */
  append(
    items: readonly Uint8Array[] | ItemBlock,
    { now = false, reserve = false }: AppendOptions = NO_OPTIONS,
  ): Promise<number> {
    const [count, bytes] = [countOf(items), bodyBytes(items)];
    const fault = this.#faultOf(count, bytes);
    if (fault !== undefined) {
      this.counts.refused += count;
      return Promise.reject(fault);
    }
    if (count === 0) return Promise.resolve(this.#next);
    const group = this.#groupFor(bytes, reserve);
    const safe = group.add(items, bytes);
    this.#pendingBytes += bytes;
    this.#pendingItems += count;
    if (now) for (const waiting of this.#groups) waiting.urgent = true;
    this.#schedule();
    return safe;
  }

  /** Why so many items of so many bytes can't be appended, if they can't. */
  #faultOf(items: number, bytes: number): SegmentLogError | undefined {
    const { directory } = this.#options;
    if (this.#closed !== undefined) return new SegmentLogError('closed', `the log in ${directory} is closed`);
    const max = this.#segmentBytesMax - HEADER_BYTES - FRAME_HEADER_BYTES;
    if (bytes > max) {
      const message = `an append of ${bytes} bytes does not fit a segment of ${this.#segmentBytesMax}; the most is ${max}`;
      return new SegmentLogError('too-large', message);
    }
    if (this.#pendingBytes + bytes > limits.pendingBytesMax && this.#pendingBytes > 0) {
      const message = `${this.#pendingBytes} bytes wait for the disk of the log in ${directory}; append less at a time`;
      return new SegmentLogError('overloaded', message);
    }
    if (this.#next + this.#pendingItems + items > Number.MAX_SAFE_INTEGER) {
      return new SegmentLogError('format', `the log in ${directory} has no positions left`);
    }
    return undefined;
  }

  #groupFor(bytes: number, reserve: boolean): CommitGroup {
    const last = this.#groups.at(-1);
    const isOpen = last !== undefined && last.reserve === reserve && last.bytes + bytes <= this.#groupBytesMax;
    if (isOpen) return last;
    const group = new CommitGroup(reserve, this.#buffers.pop() ?? Buffer.alloc(GROUP_BUFFER_BYTES_MIN));
    this.#groups.push(group);
    return group;
  }

  /** Starts committing, or sees to it that it starts in time. */
  #schedule(): void {
    if (this.#committing !== undefined) return;
    const wait = this.#waitFor(this.#groups[0]);
    if (wait === undefined) return;
    if (wait <= 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#committing = this.#commitAll();
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        if (this.#committing === undefined) this.#committing = this.#commitAll();
      }, wait);
    }
  }

  /** Milliseconds until a group is due; undefined if there is none. */
  #waitFor(group: CommitGroup | undefined): number | undefined {
    if (group === undefined) return undefined;
    const due = this.#groups.length > 1 || group.urgent || this.#closed !== undefined;
    if (due || group.bytes >= this.#groupBytesMax / 2) return 0;
    return group.openedAt + this.#delayMs - performance.now();
  }

  async #commitAll(): Promise<void> {
    // Appends of this turn of the event loop share a frame.
    await Promise.resolve();
    do {
      const group = this.#groups.shift();
      if (group === undefined) break;
      await this.#commit(group);
    } while ((this.#waitFor(this.#groups[0]) ?? 1) <= 0);
    this.#committing = undefined;
    this.#schedule();
  }

  async #commit(group: CommitGroup): Promise<void> {
    const first = this.#next;
    const begun = performance.now();
    try {
      await this.#makeRoom(group);
      await this.#write(group, first);
      this.#next = first + group.items;
      this.counts.items += group.items;
      this.counts.commits += 1;
      group.committed(first);
      this.#options.committed?.({
        items: group.items,
        bytes: group.bytes,
        durationMs: performance.now() - begun,
      });
    } catch (error) {
      this.counts.refused += group.items;
      if (error instanceof SegmentLogError && error.code === 'sync-failed') this.counts.syncFailures += 1;
      group.failed(error);
    }
    this.#pendingBytes -= group.bytes - FRAME_HEADER_BYTES;
    this.#pendingItems -= group.items;
    const buffer = group.takeBuffer();
    if (buffer !== undefined && this.#buffers.length < 2) this.#buffers.push(buffer);
  }

  /** Writes a group; where the disk is full, drops what may be dropped until it is not. */
  async #write(group: CommitGroup, first: number): Promise<void> {
    for (;;) {
      try {
        await this.#writer.write(group, first);
        return;
      } catch (error) {
        if (!(error instanceof SegmentLogError) || error.code !== 'disk-full') throw error;
        if ((await this.dropOldest()) > 0) continue;
        if (((await this.#options.makeSpace?.()) ?? 0) === 0) throw error;
      }
    }
  }

  async #makeRoom(group: CommitGroup): Promise<void> {
    const { bytesMax, reserveBytes = 0, directory } = this.#options;
    const max = group.reserve ? bytesMax : bytesMax - reserveBytes;
    while (this.bytes + this.#writer.bytesFor(group) > max) {
      if ((await this.dropOldest()) > 0) continue;
      throw new SegmentLogError('full', `the log in ${directory} has reached its limit of ${max} bytes`);
    }
  }

  /**
   * Drops the oldest segment that is not marked as sent, as an append does that finds no room. Never the newest items.
   *
   * @returns the bytes that became free; 0 if there is nothing to drop, or `whenFull` forbids it.
   * @throws SegmentLogError if that could not be remembered: then nothing was dropped.
   */
  async dropOldest(): Promise<number> {
    this.#dropping ??= this.#dropUnsent().finally(() => (this.#dropping = undefined));
    return this.#dropping;
  }

  async #dropUnsent(): Promise<number> {
    const { content } = this.#state;
    if (this.#options.whenFull !== 'drop-unsent') return 0;
    for (;;) {
      if (content.dropped.length >= limits.droppedRangesMax) return 0;
      const segment = this.#removable().find(({ first }) => first > content.sent);
      if (segment === undefined) return 0;
      const range = { from: segment.first, to: segment.next - 1 };
      await this.#options.dropping?.(range, segment.frames(this.#fileSystem, segment.first, segment.next));
      // It may have been marked or trimmed meanwhile.
      if (segment.first <= content.sent || !this.#segments.includes(segment)) continue;
      content.dropped = withRange(content.dropped, range);
      try {
        await this.#saveState();
      } catch (error) {
        // It is still there, and the next save of the state says so too.
        content.dropped = content.dropped.flatMap((other) => without(other, [range]));
        throw error;
      }
      this.counts.dropped += this.#itemsIn(range);
      await this.#remove([segment]);
      return segment.end;
    }
  }

  /** Segments that may go, oldest first: not the newest, nor the one that holds the newest item. */
  #removable(): Segment[] {
    const newest = this.#segments.findLastIndex(({ first, next }) => next > first);
    return this.#segments.slice(0, Math.max(0, newest));
  }

  /** Positions of a range that were given to items. */
  #itemsIn(range: PositionRange): number {
    return without(range, this.#state.content.skipped).reduce((sum, { from, to }) => sum + to - from + 1, 0);
  }

  /** A file that can't be removed now is removed by the next start. */
  async #remove(gone: readonly Segment[]): Promise<void> {
    for (const segment of gone) {
      const index = this.#segments.indexOf(segment);
      if (index === -1) continue;
      this.#segments.splice(index, 1);
      await removeFile(this.#fileSystem, segment.path).catch(() => {});
    }
  }

  async #saveState(): Promise<void> {
    const { content } = this.#state;
    content.next = this.#next;
    const { sent, trimmed } = content;
    await this.#state.save();
    this.#sentDurable = Math.max(this.#sentDurable, sent);
    this.#trimmedDurable = Math.max(this.#trimmedDurable, trimmed);
  }

  /**
   * The frames that hold positions from `from` on, up to what is safe now, in order. Positions that are not there are passed over; what
   * became of them {@link absences} tells. Appending, trimming and dropping may go on meanwhile.
   */
  async *read(from: number): AsyncGenerator<Frame> {
    const before = this.#next;
    const segments = this.#segments.slice();
    for (const [index, segment] of segments.entries()) {
      const end = Math.min(before, segment.next, segments[index + 1]?.first ?? before);
      if (end > from) yield* segment.frames(this.#fileSystem, from, end);
    }
  }

  /** Why a reader did not find the positions of `range`, which lie before {@link next}: in order, without gaps. */
  absences(range: PositionRange): Absence[] {
    return absencesIn(range, this.#state.content);
  }

  /** The first position at or behind `from` whose segment is there; {@link next} if there is none. */
  heldFrom(from: number): number {
    const segment = this.#segments.find(({ next }) => next > from);
    return segment === undefined ? this.#next : Math.max(from, segment.first);
  }

  /** The last position that may have been sent, by the marks: all of the newest segment that was marked before something of it was sent. */
  get markedThrough(): number {
    const { sent, trimmed } = this.#state.content;
    const marked = this.#segments.findLast(({ first }) => first <= sent);
    return Math.max(trimmed - 1, sent === 0 || marked === undefined ? 0 : marked.next - 1);
  }

  /** The last position that lies in one segment with `position`, as of now; undefined if no segment is to hold that. */
  segmentEnd(position: number): number | undefined {
    const segment = this.#segments.findLast(({ first }) => first <= position);
    return segment === undefined || position >= segment.next ? undefined : segment.next - 1;
  }

  /**
   * To be called before an item is sent to anybody: marks its segment, so that it is never dropped. Costs a write once per segment.
   *
   * @returns false if the item was dropped or trimmed before: then it must not be sent.
   * @throws SegmentLogError if the mark is not safe: then it must not be sent either.
   */
  async markSent(position: number): Promise<boolean> {
    const { content } = this.#state;
    const segment = this.#segments.findLast(({ first }) => first <= position);
    if (segment === undefined || position >= segment.next) return false;
    // It is there until it is certain that it may go, but it goes.
    if (content.dropped.some(({ from, to }) => from <= position && position <= to)) return false;
    if (segment.first <= this.#sentDurable) return true;
    // From now on it is not dropped, whether the mark is safe yet or not.
    content.sent = Math.max(content.sent, segment.first);
    await this.#saveState();
    return true;
  }

  /** The position of a cursor, or undefined if it was never set. */
  cursor(name: string): number | undefined {
    return this.#state.content.cursors.get(name);
  }

  /**
   * Remembers a position under a name; safe when this resolves. Calls that come together share one write.
   *
   * @param position undefined forgets the cursor.
   */
  async setCursor(name: string, position: number | undefined): Promise<void> {
    const { cursors } = this.#state.content;
    if (position === undefined) {
      cursors.delete(name);
    } else {
      checkCursor(cursors, name, position);
      cursors.set(name, position);
    }
    await this.#saveState();
  }

  /**
   * Positions before `position` are not needed any more: deletes the segments that hold no others, never the newest nor the one that holds
   * the newest item. Returns the bytes. Safe when this resolves if segments were deleted, or if some of the positions had been dropped.
   *
   * @throws SegmentLogError if that is not safe: then nothing was deleted, and {@link trimmedDurable} says how far it is.
   */
  async trim(position: number): Promise<number> {
    const { content } = this.#state;
    const trimmed = Math.min(position, this.#next);
    content.trimmed = Math.max(content.trimmed, trimmed);
    const gone = this.#removable().filter(({ next }) => next <= trimmed);
    // Of dropped positions there is nothing but what others have noted, and those keep it until this is safe.
    const wereDropped = trimmed > this.#trimmedDurable && content.dropped.some(({ from }) => from < trimmed);
    // Safe before anything goes: otherwise a power cut could bring back an older file without a newer one, which would look like damage.
    if (gone.length > 0 || wereDropped) await this.#saveState();
    content.dropped = content.dropped.filter(({ to }) => to >= trimmed);
    content.skipped = content.skipped.filter(({ to }) => to >= trimmed);
    await this.#remove(gone);
    return gone.reduce((bytes, segment) => bytes + segment.end, 0);
  }

  /**
   * The next item gets `position` or a later one; safe when this resolves. Positions that no item gets because of it are absent as
   * `skipped`. Appends in hand come before it.
   *
   * @throws SegmentLogError and changes nothing: `full` if the positions skipped before are too many, until they are trimmed.
   */
  async advanceTo(position: number): Promise<void> {
    const { directory } = this.#options;
    if (!Number.isSafeInteger(position) || position < 1)
      throw new SegmentLogError('format', `${position} is no position; those count from 1`);
    while (this.#committing !== undefined) await this.#committing;
    if (this.#closed !== undefined) throw new SegmentLogError('closed', `the log in ${directory} is closed`);
    if (position <= this.#next) return;
    const advancing = this.#skip({ from: this.#next, to: position - 1 });
    this.#committing = advancing.catch(() => {});
    try {
      await advancing;
    } finally {
      this.#committing = undefined;
      this.#schedule();
    }
  }

  async #skip(range: PositionRange): Promise<void> {
    const { content } = this.#state;
    const { skipped } = content;
    const added = withRange(skipped, range);
    if (added.length > limits.skippedRangesMax) {
      const { directory } = this.#options;
      throw new SegmentLogError('full', `the log in ${directory} has skipped positions too often; trim it first`);
    }
    content.skipped = added;
    this.#next = range.to + 1;
    try {
      await this.#saveState();
    } catch (error) {
      // Should the disk have got it all the same: an item that is there counts more than what says that it never was.
      content.skipped = skipped;
      this.#next = range.from;
      throw error;
    }
  }

  /**
   * Finishes the appends in hand, syncs, and lets go of everything.
   *
   * @throws SegmentLogError `sync-failed` if the last of it did not reach the disk; everything is closed all the same.
   */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    // `#closed` is set when this goes on, and makes every group due.
    await Promise.resolve();
    this.#schedule();
    while (this.#committing !== undefined) await this.#committing;
    try {
      await this.#writer.close();
      await this.#saveState();
    } finally {
      await this.#state.close().catch(() => {});
      await this.#lock.release();
    }
  }
}

const NO_OPTIONS: AppendOptions = {};

interface Opened {
  readonly fileSystem: FileSystem;
  readonly lock: ProcessLock;
  readonly state: LogState;
  readonly segments: Segment[];
  readonly next: number;
  readonly writable: boolean;
}
