import { type EpochMs, epochMs, seconds } from '@floorwatch/contracts';

import { requireSection, type StateSection } from '../state-section.ts';

/** Every later release must be able to read it (docs/agent-snapshot-format.md). */
const SECTION = 'watermark';
const VERSION = 1;

/** After a start, readings that waited elsewhere are still on their way: silence means nothing yet. */
const START_GRACE_MS = seconds(60);

/** What the gateway knows of time at one moment. */
export interface ClockTick {
  readonly now: EpochMs;
  /** false: the clock is known to be wrong. A clock of unknown quality counts as synchronised. */
  readonly synchronised: boolean;
  /** Milliseconds since the program started, by a clock that never steps. */
  readonly sinceStartMs: number;
  /** The broker that readings come from is away, so that silence says nothing about sensors. Absent: it is not. */
  readonly deaf?: boolean;
}

export interface WatermarkConfig {
  readonly outOfOrderMs: number;
  readonly idleMs: number;
}

/** Null: not known yet. */
interface SavedWatermark {
  readonly clock: number | null;
  readonly highest: number | null;
  readonly value: number | null;
  readonly activeAt: number | null;
  readonly heard: boolean;
}

/**
 * How far event time has come on this gateway: the smaller of its clock and the highest accepted event time, less the out-of-order
 * bound. After `idleMs` without readings it follows the clock, except while the clock is unsynchronised and in the first minute
 * after a start. It never goes back. The same rule serves recordings of any age, and one device with a clock in the future cannot
 * move it beyond the gateway's clock.
 */
export class Watermark {
  readonly #config: WatermarkConfig;
  #clock: number | undefined;
  #highest = -Infinity;
  #value = -Infinity;
  /** By the clock: the last tick before which readings had come, or the first tick. */
  #activeAt = Infinity;
  #heard = false;

  constructor(config: WatermarkConfig) {
    this.#config = config;
  }

  /** Hears of an accepted reading. */
  observe(at: EpochMs): void {
    if (at > this.#highest) this.#highest = at;
    this.#heard = true;
  }

  /** Hears of the clock. */
  tick({ now, synchronised, sinceStartMs }: ClockTick): void {
    this.#clock = now;
    this.#raise(Math.min(now, this.#highest));
    // A clock that stepped back starts the idle time afresh.
    if (this.#heard || now < this.#activeAt) this.#activeAt = now;
    this.#heard = false;
    const idle = now - this.#activeAt >= this.#config.idleMs;
    if (idle && synchronised && sinceStartMs >= START_GRACE_MS) this.#raise(now);
  }

  /** The watermark; undefined before the first tick and before the first reading, unless it follows the clock. */
  value(): EpochMs | undefined {
    if (this.#clock === undefined) return undefined;
    this.#raise(Math.min(this.#clock, this.#highest));
    return this.#value === -Infinity ? undefined : epochMs(this.#value);
  }

  /** How far the readings alone have come: it does not follow the clock when none come. Undefined as for {@link value}. */
  ofReadings(): EpochMs | undefined {
    if (this.#clock === undefined || this.#highest === -Infinity) return undefined;
    return epochMs(Math.min(this.#clock, this.#highest) - this.#config.outOfOrderMs);
  }

  snapshot(): StateSection {
    // JSON has no infinities.
    const known = (time: number | undefined): number | null => (Number.isFinite(time) ? (time ?? null) : null);
    const values = {
      clock: known(this.#clock),
      highest: known(this.#highest),
      value: known(this.#value),
      activeAt: known(this.#activeAt),
      heard: this.#heard,
    };
    return { name: SECTION, version: VERSION, values, arrays: {} };
  }

  /** @throws StateError */
  restore(sections: readonly StateSection[]): void {
    const { clock, highest, value, activeAt, heard } = requireSection(sections, SECTION, VERSION)
      .values as SavedWatermark;
    this.#clock = clock ?? undefined;
    this.#highest = highest ?? -Infinity;
    this.#value = value ?? -Infinity;
    this.#activeAt = activeAt ?? Infinity;
    this.#heard = heard;
  }

  #raise(time: number): void {
    this.#value = Math.max(this.#value, time - this.#config.outOfOrderMs);
  }
}
