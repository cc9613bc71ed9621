import { crc32 } from 'node:zlib';

/**
 * The bytes of a segment (docs/segment-log-format.md). All integers are little-endian.
 *
 * ```
 * name     position of the first item, 16 decimal digits · "-" · seed, 8 hexadecimal digits · ".seg"
 * segment  header (4096 bytes) · frame · zeros · frame · zeros · …
 * header   "FLWSEG01" · u64 position of the first item · u32 seed · u32 CRC-32 of the 20 bytes before · zeros
 * frame    u32 magic xor seed · u32 bytes of the body · u32 items · u64 position of the first item · u32 CRC-32 · body · zeros to 8 bytes
 * body     per item: u32 length · bytes
 * ```
 *
 * The seed is a random number of each segment. It is in the name as well as in the header, so that a damaged header costs nothing. The
 * CRC-32 of a frame covers everything of it but the CRC itself, and begins with the seed: bytes that a device chose can't pass for a
 * frame, nor for the beginning of one.
 */
export const HEADER_BYTES = 4_096;
/** What a torn write can damage on common disks and file systems: a page. A frame of a power-safe log begins on one of its own. */
export const PAGE_BYTES = 4_096;
export const FRAME_ALIGNMENT = 8;
export const FRAME_HEADER_BYTES = 24;
export const ITEM_LENGTH_BYTES = 4;

const SEGMENT_MAGIC = Buffer.from('FLWSEG01', 'latin1');
/** The part of the magic that every version of the format has. */
const FAMILY_BYTES = 6;
const FRAME_MAGIC = 0x314d5246;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/** `offset` or the next multiple of `alignment` behind it. */
export const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;

export interface SegmentHeader {
  readonly first: number;
  readonly seed: number;
}

const NAME = /^(\d{16})-([0-9a-f]{8})\.seg$/;

/** The name of a segment; names sort as positions do. */
export const segmentName = ({ first, seed }: SegmentHeader): string =>
  `${String(first).padStart(16, '0')}-${seed.toString(16).padStart(8, '0')}.seg`;

/** What a segment's name says, or undefined if it is no segment's name. */
export function parseSegmentName(name: string): SegmentHeader | undefined {
  const [, first, seed] = NAME.exec(name) ?? [];
  if (first === undefined || seed === undefined || !Number.isSafeInteger(Number(first))) return undefined;
  return { first: Number(first), seed: Number.parseInt(seed, 16) };
}

export function encodeHeader({ first, seed }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  SEGMENT_MAGIC.copy(bytes);
  bytes.writeBigUInt64LE(BigInt(first), 8);
  bytes.writeUInt32LE(seed, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 20)), 20);
  return bytes;
}

/** How a segment begins: with a header of this format, with one of a newer format, or with something damaged or missing. */
export function headerState(bytes: Buffer): 'whole' | 'newer' | 'damaged' {
  if (bytes.length < 24 || crc32(bytes.subarray(0, 20)) !== bytes.readUInt32LE(20)) return 'damaged';
  if (bytes.subarray(0, SEGMENT_MAGIC.length).equals(SEGMENT_MAGIC)) return 'whole';
  return bytes.subarray(0, FAMILY_BYTES).equals(SEGMENT_MAGIC.subarray(0, FAMILY_BYTES)) ? 'newer' : 'damaged';
}

/** Items laid out already as the body of a frame has them: each behind its length, 32 bits, little-endian. */
export interface ItemBlock {
  readonly bytes: Uint8Array;
  readonly items: number;
}

export const countOf = (items: readonly Uint8Array[] | ItemBlock): number =>
  'bytes' in items ? items.items : items.length;

/** Bytes that `items` take in the body of a frame. */
export function bodyBytes(items: readonly Uint8Array[] | ItemBlock): number {
  if ('bytes' in items) return items.bytes.length;
  let bytes = 0;
  for (const item of items) bytes += ITEM_LENGTH_BYTES + item.length;
  return bytes;
}

/** Writes items into `target` from `offset` on, where there is room for them, and returns the offset behind them. */
export function encodeItems(target: Buffer, offset: number, items: readonly Uint8Array[] | ItemBlock): number {
  if ('bytes' in items) {
    target.set(items.bytes, offset);
    return offset + items.bytes.length;
  }
  let at = offset;
  for (const item of items) {
    target.writeUInt32LE(item.length, at);
    target.set(item, at + ITEM_LENGTH_BYTES);
    at += ITEM_LENGTH_BYTES + item.length;
  }
  return at;
}

/** Makes a frame of the body that ends at `end` by filling in the header before it, at `offset`. */
export function sealFrame(
  target: Buffer,
  offset: number,
  end: number,
  frame: { readonly first: number; readonly items: number; readonly seed: number },
): void {
  target.writeUInt32LE((FRAME_MAGIC ^ frame.seed) >>> 0, offset);
  target.writeUInt32LE(end - offset - FRAME_HEADER_BYTES, offset + 4);
  target.writeUInt32LE(frame.items, offset + 8);
  // Positions stay below 2^53, so two halves of a double are exact.
  target.writeUInt32LE(frame.first % 2 ** 32, offset + 12);
  target.writeUInt32LE(Math.floor(frame.first / 2 ** 32), offset + 16);
  target.writeUInt32LE(frameCrc(target, offset, end, frame.seed), offset + 20);
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
function locateFrame(bytes: Buffer, offset: number, seed: number): FrameLocation | undefined {
  const end = offset + FRAME_HEADER_BYTES + bytes.readUInt32LE(offset + 4);
  if (end > bytes.length || frameCrc(bytes, offset, end, seed) !== bytes.readUInt32LE(offset + 20)) return undefined;
  const first = bytes.readUInt32LE(offset + 12) + bytes.readUInt32LE(offset + 16) * 2 ** 32;
  return { offset, end, first, items: bytes.readUInt32LE(offset + 8) };
}

/** The first whole frame at or behind `offset`, whatever lies between. */
export function nextFrame(bytes: Buffer, offset: number, seed: number): FrameLocation | undefined {
  const magic = (FRAME_MAGIC ^ seed) >>> 0;
  for (let at = alignUp(offset, FRAME_ALIGNMENT); at + FRAME_HEADER_BYTES <= bytes.length; at += FRAME_ALIGNMENT) {
    const frame = bytes.readUInt32LE(at) === magic ? locateFrame(bytes, at, seed) : undefined;
    if (frame !== undefined) return frame;
  }
  return undefined;
}

/** The items of a frame that {@link nextFrame} found: views into `bytes`. */
export function frameItems(bytes: Buffer, { offset, items }: FrameLocation): Uint8Array[] {
  let at = offset + FRAME_HEADER_BYTES;
  return Array.from({ length: items }, () => {
    const start = at + ITEM_LENGTH_BYTES;
    at = start + bytes.readUInt32LE(at);
    return bytes.subarray(start, at);
  });
}

/** Where the next frame goes: on a page of its own if power cuts must not touch the one before it. */
export const frameStart = (end: number, powerSafe: boolean): number =>
  alignUp(end, powerSafe ? PAGE_BYTES : FRAME_ALIGNMENT);

/** Whether `bytes` hold nothing from `start` on. */
export function isZero(bytes: Buffer, start: number): boolean {
  for (let at = start; at < bytes.length; at += ZEROS.length) {
    const end = Math.min(bytes.length, at + ZEROS.length);
    if (bytes.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}
