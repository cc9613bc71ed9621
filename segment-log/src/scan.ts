import path from 'node:path';

import { isMissing, SegmentLogError } from './errors.ts';
import type { FileSystem, LogFile } from './file-system.ts';
import {
  alignUp,
  FRAME_ALIGNMENT,
  type FrameLocation,
  HEADER_BYTES,
  headerState,
  isZero,
  nextFrame,
  parseSegmentName,
  type SegmentHeader,
  segmentName,
} from './format.ts';
import type { StateContent } from './log-state.ts';
import { type PositionRange, without } from './position-ranges.ts';
import { readTolerant } from './segment.ts';

/** Positions that were there once and can't be read any more. */
export interface Damage extends PositionRange {
  /** The file whose bytes can't be read, or the one before a file that is missing; undefined if there is none. */
  readonly segment: string | undefined;
  /** Its bytes that could not be read; both equal when a file is missing. */
  readonly start: number;
  readonly end: number;
}

/** What a segment's bytes hold. */
export interface SegmentScan extends SegmentHeader {
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly header: 'whole' | 'damaged';
  /** Position behind the last item. */
  readonly next: number;
  /** Offset behind the last whole frame. */
  readonly end: number;
  /** Where the frames lie, in order. */
  readonly frames: readonly FrameLocation[];
  /** Bytes behind `end` that are neither a whole frame nor zeros, in the newest segment: a write that was cut off, or is under way. */
  readonly tornBytes: number;
  readonly damage: readonly Damage[];
}

/** What a log's directory holds. */
export interface LogScan {
  readonly segments: readonly SegmentScan[];
  /** Position behind the last item of all. */
  readonly next: number;
  readonly damage: readonly Damage[];
}

/**
 * Reads all segments of a directory from one end to the other, without changing anything. A log may be written to meanwhile: files that
 * vanish were trimmed or dropped, and what `readState` tells afterwards explains their positions; how far the log had come it must tell
 * beforehand.
 *
 * @throws SegmentLogError `format` if a newer release wrote one of them.
 */
export async function scanLog(
  fileSystem: FileSystem,
  directory: string,
  readState: () => Promise<StateContent | undefined>,
): Promise<LogScan & { readonly state: StateContent | undefined }> {
  const nextBefore = (await readState())?.next ?? 1;
  const headers = (await fileSystem.list(directory))
    .flatMap((name) => parseSegmentName(name) ?? [])
    .sort((a, b) => a.first - b.first);
  const segments: SegmentScan[] = [];
  for (const [index, header] of headers.entries()) {
    const bytes = await readSegment(fileSystem, path.join(directory, segmentName(header)));
    if (bytes !== undefined) segments.push(scanSegment(bytes, header, headers[index + 1]?.first ?? Infinity));
  }
  const state = await readState();
  const last = segments.at(-1)?.next ?? 1;
  const next = Math.max(last, nextBefore);
  const damage = segments.flatMap((segment) => segment.damage);
  const oldest = segments[0]?.first ?? next;
  if (state !== undefined && oldest > state.trimmed)
    damage.unshift({ from: state.trimmed, to: oldest - 1, ...NO_FILE });
  if (segments.length > 0 && next > last) damage.push({ from: last, to: next - 1, ...tailOf(segments.at(-1)) });
  return { segments, next, damage: damage.flatMap((range) => unexplained(range, state)), state };
}

const NO_FILE = { segment: undefined, start: 0, end: 0 } as const;

const tailOf = (segment: SegmentScan | undefined): Omit<Damage, 'from' | 'to'> =>
  segment === undefined ? NO_FILE : { segment: segment.name, start: segment.end, end: segment.size };

/** What of the damage was neither trimmed nor dropped nor skipped. */
function unexplained(damage: Damage, state: StateContent | undefined): Damage[] {
  if (state === undefined) return [damage];
  const rest = { from: Math.max(damage.from, state.trimmed), to: damage.to };
  const { segment, start, end } = damage;
  const missing = without(rest, state.dropped).flatMap((range) => without(range, state.skipped));
  return missing.map(({ from, to }) => ({ from, to, segment, start, end }));
}

async function readSegment(fileSystem: FileSystem, file: string): Promise<Buffer | undefined> {
  let opened: LogFile;
  try {
    opened = await fileSystem.open(file, 'read');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const bytes = await readTolerant(opened, 0, await opened.size());
    if (headerState(bytes) !== 'newer') return bytes;
  } finally {
    await opened.close();
  }
  throw new SegmentLogError('format', `${file}: was written by a newer release; start that one`);
}

/**
 * Reads a segment from one end to the other. What lies between two frames whose positions do not follow each other is damage, and the
 * missing positions are exact.
 *
 * @param before the first position of the next segment: what this one holds from there on was written again in that one.
 */
function scanSegment(bytes: Buffer, { first, seed }: SegmentHeader, before: number): SegmentScan {
  const name = segmentName({ first, seed });
  const damage: Damage[] = [];
  const frames: FrameLocation[] = [];
  let next = first;
  let end = HEADER_BYTES;
  for (let frame = nextFrame(bytes, end, seed); frame !== undefined; frame = nextFrame(bytes, end, seed)) {
    if (frame.first >= before) break;
    if (frame.first > next)
      damage.push({ from: next, to: frame.first - 1, segment: name, start: end, end: frame.offset });
    // A position that was there already can't come again: the frame is a leftover and says nothing new.
    next = Math.min(before, Math.max(next, frame.first + frame.items));
    end = frame.end;
    frames.push(frame);
  }
  const newest = before === Infinity;
  if (!newest && next < before)
    damage.push({ from: next, to: before - 1, segment: name, start: Math.min(end, bytes.length), end: bytes.length });
  const rest = Math.min(bytes.length, alignUp(end, FRAME_ALIGNMENT));
  const tornBytes = newest && !isZero(bytes, rest) ? bytes.length - end : 0;
  const header = headerState(bytes) === 'whole' ? 'whole' : 'damaged';
  return { first, seed, name, size: bytes.length, header, next, end, frames, tornBytes, damage };
}
