import { SegmentLogError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { limits } from './limits.ts';
import type { PositionRange } from './position-ranges.ts';
import type { Frame } from './segment.ts';

/** `power`: what is acknowledged survives a power cut. `process`: it survives the end of the process, however it ends. */
export type Durability = 'power' | 'process';

export interface SegmentLogOptions {
  /** The log's own directory; made if it is missing. One process has it open at a time. */
  readonly directory: string;
  readonly durability: Durability;
  /** Bytes of all segments together, a few segments and more. Trimming makes room. */
  readonly bytesMax: number;
  /** Bytes of `bytesMax` that only appends with `reserve` may use. 0 by default. */
  readonly reserveBytes?: number;
  /** Bytes after which a new segment begins, 16 KiB to 256 MiB; 4 MiB by default. A single append may not be larger. */
  readonly segmentBytesMax?: number;
  /** How long an append waits for others to share its commit, in milliseconds. 0 by default: only those of the same moment share it. */
  readonly commitDelayMs?: number;
  /**
   * What happens to an append that finds the log or the disk full. `refuse` (the default): it fails. `drop-unsent`: the oldest segment that
   * is not marked as sent goes, and so on until there is room; if there is none to drop, the append fails.
   */
  readonly whenFull?: 'refuse' | 'drop-unsent';
  /**
   * Called before a segment is dropped, with its positions and a way to read them; the segment goes when it resolves, and stays if it
   * rejects, which fails the append. Called again for the same positions if the process ends in between.
   */
  readonly dropping?: (range: PositionRange, frames: AsyncGenerator<Frame>) => Promise<void>;
  /** Called when the disk is full and this log has nothing to drop: makes space elsewhere, and resolves with the bytes; 0: there is none. */
  readonly makeSpace?: () => Promise<number>;
  /** Called after every commit. */
  readonly committed?: (commit: {
    readonly items: number;
    readonly bytes: number;
    readonly durationMs: number;
  }) => void;
  /** The machine's own by default. */
  readonly fileSystem?: FileSystem;
}

export interface AppendOptions {
  /** Commit at once, with everything that waits already. */
  readonly now?: boolean;
  /** Use the reserve if need be. */
  readonly reserve?: boolean;
}

/** Bytes of a segment, if the options fit together. */
export function checkedSegmentBytes({
  segmentBytesMax = 4 * 1024 * 1024,
  bytesMax,
  reserveBytes = 0,
}: SegmentLogOptions): number {
  const { segmentBytesMin, segmentBytesMax: most } = limits;
  if (!Number.isSafeInteger(segmentBytesMax) || segmentBytesMax < segmentBytesMin || segmentBytesMax > most) {
    throw new SegmentLogError(
      'format',
      `segmentBytesMax: ${segmentBytesMax} is not possible; use ${segmentBytesMin} to ${most}`,
    );
  }
  if (!(bytesMax - reserveBytes >= 2 * segmentBytesMax)) {
    throw new SegmentLogError(
      'format',
      `bytesMax: ${bytesMax} is too small; with segments of ${segmentBytesMax} and a reserve of ${reserveBytes} use ${2 * segmentBytesMax + reserveBytes} or more`,
    );
  }
  return segmentBytesMax;
}
