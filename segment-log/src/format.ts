import { crc32 } from 'node:zlib';

/**
 * The bytes of a segment (docs/segment-log-format.md). All integers are little-endian.
 *
 * ```
 * segment  header (4096 bytes) · frame · zeros · frame · zeros · …
 * header   "FLWSEG01" · u64 position of the first item · u32 seed · u32 CRC-32 of the 20 bytes before · zeros
 * frame    u32 magic · u32 bytes of the body · u32 items · u64 position of the first item · u32 CRC-32 · body · zeros to 8 bytes
 * body     per item: u32 length · bytes
 * ```
 *
 * The CRC-32 of a frame covers everything of it but the CRC itself, and begins with the segment's seed, a random number: bytes that a
 * device chose can therefore never pass for a frame.
 */
export const HEADER_BYTES = 4_096;
/** What a torn write can damage on common disks and file systems: a page. A frame of a power-safe log begins on one of its own. */
export const PAGE_BYTES = 4_096;
export const FRAME_ALIGNMENT = 8;
export const FRAME_HEADER_BYTES = 24;

const SEGMENT_MAGIC = Buffer.from('FLWSEG01', 'latin1');
const FRAME_MAGIC = 0x314d5246;
const ITEM_LENGTH_BYTES = 4;

/** `offset` or the next multiple of `alignment` behind it. */
export const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;

export interface SegmentHeader {
  readonly first: number;
  readonly seed: number;
}

export function encodeHeader({ first, seed }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  SEGMENT_MAGIC.copy(bytes);
  bytes.writeBigUInt64LE(BigInt(first), 8);
  bytes.writeUInt32LE(seed, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 20)), 20);
  return bytes;
}

/** The header, or undefined if it is damaged or of another format. */
export function decodeHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return undefined;
  if (crc32(bytes.subarray(0, 20)) !== bytes.readUInt32LE(20)) return undefined;
  return { first: Number(bytes.readBigUInt64LE(8)), seed: bytes.readUInt32LE(16) };
}

/** Bytes that `items` take as a frame, without the zeros behind it. */
export function frameBytes(items: readonly Uint8Array[]): number {
  let bytes = FRAME_HEADER_BYTES;
  for (const item of items) bytes += ITEM_LENGTH_BYTES + item.length;
  return bytes;
}

/** Writes a frame into `target` at `offset`, where there is room for it, and returns the offset behind it. */
export function encodeFrame(
  target: Buffer,
  offset: number,
  first: number,
  items: readonly Uint8Array[],
  seed: number,
): number {
  let at = offset + FRAME_HEADER_BYTES;
  for (const item of items) {
    target.writeUInt32LE(item.length, at);
    target.set(item, at + ITEM_LENGTH_BYTES);
    at += ITEM_LENGTH_BYTES + item.length;
  }
  target.writeUInt32LE(FRAME_MAGIC, offset);
  target.writeUInt32LE(at - offset - FRAME_HEADER_BYTES, offset + 4);
  target.writeUInt32LE(items.length, offset + 8);
  // Positions stay far below 2^53, so two halves of a double are exact.
  target.writeUInt32LE(first % 2 ** 32, offset + 12);
  target.writeUInt32LE(Math.floor(first / 2 ** 32), offset + 16);
  target.writeUInt32LE(frameCrc(target, offset, at, seed), offset + 20);
  return at;
}

const frameCrc = (bytes: Buffer, offset: number, end: number, seed: number): number =>
  crc32(bytes.subarray(offset + FRAME_HEADER_BYTES, end), crc32(bytes.subarray(offset, offset + 20), seed));

/** Where a frame lies in a segment's bytes and which positions it holds. */
export interface FrameLocation {
  readonly offset: number;
  /** Offset behind the body. */
  readonly end: number;
  readonly first: number;
  readonly items: number;
}

/** The frame at `offset`, or undefined if none that is whole begins there. */
export function locateFrame(bytes: Buffer, offset: number, seed: number): FrameLocation | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length || bytes.readUInt32LE(offset) !== FRAME_MAGIC) return undefined;
  const end = offset + FRAME_HEADER_BYTES + bytes.readUInt32LE(offset + 4);
  if (end > bytes.length || frameCrc(bytes, offset, end, seed) !== bytes.readUInt32LE(offset + 20)) return undefined;
  const first = bytes.readUInt32LE(offset + 12) + bytes.readUInt32LE(offset + 16) * 2 ** 32;
  return { offset, end, first, items: bytes.readUInt32LE(offset + 8) };
}

/** The items of a frame that {@link locateFrame} found: views into `bytes`. */
export function frameItems(bytes: Buffer, { offset, items }: FrameLocation): Uint8Array[] {
  let at = offset + FRAME_HEADER_BYTES;
  return Array.from({ length: items }, () => {
    const start = at + ITEM_LENGTH_BYTES;
    at = start + bytes.readUInt32LE(at);
    return bytes.subarray(start, at);
  });
}

/** The offset of the next frame at or behind `offset`, with what lies between: nothing, the zeros before a page, or damage. */
export function nextFrame(bytes: Buffer, offset: number, seed: number): FrameLocation | undefined {
  for (let at = alignUp(offset, FRAME_ALIGNMENT); at + FRAME_HEADER_BYTES <= bytes.length; at += FRAME_ALIGNMENT) {
    const frame = locateFrame(bytes, at, seed);
    if (frame !== undefined) return frame;
  }
  return undefined;
}

/** Whether `bytes` from `start` to `end` hold nothing. */
export const isZero = (bytes: Buffer, start: number, end: number): boolean =>
  bytes.subarray(start, end).every((byte) => byte === 0);
