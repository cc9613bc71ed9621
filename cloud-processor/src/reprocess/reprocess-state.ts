import type { EpochMs } from '@floorwatch/contracts';

import type { RowCounts } from './compare-rows.ts';
import type { WindowCounts } from './compare-windows.ts';
import type { ReplayGap } from './replay.ts';

/** What a person asked for: windows that lie wholly inside [from, to), episodes that opened and reports that were made inside it. */
export interface ReprocessRequest {
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Nothing is written: rows are compared and counted. */
  readonly dryRun: boolean;
}

/** What a run has found so far. */
export interface ReprocessCounts {
  windows: WindowCounts & {
    /** In the range, but not made: the stream no longer holds all that belongs into them. */
    partial: number;
  };
  anomalies: RowCounts;
  /** What gateways say that they have accepted, for `verify`. */
  counted: RowCounts;
  /** Rows of other kinds that were written again as they are. */
  others: number;
}

/**
 * Where a run is. `waiting`: until what is on its way to the store has arrived; `surveying`: it looks which records the stream holds;
 * `replaying`: it feeds them once more; `writing`: what was made is on its way to the store.
 */
export interface ReprocessStep {
  readonly partition: number;
  readonly phase: 'waiting' | 'surveying' | 'replaying' | 'writing';
  /** Sequences of the stream. */
  readonly position: number;
  readonly through: number;
}

/** A run as the API shows it. */
export interface ReprocessStatus extends ReprocessRequest {
  /** `stopped`: somebody asked for it. What was written until then stays and is right. */
  readonly state: 'running' | 'done' | 'failed' | 'stopped';
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly partitions: { readonly done: number; readonly total: number };
  readonly now: ReprocessStep | null;
  readonly counts: ReprocessCounts;
  /** Gateways of which not everything could be made again, as far as they are shown. */
  readonly gateways: readonly { readonly gateway: string; readonly why: ReplayGap }[];
  /** What went wrong, a sentence each. */
  readonly problems: readonly string[];
}

export const noCounts = (): ReprocessCounts => ({
  windows: { same: 0, missing: 0, changed: 0, kept: 0, partial: 0 },
  anomalies: { same: 0, missing: 0, changed: 0 },
  counted: { same: 0, missing: 0, changed: 0 },
  others: 0,
});
