import { randomInt } from 'node:crypto';
import path from 'node:path';

import { SegmentLogError, type SegmentLogErrorCode } from './errors.ts';
import { type FileSystem, nodeFileSystem } from './file-system.ts';
import { encodeFrame, frameBytes, HEADER_BYTES } from './format.ts';
import { type Damage, frameStart, scanSegment } from './recovery.ts';
import { type Frame, parseSegmentName, Segment, segmentName } from './segment.ts';

/** `power`: what is acknowledged survives a power cut. `process`: it survives the end of the process, however it ends. */
export type Durability = 'power' | 'process';

export interface SegmentLogOptions {
  /** The log's own directory; made if it is missing. One process may have it open at a time, which its owner sees to. */
  readonly directory: string;
  readonly durability: Durability;
  /** Bytes of all segments together, beyond which appends are refused. Trimming makes room. */
  readonly bytesMax: number;
  /** Bytes after which a new segment begins, 64 KiB and more; 4 MiB by default. A single frame may not be larger. */
  readonly segmentBytesMax?: number;
  /** The machine's own by default. */
  readonly fileSystem?: FileSystem;
}

/** What opening a log found. */
export interface Recovery {
  readonly segments: number;
  readonly bytes: number;
  /** Bytes of a write that was cut off at the very end; they were never acknowledged. */
  readonly tornBytes: number;
  readonly damage: readonly Damage[];
}

