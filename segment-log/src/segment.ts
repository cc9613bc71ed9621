import path from 'node:path';

import type { FileSystem, LogFile } from './file-system.ts';
import { alignUp, encodeHeader, FRAME_ALIGNMENT, frameItems, HEADER_BYTES, nextFrame } from './format.ts';

/** One frame as it is read: consecutive items, the first at position `first`. */
export interface Frame {
  readonly first: number;
  readonly items: readonly Uint8Array[];
}

const NAME = /^(\d{16})\.seg$/;

/** The name of the segment that begins with position `first`; names sort as positions do. */
export const segmentName = (first: number): string => `${String(first).padStart(16, '0')}.seg`;

/** The first position of the segment called `name`, or undefined if it is no segment's name. */
export function parseSegmentName(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Bytes between two entries of a segment's index: what a reader reads in vain at most. */
const INDEX_STRIDE_BYTES = 64 * 1024;
/** Bytes that a reader asks the disk for at a time. */
const READ_BYTES = 256 * 1024;

/**
 * A file of the log and how far it is filled.
 *
 * Invariant: every position from `first` to `next` − 1 that is not damaged lies in a whole frame before `end`.
 */
export class Segment {
  readonly first: number;
  readonly path: string;
  readonly file: LogFile;
  readonly seed: number;
  next: number;
  end: number;
  /** Some frames by position, so that reading from the middle does not begin at the start. */
  readonly #index: { readonly first: number; readonly offset: number }[] = [];

  constructor(at: { first: number; path: string; file: LogFile; seed: number; next: number; end: number }) {
    this.first = at.first;
    this.path = at.path;
    this.file = at.file;
    this.seed = at.seed;
    this.next = at.next;
    this.end = at.end;
  }

  /** Makes the file with its header. Not durable until it and its directory are synced. */
  static async create(fileSystem: FileSystem, directory: string, first: number, seed: number): Promise<Segment> {
    const file = path.join(directory, segmentName(first));
    const opened = await fileSystem.open(file, 'create');
    try {
      await opened.write(encodeHeader({ first, seed }), 0);
    } catch (error) {
      await opened.close();
      await fileSystem.remove(file);
      throw error;
    }
    return new Segment({ first, path: file, file: opened, seed, next: first, end: HEADER_BYTES });
  }

  /** Remembers where a frame lies, if the last one remembered is far enough away. */
  remember(first: number, offset: number): void {
    if (offset - (this.#index.at(-1)?.offset ?? 0) >= INDEX_STRIDE_BYTES) this.#index.push({ first, offset });
  }

  /** The frames that hold positions from `from` to `before` − 1, cut to them, in order. */
  async *frames(from: number, before: number): AsyncGenerator<Frame> {
    const start = this.#index.findLast((entry) => entry.first <= from) ?? { first: this.first, offset: HEADER_BYTES };
    let next = start.first;
    let offset = start.offset;
    let length = READ_BYTES;
    while (offset < this.end) {
      const bytes = await this.file.read(offset, Math.min(length, this.end - offset));
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
      if (bytes.length >= this.end - offset) return;
      // Nothing whole in what was read: a large frame, or damage. More of it will tell.
      length = read === 0 ? length * 2 : READ_BYTES;
      offset += alignUp(read, FRAME_ALIGNMENT);
    }
  }
}
