import type { LostRange } from './lost-ranges.ts';

/** How far event times reached when a record had been applied: `[order of the record, end of the newest bucket]`. */
export type ReachStep = readonly [order: number, end: number];

/** How far a gateway's event times reach: to the end of its newest bucket, or of what it told to be lost. */
export const reachOf = (newestEnd: number, lost: readonly LostRange[]): number =>
  Math.max(newestEnd, (lost.at(-1)?.[1] ?? -Infinity) + 1);

/** A step is remembered when the end has grown by this much, in milliseconds. */
const STEP_MS = 1_800_000;
/** Steps per gateway: a day in such steps, and the days before in coarser ones. About 3 KiB of a checkpoint. */
const STEPS_MAX = 96;

/**
 * Remembers roughly how far the event times of a gateway's records reached, record by record, so that a replay which can not begin at the
 * gateway's first record knows which windows it makes whole: those that begin where nothing before its first record reached.
 *
 * Invariant: both parts of the steps grow. A step that is left out makes answers larger, never smaller.
 */
export class Reach {
  readonly #steps: ReachStep[];

  constructor(from: readonly ReachStep[] = []) {
    this.#steps = [...from];
  }

  /** The record has been applied; `end` is the end of the newest bucket that it or any before it brought. */
  note(order: number, end: number): void {
    const last = this.#steps.at(-1);
    if (last !== undefined && (end < last[1] + STEP_MS || order <= last[0])) return;
    this.#steps.push([order, end]);
    if (this.#steps.length <= STEPS_MAX) return;
    // The older half becomes coarser.
    for (let index = STEPS_MAX / 2; index > 0; index -= 2) this.#steps.splice(index - 1, 1);
  }

  all(): readonly ReachStep[] {
    return this.#steps;
  }
}

/** What a gateway's windows tell of {@link Reach}. */
export interface GatewayReach {
  readonly steps: readonly ReachStep[];
  /** How far all records reached. */
  readonly newest: number;
}

/** An instant that no record before `order` reached beyond. */
export function reachBefore({ steps, newest }: GatewayReach, order: number): number {
  return steps.find(([at]) => at >= order)?.[1] ?? newest;
}
