import type { LostRange } from './lost-ranges.ts';

/** How far a gateway had reached when a record had been applied. */
export type ReachStep = readonly [order: number, end: number];

/**
 * No window that begins at or behind this instant has been touched: it is sealed by no watermark, no bucket lies in it, and nothing in it is lost.
 *
 * @param watermark −Infinity: there is none yet.
 */
export const reachOf = (newestEnd: number, watermark: number, lost: readonly LostRange[]): number =>
  Math.max(newestEnd, watermark, (lost.at(-1)?.[1] ?? -Infinity) + 1);

/** A step is remembered when the end has grown by this much, in milliseconds. */
const STEP_MS = 1_800_000;
/** Steps per gateway: a day in such steps, and the days before in coarser ones. About 3 KiB of a checkpoint. */
const STEPS_MAX = 96;

/**
 * Remembers roughly how far a gateway had reached, record by record, so that a replay which can not begin at the gateway's first record knows
 * which windows it makes whole: those that begin where nothing before its first record reached.
 *
 * Invariant: both parts of the steps grow. A step that is left out makes answers larger, never smaller.
 */
export class Reach {
  readonly #steps: ReachStep[];

  constructor(from: readonly ReachStep[] = []) {
    this.#steps = [...from];
  }

  /** The record has been applied; `end` is how far it and all before it reached, see {@link reachOf}. */
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
  /** How far all records reached; Infinity: nobody knows yet. */
  readonly newest: number;
}

/** An instant that no record before `order` reached beyond. */
export function reachBefore({ steps, newest }: GatewayReach, order: number): number {
  return steps.find(([at]) => at >= order)?.[1] ?? newest;
}
