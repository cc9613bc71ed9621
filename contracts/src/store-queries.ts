import type { SensorRef } from './names.ts';
import type { AnomalyRow, WindowRow } from './rows.ts';
import type { DurationMs, EpochMs } from './time.ts';

/** Which windows to return, by start, oldest first. */
export interface WindowQuery {
  readonly sensor: SensorRef;
  readonly size: DurationMs;
  /** Windows with `from` ≤ start < `to`. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

/** Which windows of many sensors to return, by start, then by the names of the sensor and the size, oldest first. */
export interface WindowRangeQuery {
  /** Only of this sensor. */
  readonly sensor?: SensorRef;
  /** Only of this site or gateway. */
  readonly site?: string;
  readonly gateway?: string;
  readonly size?: DurationMs;
  /** Windows with `from` ≤ start < `to`. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

/** Which episodes to return, by opening, newest first. */
export interface AnomalyQuery {
  readonly sensor?: SensorRef;
  /** Only of this site or gateway. */
  readonly site?: string;
  readonly gateway?: string;
  /** Episodes with `from` ≤ openedAt < `to`. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly severity?: AnomalyRow['severity'];
  /** Only episodes that have not closed. */
  readonly openOnly?: boolean;
  readonly limit: number;
  readonly after?: string;
}

/** The newest window that a store has of a sensor. */
export type NewestWindow = Pick<WindowRow, 'sensor' | 'unit' | 'start' | 'size' | 'aggregate' | 'moving'>;
