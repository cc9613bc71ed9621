import path from 'node:path';

import { isMissing } from './errors.ts';
import type { FileSystem, LogFile } from './file-system.ts';
import {
  alignUp,
  encodeHeader,
  FRAME_ALIGNMENT,
  frameItems,
  HEADER_BYTES,
  nextFrame,
  PAGE_BYTES,
  type SegmentHeader,
  segmentName,
} from './format.ts';

/** One frame as it is read: consecutive items, the first at position `first`. */
export interface Frame {
  readonly first: number;
  readonly items: readonly Uint8Array[];
}

/** Bytes between two entries of a segment's index: what a reader reads in vain at most. */
const INDEX_STRIDE_BYTES = 64 * 1024;
/** Bytes that a reader asks the disk for at a time. */
const READ_BYTES = 256 * 1024;

/**
 * A file of the log and how far it is filled.
 *
 * Invariant: every position from `first` to `next` − 1 that is neither skipped nor damaged lies in a whole frame before `end`.
 */
export class Segment {
  readonly first: number;
  readonly seed: number;
  readonly name: string;
  readonly path: string;
  next: number;
  /** Offset behind the last frame. */
  end: number;
  /** Some frames by position, so that reading from the middle does not begin at the start. */
  readonly #index: { readonly first: number; readonly offset: number }[] = [];

  constructor(
    directory: string,
    header: SegmentHeader,
    filled: { readonly next: number; readonly end: number } = { next: header.first, end: HEADER_BYTES },
  ) {
    this.first = header.first;
    this.seed = header.seed;
    this.name = segmentName(header);
    this.path = path.join(directory, this.name);
    this.next = filled.next;
    this.end = filled.end;
  }

  /** Makes the file with its header. Not durable until it and its directory are synced; where it fails, something may be left. */
  async create(fileSystem: FileSystem): Promise<LogFile> {
    const file = await fileSystem.open(this.path, 'create');
    try {
      await file.write(encodeHeader(this), 0);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Remembers where a frame lies, if the last one remembered is far enough away. */
  remember(first: number, offset: number): void {
    if (offset - (this.#index.at(-1)?.offset ?? 0) >= INDEX_STRIDE_BYTES) this.#index.push({ first, offset });
  }

  /**
   * The frames that hold positions from `from` to `before` − 1, cut to them, in order. What can't be read is left out, and so is all of
   * it when the file is gone, because a segment may be trimmed while it is read.
   */
  async *frames(fileSystem: FileSystem, from: number, before: number): AsyncGenerator<Frame> {
    let file: LogFile;
    try {
      file = await fileSystem.open(this.path, 'read');
    } catch (error) {
      if (isMissing(error)) return;
      throw error;
    }
    try {
      yield* this.#framesOf(file, from, before);
    } finally {
      await file.close();
    }
  }

  async *#framesOf(file: LogFile, from: number, before: number): AsyncGenerator<Frame> {
    const start = this.#index.findLast((entry) => entry.first <= from) ?? { first: this.first, offset: HEADER_BYTES };
    let next = start.first;
    let offset = start.offset;
    let length = READ_BYTES;
    while (offset < this.end) {
      const wanted = Math.min(length, this.end - offset);
      const bytes = await readTolerant(file, offset, wanted);
      let read = 0;
      for (let frame = nextFrame(bytes, 0, this.seed); frame !== undefined; frame = nextFrame(bytes, read, this.seed)) {
        read = frame.end;
        if (frame.first >= before) return;
        if (frame.first < next) continue;
        next = frame.first + frame.items;
        if (next <= from) continue;
        const skip = Math.max(0, from - frame.first);
        yield { first: frame.first + skip, items: frameItems(bytes, frame).slice(skip, before - frame.first) };
      }
      // All of it was there, or somebody made the file shorter.
      if (wanted >= this.end - offset || bytes.length < wanted) return;
      // Nothing whole in what was read: a large frame, or damage. More of it will tell.
      length = read === 0 ? length * 2 : READ_BYTES;
      offset += alignUp(read, FRAME_ALIGNMENT);
    }
  }
}

/** Reads like {@link LogFile.read}; pages that the disk can't give back any more are zeros. */
export async function readTolerant(file: LogFile, offset: number, length: number): Promise<Buffer> {
  try {
    return await file.read(offset, length);
  } catch {
    const size = Math.max(0, Math.min(length, (await file.size()) - offset));
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size; at += PAGE_BYTES) {
      const page = await file.read(offset + at, Math.min(PAGE_BYTES, size - at)).catch(() => undefined);
      page?.copy(bytes, at);
    }
    return bytes;
  }
}

/** Removes a file, or finds that it is gone already. */
export async function removeFile(fileSystem: FileSystem, file: string): Promise<void> {
  try {
    await fileSystem.remove(file);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
