import { crc32 } from 'node:zlib';

import type { StateArray } from '../state-section.ts';

// docs/agent-snapshot-format.md describes the file; this is its first page.

/** What the file begins with; the last character is the version of the format. */
const MAGIC = 'FLOORSN1';
/** The part that every version has. */
const FAMILY_BYTES = 7;
/** Magic, length of the file, CRC-32 of what follows the preamble, CRC-32 of the preamble so far. */
export const PREAMBLE_BYTES = 24;
/** Everything begins at a multiple of this, so that numbers can be read where they lie. */
export const ALIGNMENT = 8;

/** Types of arrays, by the names that the file gives them. Numbers are little-endian, as on every machine that a gateway is. */
export const ARRAY_TYPES = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
} as const satisfies Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => StateArray>;
export type ArrayType = keyof typeof ARRAY_TYPES;

/** What a section begins with: a block of JSON that tells what follows. */
export interface SectionHead {
  readonly name: string;
  readonly version: number;
  /** Bytes of the values as JSON in UTF-8. */
  readonly valuesBytes: number;
  /** In the order in which they follow. */
  readonly arrays: readonly { readonly name: string; readonly type: ArrayType; readonly length: number }[];
}

/** What the file begins with behind the preamble. */
export interface FileHead {
  /** What the caller gave. */
  readonly header: unknown;
  readonly sections: number;
}

/** The bytes from `length` to the next multiple of {@link ALIGNMENT}. */
export const paddingOf = (length: number): number => (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;

export function encodePreamble(fileBytes: number, bodyCrc: number): Buffer {
  const preamble = Buffer.alloc(PREAMBLE_BYTES);
  preamble.write(MAGIC, 'latin1');
  preamble.writeBigUInt64LE(BigInt(fileBytes), 8);
  preamble.writeUInt32LE(bodyCrc, 16);
  preamble.writeUInt32LE(crc32(preamble.subarray(0, 20)), 20);
  return preamble;
}

/** The CRC-32 that the rest of the file must have; or what is wrong with the file, as its preamble and its length tell. */
export function decodePreamble(preamble: Buffer, fileBytes: number): number | 'newer' | 'damaged' {
  if (preamble.length < PREAMBLE_BYTES || crc32(preamble.subarray(0, 20)) !== preamble.readUInt32LE(20)) {
    return 'damaged';
  }
  const magic = preamble.toString('latin1', 0, MAGIC.length);
  if (magic !== MAGIC) {
    return magic.slice(0, FAMILY_BYTES) === MAGIC.slice(0, FAMILY_BYTES) ? 'newer' : 'damaged';
  }
  if (preamble.readBigUInt64LE(8) !== BigInt(fileBytes)) return 'damaged';
  return preamble.readUInt32LE(16);
}
