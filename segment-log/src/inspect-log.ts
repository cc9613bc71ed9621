import { type FileSystem, nodeFileSystem } from './file-system.ts';
import { LogState, type StateContent } from './log-state.ts';
import type { PositionRange } from './position-ranges.ts';
import { type Damage, type LogScan, scanLog } from './scan.ts';

/** A segment as its file tells it. */
export interface SegmentReport {
  readonly name: string;
  readonly bytes: number;
  /** First position, and the one behind the last. */
  readonly first: number;
  readonly next: number;
  readonly frames: number;
  readonly items: number;
  readonly header: 'whole' | 'damaged';
  /** Marked as sent, so that it is not dropped. */
  readonly sent: boolean;
  /** Bytes behind the last whole frame of the newest segment: a write that was cut off, or is under way. */
  readonly tornBytes: number;
}

/** What a log's directory holds. */
export interface LogReport {
  readonly directory: string;
  readonly segments: readonly SegmentReport[];
  /** The oldest position that is kept, and the one that the next item will get. */
  readonly first: number;
  readonly next: number;
  /** Positions before it are not needed any more. */
  readonly trimmed: number;
  readonly dropped: readonly PositionRange[];
  /** Positions that no item ever had. */
  readonly skipped: readonly PositionRange[];
  readonly damage: readonly Damage[];
  readonly cursors: Readonly<Record<string, number>>;
  /** Whether the file of cursors and marks can be read; without it, what was dropped looks like damage. */
  readonly state: 'whole' | 'damaged';
}

/**
 * Looks at a log without changing anything, also while a process writes to it: then it tells what was there at some moment.
 *
 * @throws the system's error if the directory can't be read; SegmentLogError `format` if a newer release wrote it.
 */
export async function inspectLog(directory: string, fileSystem: FileSystem = nodeFileSystem): Promise<LogReport> {
  const { segments, next, damage, state } = await lookTwice(fileSystem, directory);
  return {
    directory,
    segments: segments.map(({ name, size, first, next: end, frames, header, tornBytes }) => ({
      name,
      bytes: size,
      first,
      next: end,
      frames: frames.length,
      items: frames.reduce((sum, { items }) => sum + items, 0),
      header,
      sent: first <= (state?.sent ?? 0),
      tornBytes,
    })),
    first: segments[0]?.first ?? next,
    next,
    trimmed: state?.trimmed ?? segments[0]?.first ?? 1,
    dropped: state?.dropped ?? [],
    skipped: state?.skipped ?? [],
    damage,
    cursors: Object.fromEntries(state?.cursors ?? []),
    state: state === undefined && segments.length > 0 ? 'damaged' : 'whole',
  };
}

/** A directory that changes is not listed as of one moment. What only looks like damage because of that is not there the next time. */
async function lookTwice(
  fileSystem: FileSystem,
  directory: string,
): Promise<LogScan & { readonly state: StateContent | undefined }> {
  const look = async (): ReturnType<typeof lookTwice> =>
    scanLog(fileSystem, directory, async () => LogState.read(fileSystem, directory));
  const first = await look();
  if (first.damage.length === 0) return first;
  const second = await look();
  const isIn = ({ from, to }: PositionRange): boolean => first.damage.some((was) => was.from <= from && was.to >= to);
  return { ...second, damage: second.damage.filter(isIn) };
}
