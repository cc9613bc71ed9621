import { randomInt } from 'node:crypto';

import type { CommitGroup } from './commit-group.ts';
import { translated } from './errors.ts';
import type { FileSystem, LogFile } from './file-system.ts';
import { alignUp, frameStart, HEADER_BYTES, PAGE_BYTES } from './format.ts';
import { limits } from './limits.ts';
import { removeFile, Segment } from './segment.ts';

/**
 * Zeros that are written ahead, so that the next frames only overwrite what the file has: a file that grows makes the disk write its size and its
 * place with every commit, which is five times what a small frame takes, and waits for it. A multiple of a page.
 */
const AHEAD = Buffer.alloc(limits.aheadBytes);
/** Small frames that the zeros hold at least. */
const FRAMES_AHEAD_MIN = 4;
/** Zeros double what is written, and save about 16 KiB of the file system's own with each frame; before larger frames they would cost more than that. */
const FRAME_BYTES_MAX = 8 * 1024;
/** Beyond as many small frames, the zeros are no more than this part of a segment. */
const SEGMENT_PARTS = 16;
/** How often the file that is written to is looked up, because somebody may have removed it. */
const NAME_CHECK_MS = 1_000;

/**
 * Writes frames into the newest segment and begins new ones. An error of `sync` retires the file: nobody knows what of it is on the disk,
 * so what was not acknowledged is written again into the next segment, and positions that a segment shares with the next one count there.
 */
export class SegmentWriter {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #powerSafe: boolean;
  readonly #segmentBytesMax: number;
  readonly #aheadBytes: number;
  /** All segments, oldest first; the log and its writer share the list. */
  readonly #segments: Segment[];
  /** The newest segment's file, while it may be written to. */
  #file: LogFile | undefined;
  /** The newest segment may be written to, but its file is not open yet. */
  #writable: boolean;
  #nameCheckedAt = 0;
  /** Where the newest segment's file ends, or beyond it, where the disk had no room for zeros. */
  #fileEnd = 0;
  /** A file that could not be made a segment, and may be there all the same. */
  #leftover: string | undefined;

  constructor(options: {
    readonly fileSystem: FileSystem;
    readonly directory: string;
    readonly powerSafe: boolean;
    readonly segmentBytesMax: number;
    readonly segments: Segment[];
    readonly writable: boolean;
  }) {
    this.#fileSystem = options.fileSystem;
    this.#directory = options.directory;
    this.#powerSafe = options.powerSafe;
    this.#segmentBytesMax = options.segmentBytesMax;
    const part = alignUp(options.segmentBytesMax / SEGMENT_PARTS, PAGE_BYTES);
    this.#aheadBytes = Math.min(AHEAD.length, Math.max(part, FRAMES_AHEAD_MIN * PAGE_BYTES));
    this.#segments = options.segments;
    this.#writable = options.writable;
  }

