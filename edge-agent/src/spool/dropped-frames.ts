import { at, limits as contractLimits, rollupStart } from '@floorwatch/contracts';
import type { PositionRange } from '@floorwatch/segment-log';

import { decodeSpooled } from '../spooled-record.ts';

/** Instants from `from` to `to`, both included, in epoch milliseconds. */
interface Instants {
  readonly from: number;
  readonly to: number;
}

/** What the items of some positions held that were dropped: those of one frame, or of several that were joined. */
export interface DroppedFrame extends PositionRange {
  readonly readings: number;
  readonly anomalies: number;
  /** Event times of the readings, to the bounds of their buckets; null: there were none. */
  readonly eventTimes: Instants | null;
}

/** Says what the items from position `first` on hold. */
export function describeItems(first: number, items: readonly Uint8Array[]): DroppedFrame {
  let readings = 0;
  let anomalies = 0;
  let eventTimes: Instants | null = null;
  for (const bytes of items) {
    const { record } = decodeSpooled(bytes);
    if (record.kind === 'anomaly') anomalies += 1;
    if (record.kind !== 'rollups') continue;
    for (let index = 0; index < record.columns.n.length; index++) {
      readings += at(record.columns.n, index);
      const start = rollupStart(record, index);
      eventTimes = joinedTimes(eventTimes, { from: start, to: start + record.bucketMs - 1 });
    }
  }
  return { from: first, to: first + items.length - 1, readings, anomalies, eventTimes };
}

const joinedTimes = (a: Instants | null, b: Instants | null): Instants | null =>
  a === null || b === null ? (a ?? b) : { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) };

const joined = (a: DroppedFrame, b: DroppedFrame): DroppedFrame => ({
  from: a.from,
  to: b.to,
  readings: a.readings + b.readings,
  anomalies: a.anomalies + b.anomalies,
  eventTimes: joinedTimes(a.eventTimes, b.eventTimes),
});

/** `frames` with those of `range` replaced by `added`, in order of positions. */
export const withFrames = (
  frames: readonly DroppedFrame[],
  range: PositionRange,
  added: readonly DroppedFrame[],
): DroppedFrame[] =>
  [...frames.filter(({ from, to }) => to < range.from || from > range.to), ...added].sort((a, b) => a.from - b.from);

/**
 * Where the gap ends that begins with a range of missing positions: one gap stands for `numbersAheadMax` of them, and the next begins behind it.
 *
 * @param unparted the last position up to a given one that does not part what is described together.
 */
export function gapEnd({ from, to }: PositionRange, unparted: (through: number) => number): number {
  const furthest = from + contractLimits.numbersAheadMax - 1;
  if (to <= furthest) return to;
  const whole = unparted(furthest);
  return whole < from ? furthest : whole;
}

/**
 * At most `max` frames that say the same, more coarsely: neighbours are joined, the oldest first.
 *
 * @param isApart whether what begins at a position must not be joined with what lies before it.
 */
export function coarsened(
  frames: readonly DroppedFrame[],
  max: number,
  isApart: (position: number) => boolean,
): readonly DroppedFrame[] {
  let result = frames;
  for (let count = Infinity; result.length > max && result.length < count;) {
    count = result.length;
    let surplus = count - max;
    const next: DroppedFrame[] = [];
    // Every frame takes part once per round, so that all become coarse alike.
    let open: DroppedFrame | undefined;
    for (const frame of result) {
      if (surplus > 0 && open !== undefined && open.to + 1 === frame.from && !isApart(frame.from)) {
        next[next.length - 1] = joined(open, frame);
        open = undefined;
        surplus -= 1;
      } else {
        next.push(frame);
        open = frame;
      }
    }
    result = next;
  }
  return result;
}
