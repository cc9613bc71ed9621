import path from 'node:path';

import { translated } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { HEADER_BYTES, isZero } from './format.ts';
import { limits } from './limits.ts';
import type { LogState } from './log-state.ts';
import { without } from './position-ranges.ts';
import { type Damage, scanLog, type SegmentScan } from './scan.ts';
import { readTolerant, removeFile, Segment } from './segment.ts';

/** Where damaged bytes are kept for a person to look at. */
const DAMAGED_DIRECTORY = 'damaged';

/** What opening a log found. */
export interface Recovery {
  readonly segments: number;
  readonly bytes: number;
  /** Bytes of a write that was cut off at the very end; they were never acknowledged. */
  readonly tornBytes: number;
  /** Every range that is missing, also if an earlier start has reported it. */
  readonly damage: readonly Damage[];
  /** Files in which bytes were set aside by this start, within the log's directory. */
  readonly setAside: readonly string[];
  /** The file of cursors and marks could not be read: cursors are gone, and everything counts as sent. */
  readonly stateLost: boolean;
}

export interface Recovered {
  readonly recovery: Recovery;
  readonly segments: Segment[];
  readonly next: number;
  /** Whether the newest segment may be written to. */
  readonly writable: boolean;
}

/**
 * Finds out what a log's directory holds, removes what is not needed, cuts off a torn end, and syncs the rest: a kill can leave data
 * that looks safe and is not.
 */
export async function recover(
  fileSystem: FileSystem,
  directory: string,
  { state, found }: { readonly state: LogState; readonly found: boolean },
): Promise<Recovered> {
  const { content } = state;
  const scan = await scanLog(fileSystem, directory, async () => (found ? content : undefined));
  const newest = scan.segments.at(-1);
  const stateLost = !found && newest !== undefined;
  if (stateLost) Object.assign(content, { trimmed: scan.segments[0]?.first ?? 1, sent: newest.first });
  // Before anything is cut or removed.
  const setAside = await setDamageAside(fileSystem, directory, scan.damage);
  const holder = scan.segments.findLast(({ frames }) => frames.length > 0);
  const segments: Segment[] = [];
  for (const scanned of scan.segments) {
    const segment = new Segment(directory, scanned, scanned);
    const isNewest = scanned === newest;
    if (isNewest ? isEmptyLeftover(scanned) : scanned !== holder && isForgotten(scanned, state)) {
      await removeFile(fileSystem, segment.path);
      continue;
    }
    for (const frame of scanned.frames) segment.remember(frame.first, frame.offset);
    await secure(fileSystem, segment, isNewest ? scanned.size : undefined);
    segments.push(segment);
  }
  try {
    await fileSystem.syncDirectory(directory);
  } catch (error) {
    throw translated(error, 'sync-failed', directory);
  }
  const writable = newest?.header === 'whole' && newest.next === scan.next;
  content.next = scan.next;
  const recovery = {
    segments: segments.length,
    bytes: segments.reduce((sum, segment) => sum + segment.end, 0),
    tornBytes: newest?.tornBytes ?? 0,
    damage: scan.damage,
    setAside,
    stateLost,
  };
  return { recovery, segments, next: scan.next, writable };
}

/** A newest segment whose header never reached the disk: nothing in it was acknowledged. */
const isEmptyLeftover = ({ header, frames }: SegmentScan): boolean => header === 'damaged' && frames.length === 0;

/** A segment that was trimmed or dropped by a process that did not live to remove it. */
const isForgotten = ({ first, next }: SegmentScan, { content }: LogState): boolean =>
  next > first
    ? without({ from: Math.max(first, content.trimmed), to: next - 1 }, content.dropped).length === 0
    : first < content.trimmed;

/** Makes a segment durable; what the newest one holds behind its last frame (`size` is given) goes. */
async function secure(fileSystem: FileSystem, segment: Segment, size: number | undefined): Promise<void> {
  const file = await fileSystem.open(segment.path, 'change');
  try {
    if (size !== undefined && size > Math.max(segment.end, HEADER_BYTES)) await file.truncate(segment.end);
    await file.sync();
  } catch (error) {
    throw translated(error, 'sync-failed', segment.path);
  } finally {
    await file.close();
  }
}

/** Copies damaged bytes that were not copied before. What can't be copied is left where it is: the log must open on a full disk too. */
async function setDamageAside(
  fileSystem: FileSystem,
  directory: string,
  damage: readonly Damage[],
): Promise<readonly string[]> {
  const unreadable = damage.filter(({ segment, start, end }) => segment !== undefined && end > start);
  if (unreadable.length === 0) return [];
  const folder = path.join(directory, DAMAGED_DIRECTORY);
  const made: string[] = [];
  try {
    await fileSystem.makeDirectory(folder);
    const present = await fileSystem.list(folder);
    let bytes = present.reduce((sum, name) => sum + bytesOf(name), 0);
    for (const { segment, start, end } of unreadable) {
      const name = `${segment}.${start}-${end}`;
      bytes += end - start;
      if (present.includes(name) || made.includes(name) || bytes > limits.damagedBytesMax) continue;
      if (await copyRange(fileSystem, path.join(directory, segment ?? ''), path.join(folder, name), start, end))
        made.push(name);
    }
    await fileSystem.syncDirectory(folder);
  } catch {
    // Reported as damage all the same.
  }
  return made.map((name) => path.join(DAMAGED_DIRECTORY, name));
}

const bytesOf = (name: string): number => {
  const [, start, end] = /\.(\d+)-(\d+)$/.exec(name) ?? [];
  return Number(end ?? 0) - Number(start ?? 0);
};

/** Returns false if there is nothing but zeros. */
async function copyRange(
  fileSystem: FileSystem,
  from: string,
  to: string,
  start: number,
  end: number,
): Promise<boolean> {
  const source = await fileSystem.open(from, 'read');
  let bytes: Buffer;
  try {
    bytes = await readTolerant(source, start, end - start);
  } finally {
    await source.close();
  }
  if (isZero(bytes, 0)) return false;
  const copy = await fileSystem.open(to, 'create');
  try {
    await copy.write(bytes, 0);
    await copy.sync();
  } finally {
    await copy.close();
  }
  return true;
}
