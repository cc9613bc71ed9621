import { type FileSystem, nodeFileSystem } from './file-system.ts';
import { LogState } from './log-state.ts';
import { scanLog } from './scan.ts';
import { type Frame, Segment } from './segment.ts';

/**
 * The items of a log from position `from` on, in order, without changing anything and without its lock: for looking at a copy, or at a log
 * that no program has open. What can't be read is left out, so that positions are missing between two frames.
 *
 * @throws the system's error if the directory can't be read; SegmentLogError `format` if a newer release wrote it.
 */
export async function* readLog(
  directory: string,
  from: number,
  fileSystem: FileSystem = nodeFileSystem,
): AsyncGenerator<Frame> {
  const { segments } = await scanLog(fileSystem, directory, async () => LogState.read(fileSystem, directory));
  for (const { first, seed, next, end } of segments) {
    if (next > from) yield* new Segment(directory, { first, seed }, { next, end }).frames(fileSystem, from, next);
  }
}
