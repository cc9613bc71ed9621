import { crc32 } from 'node:zlib';

import { messageOf } from '@floorwatch/runtime';

import type { StateArray, StateSection } from '../state-section.ts';
import {
  ALIGNMENT,
  ARRAY_TYPES,
  decodePreamble,
  type FileHead,
  paddingOf,
  PREAMBLE_BYTES,
  type SectionHead,
} from './format.ts';

export type DecodedSnapshot =
  | { readonly fault: 'newer' | 'damaged'; readonly why: string }
  | { readonly fault: undefined; readonly header: unknown; readonly sections: readonly StateSection[] };

/**
 * What a snapshot's file holds. Never throws, whatever the bytes are; no length in them is believed that goes beyond the file.
 *
 * @param file the whole file; the arrays of the sections lie in it.
 */
export function decodeSnapshot(file: Buffer): DecodedSnapshot {
  const bodyCrc = decodePreamble(file.subarray(0, PREAMBLE_BYTES), file.length);
  if (bodyCrc === 'newer') return { fault: 'newer', why: 'a newer release wrote it' };
  if (bodyCrc === 'damaged') return { fault: 'damaged', why: 'its beginning is damaged, or it is cut off' };
  if (crc32(file.subarray(PREAMBLE_BYTES)) !== bodyCrc) {
    return { fault: 'damaged', why: 'its checksum does not match' };
  }
  try {
    return { fault: undefined, ...new Reader(file).read() };
  } catch (error) {
    return { fault: 'damaged', why: messageOf(error) };
  }
}

class Reader {
  readonly #file: Buffer;
  #at = PREAMBLE_BYTES;

  constructor(file: Buffer) {
    this.#file = file;
  }

  read(): { readonly header: unknown; readonly sections: readonly StateSection[] } {
    const { header, sections } = this.#block() as FileHead;
    const read: StateSection[] = [];
    while (this.#at < this.#file.length) read.push(this.#section());
    if (read.length !== sections) throw new RangeError(`it holds ${read.length} sections instead of ${sections}`);
    return { header, sections: read };
  }

  #section(): StateSection {
    const { name, version, valuesBytes, arrays } = this.#block() as SectionHead;
    const values: unknown = JSON.parse(this.#take(valuesBytes).toString());
    const read = arrays.map(({ name: array, type, length }) => [array, this.#array(type, length)] as const);
    return { name, version, values, arrays: Object.fromEntries(read) };
  }

  #array(type: keyof typeof ARRAY_TYPES, length: number): StateArray {
    const constructor = ARRAY_TYPES[type];
    const bytes = this.#take(length * constructor.BYTES_PER_ELEMENT);
    // In the file, numbers lie at multiples of 8; in memory, too, unless the file does not.
    const { buffer, byteOffset } = bytes.byteOffset % ALIGNMENT === 0 ? bytes : Uint8Array.from(bytes);
    return new constructor(buffer as ArrayBuffer, byteOffset, length);
  }

  #block(): unknown {
    const length = this.#bytes(4).readUInt32LE();
    const text = this.#bytes(length).toString();
    this.#at += paddingOf(this.#at);
    return JSON.parse(text);
  }

  /** So many bytes, and what fills them up. */
  #take(length: number): Buffer {
    const bytes = this.#bytes(length);
    this.#at += paddingOf(length);
    return bytes;
  }

  #bytes(length: number): Buffer {
    const end = this.#at + length;
    if (!(Number.isSafeInteger(length) && length >= 0 && end <= this.#file.length)) {
      throw new RangeError(`something in it claims ${length} bytes, and ${this.#file.length - this.#at} are left`);
    }
    const bytes = this.#file.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
