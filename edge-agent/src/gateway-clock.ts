import { type ClockQuality, type EpochMs, epochMs } from '@floorwatch/contracts';

import type { TickItem } from './journal/journal-item.ts';
import { readClockQuality } from './status/clock-quality.ts';

/** The gateway's clock, and how far it can be trusted. */
export class GatewayClock {
  readonly startedAt = epochMs(Date.now());
  readonly #startedMs = performance.now();
  #quality: ClockQuality = 'unknown';

  get now(): EpochMs {
    return epochMs(Date.now());
  }

  /** As {@link look} found it last. */
  get quality(): ClockQuality {
    return this.#quality;
  }

  /** Asks the operating system how far the clock can be trusted. */
  async look(): Promise<void> {
    this.#quality = await readClockQuality();
  }

  /** The time as the journal keeps it. */
  tick(): TickItem {
    return { now: this.now, quality: this.#quality, sinceStartMs: Math.round(performance.now() - this.#startedMs) };
  }
}
