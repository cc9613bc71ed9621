import type { CountedEpisodes } from './accepted-counts.ts';
import type { Aggregate } from './aggregate.ts';
import type { AnomalyRecord } from './anomaly.ts';
import type { MovingStatistics } from './moving-statistics.ts';
import type { GatewayName, SensorRef } from './names.ts';
import type { ClockQuality } from './reading.ts';
import type { DurationMs, EpochMs } from './time.ts';

/**
 * What the store holds, and what the API returns of it. A row's key is given with it: writing a row replaces the one with the same
 * key, so writing twice is harmless.
 */
export type Row = WindowRow | LiveWindowRow | AnomalyRow | LateRow | GatewayRow | CountedRow | CountedEpisodesRow;

interface WindowFields {
  readonly sensor: SensorRef;
  readonly unit?: string;
  /** Length of the window, a multiple of {@link ROLLUP_MS}. */
  readonly size: DurationMs;
  /** The window is [start, start + size) of event time. */
  readonly start: EpochMs;
  readonly aggregate: Readonly<Aggregate>;
  /** The moving statistics that came with the newest reading of the window. */
  readonly moving: MovingStatistics;
  /** The sum modulo 2^64 of the hashes of its readings, 16 hexadecimal digits. Absent: something of an older release is in it. */
  readonly hash?: string;
}

/** A record of a gateway's telemetry lane. */
export interface RecordPlace {
  /**
   * Counts from 1 the stretches of records of one epoch that the processor took one after the other, so that records are in order also
   * where two epochs take turns.
   */
  readonly run: number;
  /** The record's number in its epoch. */
  readonly number: number;
}

/** A sealed window. Key: sensor, size, start. */
export interface WindowRow extends WindowFields {
  readonly table: 'window';
  /** 0 when first sealed; counts one up with each record with late readings that is merged into it, and with a mark that comes later. */
  readonly revision: number;
  /**
   * The last record that was merged into it: what a repeat of that record or an earlier one brings is in it already. Absent
   * on rows that an older release wrote.
   */
  readonly through?: RecordPlace;
  /** Readings of it are known to be lost. */
  readonly incomplete: boolean;
}

/** A window that is still open, as it stood when it was last written. Kept for hours only. Key: sensor, size, start. */
export interface LiveWindowRow extends WindowFields {
  readonly table: 'window_live';
}

/** An episode as it stands. Key: id (which fixes sensor, detector, kind and openedAt). */
export interface AnomalyRow extends Omit<AnomalyRecord, 'kind' | 'number' | 'device' | 'metric'> {
  readonly table: 'anomaly';
  readonly sensor: SensorRef;
  /** The record of the anomaly lane that it comes from. Absent on rows that an older release wrote. */
  readonly source?: { readonly epoch: string; readonly number: number };
}

/** What a gateway says that it has accepted of a sensor in one event hour (see `AcceptedCounts`). Key: sensor, hour, counter, since. */
export interface CountedRow {
  readonly table: 'counted';
  readonly sensor: SensorRef;
  readonly hour: EpochMs;
  readonly counter: string;
  readonly since: number;
  readonly n: number;
  readonly hash: string;
  /** The tick that told it. */
  readonly through: RecordPlace;
}

/** What a gateway says of the episodes that opened in one event hour. Key: site, gateway, hour, counter, since. */
export interface CountedEpisodesRow extends GatewayName, Omit<CountedEpisodes, 'hour'> {
  readonly table: 'counted_episodes';
  readonly hour: EpochMs;
  readonly counter: string;
  /** The tick that told it. */
  readonly through: RecordPlace;
}

/** Readings that came after their window was sealed. Key: sensor, size, start of the window. */
export interface LateRow {
  readonly table: 'late';
  readonly sensor: SensorRef;
  readonly size: DurationMs;
  readonly start: EpochMs;
  /** Late readings of the window so far. */
  readonly readings: number;
}

/** A gateway as it last reported itself. Key: site, gateway and `at`. */
export interface GatewayRow extends GatewayName {
  readonly table: 'gateway';
  /** The gateway's clock at the report. */
  readonly at: EpochMs;
  readonly startedAt: EpochMs;
  readonly version: string;
  readonly configHash: string;
  readonly clock: ClockQuality;
  readonly sensors: number;
  readonly counters: Readonly<Record<string, number>>;
  /** The record that it comes from, and the number that its run began with. Absent: a replay made it, which no longer knew. */
  readonly source?: RecordPlace & { readonly epoch: string; readonly from: number };
}