  /** Makes a frame of the group whose first item gets position `first`; it is safe when this resolves. */
  async write(group: CommitGroup, first: number): Promise<void> {
    const { segment, file } = await this.#segmentFor(group.bytes, first);
    // Between the frame before it and this one are zeros, written behind that one, or nothing, because the file ended there.
    const start = frameStart(segment.end, this.#powerSafe);
    const end = start + group.bytes;
    // Zeros up to where the next one may begin. To write them with the next one would wear another page of the disk with every commit.
    const next = frameStart(end, this.#powerSafe);
    const bytes = group.seal(first, segment.seed, next - end);
    try {
      await file.write(bytes, start);
      if (this.#powerSafe && next > this.#fileEnd) await this.#grow(file, next, bytes.length);
    } catch (error) {
      await this.#takeBack(segment, file);
      throw translated(error, 'write-failed', segment.path);
    }
    if (this.#powerSafe) await this.#sync(segment, file);
    segment.remember(first, start);
    segment.end = end;
    segment.next = first + group.items;
  }

  /** The file ends at `end`, behind a frame of so many bytes. */
  async #grow(file: LogFile, end: number, frameBytes: number): Promise<void> {
    this.#fileEnd = end;
    const room = Math.floor(this.#segmentBytesMax / PAGE_BYTES) * PAGE_BYTES - end;
    if (room <= 0 || frameBytes > FRAME_BYTES_MAX) return;
    const zeros = AHEAD.subarray(0, Math.min(room, this.#aheadBytes));
    this.#fileEnd = end + zeros.length;
    try {
      await file.write(zeros, end);
    } catch {
      // There is room for frames, or the next one will say so.
      await file.truncate(end);
    }
  }

  /** Removes what a failed write left; where even that fails, the file is not written to again. */
  async #takeBack(segment: Segment, file: LogFile): Promise<void> {
    this.#fileEnd = segment.end;
    try {
      await file.truncate(segment.end);
    } catch {
      await this.#retire();
    }
  }

  async #sync(segment: Segment, file: LogFile): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      // What is not safe must not look as if it were to the next start: the system may have forgotten that it never reached the disk.
      await file.truncate(segment.end).catch(() => {});
      await this.#retire();
      throw translated(error, 'sync-failed', segment.path);
    }
  }

  /** The newest segment is not written to any more. */
  async #retire(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#fileEnd = 0;
    this.#writable = false;
    await file?.close().catch(() => {});
  }

  /** The newest segment if it takes `bytes` more, else a new one, whose name is durable before anything is written to it. */
  async #segmentFor(bytes: number, first: number): Promise<{ readonly segment: Segment; readonly file: LogFile }> {
    const newest = this.#segments.at(-1);
    if (newest !== undefined) {
      const file = await this.#open(newest);
      const fits = frameStart(newest.end, this.#powerSafe) + bytes <= this.#segmentBytesMax;
      if (file !== undefined && fits) return { segment: newest, file };
      await this.#retire();
      // What was written with `durability: process` is as safe as it gets; the system brings it to the disk in its own time.
      if (newest.next === newest.first) await this.#discard(newest);
    }
    return this.#begin(first);
  }

  /** The newest segment's file, or undefined if it may not be written to, or is gone. */
  async #open(newest: Segment): Promise<LogFile | undefined> {
    if (!this.#writable) return undefined;
    try {
      this.#file ??= await this.#fileSystem.open(newest.path, 'change');
      const now = performance.now();
      if (now - this.#nameCheckedAt < NAME_CHECK_MS) return this.#file;
      this.#nameCheckedAt = now;
      return (await this.#file.hasName()) ? this.#file : undefined;
    } catch {
      return undefined;
    }
  }

  /** A segment without items goes before the one that takes its place. */
  async #discard(segment: Segment): Promise<void> {
    try {
      await removeFile(this.#fileSystem, segment.path);
    } catch (error) {
      throw translated(error, 'write-failed', segment.path);
    }
    this.#segments.pop();
  }

  async #begin(first: number): Promise<{ readonly segment: Segment; readonly file: LogFile }> {
    await this.#clear();
    const segment = new Segment(this.#directory, { first, seed: randomInt(1, 2 ** 32) });
    this.#leftover = segment.path;
    let file: LogFile;
    try {
      file = await segment.create(this.#fileSystem);
    } catch (error) {
      await this.#clear().catch(() => {});
      throw translated(error, 'write-failed', segment.path);
    }
    try {
      if (this.#powerSafe) await file.sync();
      await this.#fileSystem.syncDirectory(this.#directory);
    } catch (error) {
      await file.close().catch(() => {});
      await this.#clear().catch(() => {});
      throw translated(error, 'sync-failed', segment.path);
    }
    this.#leftover = undefined;
    this.#segments.push(segment);
    this.#file = file;
    this.#writable = true;
    this.#nameCheckedAt = performance.now();
    return { segment, file };
  }

  /** Removes what an attempt to begin a segment left: two that begin at one position could not be told apart by the next start. */
  async #clear(): Promise<void> {
    if (this.#leftover === undefined) return;
    try {
      await removeFile(this.#fileSystem, this.#leftover);
    } catch (error) {
      throw translated(error, 'write-failed', this.#leftover);
    }
    this.#leftover = undefined;
  }

  /** Bytes that a group needs at most, with all that may come with it. */
  bytesFor(group: CommitGroup): number {
    const end = this.#segments.at(-1)?.end ?? HEADER_BYTES;
    return frameStart(end, this.#powerSafe) - end + group.bytes + HEADER_BYTES;
  }

  /**
   * Syncs and closes the file.
   *
   * @throws SegmentLogError `sync-failed`, with the file closed all the same.
   */
  async close(): Promise<void> {
    const file = this.#file;
    const segment = this.#segments.at(-1);
    this.#file = undefined;
    this.#writable = false;
    if (file === undefined || segment === undefined) return;
    try {
      await file.sync();
    } catch (error) {
      throw translated(error, 'sync-failed', segment.path);
    } finally {
      await file.close().catch(() => {});
    }
  }
}
