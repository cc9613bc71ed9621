import { type EpochMs, epochMs, seconds } from '@floorwatch/contracts';

import type { ClockTick } from '../stats/watermark.ts';

/** Longer between two ticks, and the agent was not there in between: it stood still, or its journal could not be written. Three times the pause between ticks. */
const TICK_GAP_MS_MAX = seconds(15);

/**
 * How long devices may take to come back after the agent was away: as long again as it was away, for that is where a client comes that
 * doubles its pauses, and at least and at most so long. Two minutes is the longest pause of the most common client libraries.
 */
const RETURN_MS_MIN = seconds(30);
const RETURN_MS_MAX = seconds(120);

/** What a snapshot keeps of {@link ListeningTime}. Null: not known. */
export interface SavedListening {
  readonly listened: number;
  readonly atTick: number;
  readonly tickNow: number | null;
  readonly sinceStartMs: number | null;
  readonly isDeaf: boolean;
  readonly awayMs: number;
  readonly isSynchronised: boolean;
  readonly wall: number | null;
}

/**
 * The time during which the gateway could hear its sensors, in milliseconds: it runs with the monotonic clock that the journal's ticks carry, and
 * stands still while the agent or its broker was away. So steps of the wall clock change nothing, what the agent was away for is nobody's
 * silence, and a replay of the journal finds the same times.
 *
 * Between two ticks it follows the wall clock of what arrives, by no more than ticks lie apart: a step is put right by the next tick.
 */
export class ListeningTime {
  /** The time at the item in hand, as the only element. */
  readonly now = new Float64Array(1);
  /** … at the last tick, the wall clock then, and how long the agent had been running; NaN: no tick since the start. */
  #atTick = 0;
  #tickNow = NaN;
  #sinceStartMs = NaN;
  /** Whether nothing can be heard: from a start or the loss of the broker until a tick says otherwise. */
  #isDeaf = true;
  /** How long that has been so. */
  #awayMs = 0;
  #isSynchronised = false;
  /** The wall clock at the item in hand; NaN before the first. */
  #wall = NaN;

  /** Whether the wall clock was right at the last tick, as far as is known. */
  get isSynchronised(): boolean {
    return this.#isSynchronised;
  }

  /** The wall clock at the item in hand. */
  get wall(): EpochMs {
    return epochMs(this.#wall);
  }

  /** The agent has started at `at` by the wall clock. */
  start(at: EpochMs): void {
    this.#awayMs += Number.isNaN(this.#wall) ? 0 : Math.max(0, at - this.#wall);
    this.#isDeaf = true;
    this.#sinceStartMs = NaN;
    this.#wall = at;
  }

  /** @returns if the gateway can hear again from now on: how long devices may take to come back, in milliseconds. */
  tick({ now, sinceStartMs, synchronised, deaf = false }: ClockTick): number | undefined {
    const isFirst = Number.isNaN(this.#tickNow);
    const sinceTickMs = Math.max(0, sinceStartMs - this.#sinceStartMs);
    const isGap = sinceTickMs > TICK_GAP_MS_MAX;
    const wasAway = this.#isDeaf || isGap;
    if (wasAway) this.#awayMs += Number.isNaN(sinceTickMs) ? 0 : sinceTickMs;
    else this.#raise(this.#atTick + sinceTickMs);
    this.#atTick = this.now[0]!;
    this.#tickNow = now;
    this.#sinceStartMs = sinceStartMs;
    this.#wall = now;
    this.#isDeaf = deaf;
    this.#isSynchronised = synchronised;
    if (deaf || !wasAway) return undefined;
    // Later than all that came before the absence.
    this.#raise(this.now[0]! + 1);
    this.#atTick = this.now[0]!;
    const returnMs = isFirst ? 0 : Math.min(RETURN_MS_MAX, Math.max(RETURN_MS_MIN, this.#awayMs));
    this.#awayMs = 0;
    return returnMs;
  }

  /**
   * Something has come at `receivedAt` by the wall clock.
   *
   * @returns whether it came by itself: what comes first after an absence is what a broker or a device had kept.
   */
  arrive(receivedAt: number): boolean {
    this.#wall = receivedAt;
    if (this.#isDeaf) return false;
    const sinceTickMs = receivedAt - this.#tickNow;
    if (sinceTickMs > 0) this.#raise(this.#atTick + Math.min(sinceTickMs, TICK_GAP_MS_MAX));
    return true;
  }

  #raise(time: number): void {
    if (time > this.now[0]!) this.now[0] = time;
  }

  snapshot(): SavedListening {
    const known = (time: number): number | null => (Number.isNaN(time) ? null : time);
    return {
      listened: this.now[0]!,
      atTick: this.#atTick,
      tickNow: known(this.#tickNow),
      sinceStartMs: known(this.#sinceStartMs),
      isDeaf: this.#isDeaf,
      awayMs: this.#awayMs,
      isSynchronised: this.#isSynchronised,
      wall: known(this.#wall),
    };
  }

  restore({ listened, atTick, tickNow, sinceStartMs, isDeaf, awayMs, isSynchronised, wall }: SavedListening): void {
    this.now[0] = listened;
    this.#atTick = atTick;
    this.#tickNow = tickNow ?? NaN;
    this.#sinceStartMs = sinceStartMs ?? NaN;
    this.#isDeaf = isDeaf;
    this.#awayMs = awayMs;
    this.#isSynchronised = isSynchronised;
    this.#wall = wall ?? NaN;
  }
}
