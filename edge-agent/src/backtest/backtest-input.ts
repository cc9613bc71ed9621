import type { EpochMs, Reading } from '@floorwatch/contracts';

import type { ArrivalItem, TickItem } from '../journal/journal-item.ts';
import type { Arrival } from '../sensor-engine.ts';
import type { StateSection } from '../state-section.ts';

/** What a backtest judges, in order. A recording has readings only, and its event times stand for the clock. */
export type BacktestItem =
  | { readonly kind: 'reading'; readonly reading: Reading; readonly arrival?: Arrival }
  | ({ readonly kind: 'arrival' } & ArrivalItem)
  | { readonly kind: 'tick'; readonly tick: TickItem }
  /** The agent started. */
  | { readonly kind: 'start'; readonly at: EpochMs };

/** Counted while reading. */
export interface RecordingCounts {
  readings: number;
  /** Cells, lines or items of the journal without a usable value and time. */
  skipped: number;
}

/** A recording or a journal, opened. */
export interface BacktestInput {
  /** What the agent knew before the first item; undefined: nothing. */
  readonly state: { readonly sections: readonly StateSection[]; readonly at: EpochMs } | undefined;
  /** Whether a clock is among the items. Otherwise event time alone moves the watermark. */
  readonly hasClock: boolean;
  items(counts: RecordingCounts): AsyncIterable<BacktestItem>;
}
