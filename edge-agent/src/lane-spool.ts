import type { GapRecord, Lane } from '@floorwatch/contracts';

/** A stretch of one lane that can be sent together: all of one epoch. Positions count the lane's items over all epochs. */
export type LanePart = {
  readonly epoch: string;
  /** Positions of the first and the last item, both included. */
  readonly from: number;
  readonly to: number;
  /** Number of the first item within the epoch. */
  readonly number: number;
} & (
  | { readonly kind: 'records'; readonly items: readonly Uint8Array[] }
  /** The items are not there any more; the gap stands in their place. */
  | { readonly kind: 'gap'; readonly gap: GapRecord }
);

/**
 * The output of one lane, on the gateway's disk until the processor has committed it. Items have positions that count up from 1 over all
 * epochs, and numbers that begin at 1 in every epoch. What is not there any more (trimmed, dropped at the cap, damaged) keeps its
 * positions and numbers: reading there gives a gap.
 *
 * One writer and one reader.
 */
export interface LaneSpool {
  readonly lane: Lane;
  /** The epoch of the newest item; undefined: nothing was ever appended. */
  readonly epoch: string | undefined;
  /** The newest item's number in {@link epoch}; 0 if nothing was ever appended. */
  readonly lastNumber: number;
  /** Position that the next item gets. Everything before it is safe. */
  readonly next: number;
  /** Position of the oldest item held. */
  readonly first: number;
  /**
   * Where a processor that knows nothing of this gateway can begin: what it reads from here on begins with a start record without a
   * predecessor, or with a gap from number 1.
   */
  readonly beginning: number;
  /** Bytes on the disk, and what they may be. */
  readonly bytes: number;
  readonly bytesMax: number;
  /** Items dropped at the cap since the start. */
  readonly dropped: number;
  /**
   * Takes all items together in one frame and resolves when they are safe.
   *
   * @param options.epoch begins this epoch; the first item is its start record, with number 1.
   * @param options.now commits at once.
   * @throws SegmentLogError and takes none: `full` or `disk-full` when there is no room and nothing may be dropped. The same items have to be
   * tried again: after a kill, a start may find them there all the same.
   */
  append(items: readonly Uint8Array[], options?: { readonly epoch?: string; readonly now?: boolean }): Promise<void>;
  /** The newest item, or undefined if nothing was ever appended. The newest is never trimmed or dropped. */
  last(): Promise<Uint8Array | undefined>;
  /**
   * What to send from a position on: as many items as fit into `bytesMax` and `itemsMax`, at least one; not beyond a frame's end unless
   * the frame alone is larger, so that what one step of the pipeline made is applied together.
   *
   * @returns undefined if there is nothing at or behind `from`.
   */
  read(from: number, bytesMax: number, itemsMax: number): Promise<LanePart | undefined>;
  /**
   * The position of a number, also of one that is gone or does not exist yet; a number behind the end of its epoch is where the next one begins.
   *
   * @returns undefined if the lane never had the epoch, or forgot it.
   */
  locate(epoch: string, number: number): number | undefined;
  /**
   * To be called before a position is sent: from then on it is not dropped, nor is anything before it in the part that it was read in.
   * False: it is not there any more.
   */
  markSent(position: number): Promise<boolean>;
  /** The last position that may have been sent by {@link markSent}, also before this start: a whole part at a time, so perhaps less was. */
  readonly markedThrough: number;
  /** The first position at or behind `from` that is not known to be gone; {@link next} if there is none. */
  heldFrom(from: number): number;
  /** Positions up to `through` are not needed any more. */
  release(through: number): Promise<void>;
  /**
   * The position at which sending goes on after a restart: what the sender saved last, or 1, so that it also tells of what was dropped before
   * anything was sent.
   */
  readonly sentThrough: number;
  saveSentThrough(position: number): Promise<void>;
  /** Resolves when there is an item at or behind `from`, or `signal` aborts. */
  waitForItem(from: number, signal: AbortSignal): Promise<void>;
}
