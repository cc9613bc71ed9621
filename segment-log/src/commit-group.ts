import { countOf, encodeItems, FRAME_HEADER_BYTES, type ItemBlock, PAGE_BYTES, sealFrame } from './format.ts';
import { limits } from './limits.ts';

interface Waiter {
  /** Number of its first item within the group. */
  readonly offset: number;
  readonly resolve: (first: number) => void;
  readonly reject: (error: unknown) => void;
}

/** Room behind the frame for the zeros up to the place of the next one: less than a page. */
const ZEROS_BYTES_MAX = PAGE_BYTES;

/** Appends that will be one frame. Their items are copied at once, so that callers may use their buffers again. */
export class CommitGroup {
  /** Whether it may use the reserve. */
  readonly reserve: boolean;
  /** When its first append came, by `performance.now()`. */
  readonly openedAt = performance.now();
  /** An append of it asked to be committed at once. */
  urgent = false;
  items = 0;
  #buffer: Buffer;
  #end = FRAME_HEADER_BYTES;
  readonly #waiters: Waiter[] = [];

  constructor(reserve: boolean, buffer: Buffer) {
    this.reserve = reserve;
    this.#buffer = buffer;
  }

  /** Bytes of the frame. */
  get bytes(): number {
    return this.#end;
  }

  /** Resolves with the position of the first of the items when all are safe. */
  add(items: readonly Uint8Array[] | ItemBlock, bytes: number): Promise<number> {
    if (this.#end + bytes + ZEROS_BYTES_MAX > this.#buffer.length) {
      const needed = this.#end + bytes + ZEROS_BYTES_MAX;
      const larger = Buffer.alloc(Math.max(needed, Math.min(this.#buffer.length * 2, GROUP_BUFFER_BYTES)));
      this.#buffer.copy(larger, 0, 0, this.#end);
      this.#buffer = larger;
    }
    this.#end = encodeItems(this.#buffer, this.#end, items);
    const offset = this.items;
    this.items += countOf(items);
    return new Promise((resolve, reject) => this.#waiters.push({ offset, resolve, reject }));
  }

  /** The frame with `padding` zeros behind it. */
  seal(first: number, seed: number, padding: number): Buffer {
    sealFrame(this.#buffer, 0, this.#end, { first, items: this.items, seed });
    this.#buffer.fill(0, this.#end, this.#end + padding);
    return this.#buffer.subarray(0, this.#end + padding);
  }

  committed(first: number): void {
    for (const { offset, resolve } of this.#waiters) resolve(first + offset);
  }

  failed(error: unknown): void {
    for (const { reject } of this.#waiters) reject(error);
  }

  /** The buffer, for another group once this one is done. Undefined if it is too large to be kept. */
  takeBuffer(): Buffer | undefined {
    return this.#buffer.length <= GROUP_BUFFER_BYTES ? this.#buffer : undefined;
  }
}

/** A group's buffer as it is at the beginning, and the largest that is kept. */
export const GROUP_BUFFER_BYTES_MIN = 16 * 1024;
const GROUP_BUFFER_BYTES = ZEROS_BYTES_MAX + limits.groupBytes + 64 * 1024;
