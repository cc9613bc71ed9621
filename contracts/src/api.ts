import type { Aggregate } from './aggregate.ts';
import type { AnomalyRow, GatewayRow, WindowRow } from './rows.ts';
import type { Lane } from './batch.ts';
import type { MovingStatistics } from './moving-statistics.ts';
import type { GatewayName, SensorRef } from './names.ts';
import type { DurationMs, EpochMs } from './time.ts';

/** One page of a list. `next` goes into the query's `after` for the page behind it; null: this is the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/**
 * How a sensor is now. `unknown`: its gateway has not reported for a while, or nothing has come of the sensor for far longer than usual although nobody
 * calls it silent, so nothing can be said; never read it as "all clear".
 */
export const SENSOR_STATES = ['normal', 'warning', 'critical', 'unknown'] as const;
export type SensorState = (typeof SENSOR_STATES)[number];

/** A site and its gateways: `GET /api/v1/sites`. */
export interface SiteView {
  readonly site: string;
  readonly gateways: readonly GatewayView[];
}

/** A gateway as the processor sees it. Null: not heard of since the processor started, and nothing stored. */
export interface GatewayView extends GatewayName {
  /** The processor's clock when the newest batch came. */
  readonly heardAt: EpochMs | null;
  readonly watermark: EpochMs | null;
  readonly report: GatewayRow | null;
  readonly sensors: number;
  /** What a person should look into, the newest first. */
  readonly alarms: readonly GatewayAlarm[];
}

/**
 * Something odd about what a gateway sends, of which nothing was dropped. `identity`: it looks as if two gateways used one name, or an old
 * copy of a disk. `trimmed`: the gateway no longer had what the processor asked for again.
 */
export interface GatewayAlarm {
  readonly kind: 'identity' | 'trimmed';
  readonly lane: Lane;
  /** The epoch that was heard when it was raised last. */
  readonly epoch: string;
  /** When the stream got the first and the last batch that raised it, and how many did. */
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly count: number;
  /** What it means, and what to do, in sentences. */
  readonly meaning: string;
  readonly remedy: string;
}

/** A sensor with its newest value: `GET /api/v1/sensors`. */
export interface SensorView {
  /** `site/gateway/device/metric`. */
  readonly id: string;
  readonly sensor: SensorRef;
  readonly unit: string | null;
  readonly state: SensorState;
  /** Null: it is expected, and was never heard. */
  readonly last: number | null;
  readonly lastAt: EpochMs;
  readonly moving: MovingStatistics;
  readonly openAnomalies: number;
}

/** Ten seconds of one sensor, from the processor's memory: `GET /api/v1/rollups`, and the event `rollup`. */
export interface RollupPoint {
  readonly start: EpochMs;
  readonly n: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly last: number;
  readonly anomalous: number;
  readonly moving: MovingStatistics;
}

/** A window, sealed or still open: `GET /api/v1/windows`. */
export interface WindowView {
  readonly size: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  /** True while readings may still join it. */
  readonly open: boolean;
  readonly n: number;
  readonly mean: number;
  /** Null where the number is larger than JSON can say; the same for `sd`. */
  readonly variance: number | null;
  readonly sd: number | null;
  readonly min: number;
  readonly max: number;
  readonly last: number;
  readonly lastAt: EpochMs;
  readonly anomalous: number;
  readonly moving: MovingStatistics;
  readonly revision: number;
  readonly incomplete: boolean;
  /** The sum modulo 2^64 of the hashes of its readings, which `verify` compares; null: something of an older release is in it. */
  readonly hash: string | null;
}

/** One line of `GET /api/v1/export/windows`: a sealed window with all that is needed to merge it with others. */
export interface ExportedWindow extends Omit<WindowView, 'open'> {
  readonly table: 'window';
  readonly sensor: SensorRef;
  readonly unit: string | null;
  /** Readings whose quality was `uncertain`. */
  readonly uncertain: number;
  /** The exact sums behind `mean` and `variance`; see `Aggregate`. */
  readonly aggregate: Readonly<Pick<Aggregate, 'reference' | 'mean' | 'm2'>>;
}

/** The last line of an export that is complete. Without it something is missing. */
export interface ExportEnd {
  readonly table: 'end';
  /** Lines before this one. */
  readonly rows: number;
}

/** The last line of an export that broke off. */
export interface ExportError {
  readonly table: 'error';
  readonly rows: number;
  readonly error: string;
  /** What is wrong with the store. */
  readonly code?: string;
}

/** What `GET /api/v1/live` sends, by event name. */
export interface LiveEvents {
  /** An episode opened, changed or closed. */
  readonly anomaly: AnomalyRow;
  /** Sensors whose newest value or state changed, gathered for a moment. */
  readonly sensors: readonly SensorView[];
  /** New points of the sensors that the client asked for. */
  readonly rollups: readonly { readonly id: string; readonly point: RollupPoint }[];
  /**
   * What came before can't be told without a gap, so the client reads the lists anew. `restarted`: the processor began anew since;
   * `forgotten`: more changed than is remembered; `left-out`: a storm of episodes was cut short; `unknown-id`: the `Last-Event-ID` is none
   * of this feed's.
   */
  readonly reset: { readonly reason: 'restarted' | 'forgotten' | 'left-out' | 'unknown-id' };
  /** Sent when nothing else was, so that a client notices a dead connection. */
  readonly heartbeat: { readonly at: EpochMs };
}

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