interface Pending {
  readonly items: readonly Uint8Array[];
  readonly resolve: (first: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An append-only log of items, each with a position that counts up from 1. An append is acknowledged when its items are safe; what was
 * acknowledged is found again after a kill, and with `durability: power` after a power cut. Appends that come while others are being
 * written join one frame (group commit), but the items of one append are never parted.
 *
 * Segments are deleted whole. An error of `sync` retires the file: nobody knows what of it is on the disk, so what was not
 * acknowledged is written again into the next segment, and positions that a segment shares with the next one count there.
 */
export class SegmentLog {
  readonly #directory: string;
  readonly #powerSafe: boolean;
  readonly #bytesMax: number;
  readonly #segmentBytesMax: number;
  readonly #fileSystem: FileSystem;
  #segments: Segment[] = [];
  /** Whether the newest segment may not be written to any more. */
  #retired = true;
  #next = 1;
  #pending: Pending[] = [];
  #committing: Promise<void> | undefined;
  #closed = false;
  #buffer = Buffer.alloc(0);

  private constructor(options: SegmentLogOptions) {
    this.#directory = options.directory;
    this.#powerSafe = options.durability === 'power';
    this.#bytesMax = options.bytesMax;
    this.#segmentBytesMax = options.segmentBytesMax ?? 4 * 1024 * 1024;
    this.#fileSystem = options.fileSystem ?? nodeFileSystem;
  }

  /**
   * Opens the log, cuts off a torn end, and syncs what it found: a kill can leave data that looks safe and is not.
   *
   * @throws SegmentLogError `sync-failed` or `write-failed` if the disk does not do its part.
   */
  static async open(options: SegmentLogOptions): Promise<{ log: SegmentLog; recovery: Recovery }> {
    const log = new SegmentLog(options);
    return { log, recovery: await log.#recover() };
  }

  /** The oldest position that is kept; equal to {@link next} when there is none. */
  get first(): number {
    return this.#segments[0]?.first ?? this.#next;
  }

  /** The position that the next item will get. Everything before it is safe. */
  get next(): number {
    return this.#next;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.end, 0);
  }

  /**
   * Appends items in one frame and resolves with the position of the first when all are safe.
   *
   * @throws SegmentLogError and keeps nothing of the items.
   */
  async append(items: readonly Uint8Array[]): Promise<number> {
    if (this.#closed) throw new SegmentLogError('closed', `the log in ${this.#directory} is closed`);
    const bytes = frameBytes(items);
    if (bytes > this.#segmentBytesMax - HEADER_BYTES) {
      throw new SegmentLogError(
        'too-large',
        `an append of ${bytes} bytes does not fit a segment of ${this.#segmentBytesMax}`,
      );
    }
    if (items.length === 0) return this.#next;
    const safe = new Promise<number>((resolve, reject) => this.#pending.push({ items, resolve, reject }));
    this.#committing ??= this.#commitAll();
    return safe;
  }

  /** The frames that hold positions from `from` on, up to what is safe now, in order. */
  async *read(from: number): AsyncGenerator<Frame> {
    const before = this.#next;
    const segments = this.#segments.slice();
    for (const [index, segment] of segments.entries()) {
      const end = Math.min(before, segments[index + 1]?.first ?? before);
      if (end > from) yield* segment.frames(from, end);
    }
  }

  /** Deletes the segments that hold only positions before `position`; never the newest. Returns the bytes that became free. */
  async trim(position: number): Promise<number> {
    let freed = 0;
    for (let second = this.#segments[1]; second !== undefined && second.first <= position; second = this.#segments[1]) {
      const oldest = this.#segments.shift();
      if (oldest === undefined) break;
      freed += oldest.end;
      await oldest.file.close();
      await this.#fileSystem.remove(oldest.path);
    }
    return freed;
  }

  /** Finishes the appends in hand and closes the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#committing;
    await Promise.all(this.#segments.map(async (segment) => segment.file.close()));
  }

  async #commitAll(): Promise<void> {
    // Appends of this turn of the event loop share a frame.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const group = this.#takeGroup();
      try {
        const first = await this.#commit(group.flatMap(({ items }) => items));
        let position = first;
        for (const { items, resolve } of group) {
          resolve(position);
          position += items.length;
        }
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#committing = undefined;
  }

  /** As many appends as one frame takes. */
  #takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const { items } of this.#pending) {
      bytes += frameBytes(items);
      if (count > 0 && bytes > this.#segmentBytesMax / 4) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  async #commit(items: readonly Uint8Array[]): Promise<number> {
    const first = this.#next;
    const bytes = frameBytes(items);
    if (this.bytes + bytes + HEADER_BYTES > this.#bytesMax) {
      throw new SegmentLogError(
        'full',
        `the log in ${this.#directory} has reached its limit of ${this.#bytesMax} bytes`,
      );
    }
    const segment = await this.#segmentFor(bytes);
    const start = frameStart(segment.end, this.#powerSafe);
    // The zeros up to the frame are written too, so that nothing of a longer write before it can remain.
    const padding = start - segment.end;
    if (this.#buffer.length < padding + bytes)
      this.#buffer = Buffer.alloc(Math.max(padding + bytes, this.#buffer.length * 2));
    this.#buffer.fill(0, 0, padding);
    const end = encodeFrame(this.#buffer, padding, first, items, segment.seed);
    try {
      await segment.file.write(this.#buffer.subarray(0, end), segment.end);
    } catch (error) {
      await this.#undo(segment);
      throw translated(error, 'write-failed', segment.path);
    }
    if (this.#powerSafe) await this.#sync(segment);
    segment.remember(first, start);
    segment.end += end;
    this.#next = first + items.length;
    segment.next = this.#next;
    return first;
  }

  /** Takes back what a failed write left; where even that fails, the file is not written to again. */
  async #undo(segment: Segment): Promise<void> {
    try {
      await segment.file.truncate(segment.end);
    } catch {
      this.#retired = true;
    }
  }

  async #sync(segment: Segment): Promise<void> {
    try {
      await segment.file.sync();
    } catch (error) {
      this.#retired = true;
      throw translated(error, 'sync-failed', segment.path);
    }
  }

  /** The newest segment if it takes `bytes` more, else a new one, whose name is durable before anything is written to it. */
  async #segmentFor(bytes: number): Promise<Segment> {
    const newest = this.#segments.at(-1);
    if (newest !== undefined && !this.#retired) {
      if (frameStart(newest.end, this.#powerSafe) + bytes <= this.#segmentBytesMax) return newest;
      // Retired before the next one exists: a failure in between must not lead back to a file that is full.
      this.#retired = true;
    }
    if (newest?.first === this.#next) await this.#discardEmpty(newest);
    let segment: Segment;
    try {
      segment = await Segment.create(this.#fileSystem, this.#directory, this.#next, randomInt(1, 2 ** 32));
    } catch (error) {
      throw translated(error, 'write-failed', this.#directory);
    }
    try {
      if (this.#powerSafe) await segment.file.sync();
      await this.#fileSystem.syncDirectory(this.#directory);
    } catch (error) {
      await this.#discard(segment);
      throw translated(error, 'sync-failed', segment.path);
    }
    this.#segments.push(segment);
    this.#retired = false;
    return segment;
  }

  /** A segment that begins where the next one will must go first: both would have the same name. */
  async #discardEmpty(segment: Segment): Promise<void> {
    this.#segments.pop();
    await this.#discard(segment);
  }

  async #discard(segment: Segment): Promise<void> {
    await segment.file.close();
    await this.#fileSystem.remove(segment.path);
  }

  async #recover(): Promise<Recovery> {
    await this.#fileSystem.makeDirectory(this.#directory);
    const firsts = (await this.#fileSystem.list(this.#directory))
      .map(parseSegmentName)
      .filter((first) => first !== undefined)
      .sort((a, b) => a - b);
    const damage: Damage[] = [];
    let tornBytes = 0;
    for (const [index, first] of firsts.entries()) {
      const file = path.join(this.#directory, segmentName(first));
      const opened = await this.#fileSystem.open(file, 'existing');
      const bytes = await opened.read(0, await opened.size());
      const scan = scanSegment(bytes, first, firsts[index + 1] ?? Infinity);
      damage.push(...scan.damage.map((part) => ({ segment: path.basename(file), ...part })));
      tornBytes += scan.tornBytes;
      const segment = new Segment({ first, path: file, file: opened, seed: scan.seed, next: scan.next, end: scan.end });
      for (const frame of scan.frames) segment.remember(frame.first, frame.offset);
      this.#segments.push(segment);
      this.#next = scan.next;
      if (index === firsts.length - 1) await this.#secureNewest(segment, bytes.length);
      else await this.#sync(segment);
    }
    return { segments: this.#segments.length, bytes: this.bytes, tornBytes, damage };
  }

  /** Cuts off what was never acknowledged, and makes durable what may only look so. */
  async #secureNewest(segment: Segment, size: number): Promise<void> {
    if (segment.end < HEADER_BYTES) {
      // Its header never reached the disk, so nothing in it was acknowledged.
      await this.#discardEmpty(segment);
      this.#next = segment.first;
      return;
    }
    try {
      if (size > segment.end) await segment.file.truncate(segment.end);
      await this.#fileSystem.syncDirectory(this.#directory);
    } catch (error) {
      throw translated(error, 'sync-failed', segment.path);
    }
    await this.#sync(segment);
    this.#retired = false;
  }
}

function translated(error: unknown, code: SegmentLogErrorCode, file: string): SegmentLogError {
  const system = error instanceof Error && 'code' in error ? String(error.code) : '';
  const full = system === 'ENOSPC' || system === 'EDQUOT';
  const why = error instanceof Error ? error.message : String(error);
  return new SegmentLogError(full ? 'disk-full' : code, `${file}: ${why}`, { cause: error });
}
