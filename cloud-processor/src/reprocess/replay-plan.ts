import type { EpochSnapshot, SourceSnapshot } from '../sequence/sequencer.ts';
import { type GatewayReach, reachBefore } from '../window/reach.ts';
import { orderOf } from '../window/record-order.ts';
import type { HeldNumbers } from './held-numbers.ts';

/** Numbers of one epoch that were taken one after the other, both ends included. */
export interface Segment {
  readonly run: number;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
}

/** Where the replay of one source begins, and which way it takes. */
export interface ReplayPlan {
  /** How far the source had come just before the first record that is replayed. */
  readonly before: SourceSnapshot;
  /** Nothing that came before the replay's first record reached beyond this instant; −Infinity: nothing came before. */
  readonly reach: number;
  /** What the live state took from there on, one after the other. The first may begin before the replay does. */
  readonly segments: readonly Segment[];
}

/**
 * Plans a replay that does to a source's records what the live state did, as far as the stream still holds them: it begins behind the
 * last number that the stream lacks, with floors and runs as they were then. What the stream holds before that hole is of no use,
 * because a late reading in the hole could have belonged to any window.
 *
 * @param live the source now.
 * @param name of the source in `held`.
 * @returns undefined if nothing can be replayed.
 */
export function planReplay(
  live: SourceSnapshot,
  held: HeldNumbers,
  name: string,
  reach: GatewayReach,
): ReplayPlan | undefined {
  const segments = segmentsOf(live);
  const start = startOf(segments, held, name);
  if (start === undefined) return undefined;
  const first = segments[start.index]!;
  const isGoingOn = start.number > first.from;
  const run = isGoingOn ? first.run : first.run - 1;
  const takenFrom = isGoingOn ? first.epoch : (segments[start.index - 1]?.epoch ?? null);
  const epochs = live.epochs.flatMap(([epoch, floor, , , heardAt]): EpochSnapshot[] => {
    const next = segments.findIndex((segment, index) => index >= start.index && segment.epoch === epoch);
    const before = next === -1 ? floor : (next === start.index ? start.number : segments[next]!.from) - 1;
    return before === 0 ? [] : [[epoch, before, before, false, heardAt, 0, 0]];
  });
  const isBeginning = first.run === 1 && start.number === 1;
  return {
    before: { ...live, current: takenFrom, waiting: false, run, takenFrom, runs: [], epochs },
    reach: isBeginning ? -Infinity : reachBefore(reach, orderOf({ run: first.run, number: start.number })),
    segments: segments.slice(start.index),
  };
}

/**
 * All that the live state knows to have taken, in the order in which it did: the newest segments without a break. Runs leap where a processor
 * began without its newest checkpoint, and that is no break: what this state took in between, it knows.
 */
function segmentsOf({ runs, epochs }: SourceSnapshot): readonly Segment[] {
  const floors = new Map(epochs.map(([epoch, floor]) => [epoch, floor] as const));
  const segments = runs.map(([run, epoch, from], index): Segment => {
    const next = runs.find((other, at) => at > index && other[1] === epoch);
    return { run, epoch, from, to: next === undefined ? (floors.get(epoch) ?? 0) : next[2] - 1 };
  });
  const broken = segments.findLastIndex(({ run, from, to }, index) => {
    const next = segments[index + 1];
    return to < from || (next !== undefined && next.run <= run);
  });
  return segments.slice(broken + 1);
}

/** The earliest number behind which the stream holds everything. */
function startOf(
  segments: readonly Segment[],
  held: HeldNumbers,
  name: string,
): { readonly index: number; readonly number: number } | undefined {
  let start: { readonly index: number; readonly number: number } | undefined;
  for (let index = segments.length - 1; index >= 0; index--) {
    const { epoch, from, to } = segments[index]!;
    const missing = held.lastMissing(name, epoch, from, to);
    if (missing === to) return start;
    start = { index, number: missing === undefined ? from : missing + 1 };
    if (missing !== undefined) return start;
  }
  return start;
}
