import {
  decodeHeader,
  FRAME_ALIGNMENT,
  type FrameLocation,
  HEADER_BYTES,
  alignUp,
  isZero,
  nextFrame,
  PAGE_BYTES,
} from './format.ts';

/** Positions that were on the disk once and can't be read any more. */
export interface Damage {
  readonly segment: string;
  /** First and last missing position. */
  readonly from: number;
  readonly to: number;
  /** The bytes of the segment that could not be read; both 0 when the whole file is missing. */
  readonly start: number;
  readonly end: number;
}

/** What a segment's bytes hold. */
export interface SegmentScan {
  readonly seed: number;
  /** Position behind the last item. */
  readonly next: number;
  /** Offset behind the last whole frame. */
  readonly end: number;
  readonly damage: readonly Omit<Damage, 'segment'>[];
  /** Where the frames lie, in order. */
  readonly frames: readonly FrameLocation[];
  /** Bytes behind `end` that are neither a whole frame nor zeros: a write that was cut off, if this is the newest segment. */
  readonly tornBytes: number;
}

/**
 * Reads a segment from one end to the other. A frame follows the one before it if its position does; what lies between two frames whose
 * positions do not follow each other is damage, and the missing positions are exact.
 *
 * @param first the position that the segment begins with: its name says so, also when its header is damaged.
 * @param before the first position of the next segment: what this one holds from there on was written again in that one.
 */
export function scanSegment(bytes: Buffer, first: number, before: number): SegmentScan {
  const header = decodeHeader(bytes);
  if (header === undefined || header.first !== first) {
    // The seed is lost with the header, and without it no frame can be told from chance.
    const damage =
      before > first && before !== Infinity ? [{ from: first, to: before - 1, start: 0, end: bytes.length }] : [];
    return { seed: 0, next: before === Infinity ? first : before, end: 0, damage, frames: [], tornBytes: bytes.length };
  }
  const damage: Omit<Damage, 'segment'>[] = [];
  const frames: FrameLocation[] = [];
  let next = first;
  let end = HEADER_BYTES;
  for (;;) {
    const frame = nextFrame(bytes, end, header.seed);
    if (frame === undefined || frame.first >= before) break;
    if (frame.first > next) damage.push({ from: next, to: frame.first - 1, start: end, end: frame.offset });
    // A position that was there already can't come again: the frame is a leftover and says nothing new.
    next = Math.max(next, frame.first + frame.items);
    end = frame.end;
    frames.push(frame);
  }
  const rest = Math.min(bytes.length, alignUp(end, FRAME_ALIGNMENT));
  const torn = isZero(bytes, rest, bytes.length) ? 0 : bytes.length - end;
  if (before !== Infinity && next < before) damage.push({ from: next, to: before - 1, start: end, end: bytes.length });
  return { seed: header.seed, next, end, damage, frames, tornBytes: before === Infinity ? torn : 0 };
}

/** Where the next frame goes: on a page of its own if power cuts must not touch the one before it. */
export const frameStart = (end: number, powerSafe: boolean): number =>
  alignUp(end, powerSafe ? PAGE_BYTES : FRAME_ALIGNMENT);
