import type {
  AnomalyQuery,
  AnomalyRow,
  EpochMs,
  GatewayName,
  GatewayRow,
  NewestWindow,
  Page,
  Row,
  Sink,
  WindowQuery,
  WindowRangeQuery,
  WindowRow,
  WriteOutcome,
} from '@floorwatch/contracts';

import type { RetentionStatus } from '@floorwatch/contracts/api';

/**
 * Where windows and anomalies are kept and asked for. Every implementation passes the same contract suite
 * (`test/write/store-contract.ts`).
 *
 * `write` replaces rows with the same key, so the same batch may be written any number of times. It throws a
 * {@link StoreError} when nothing is known to be written; rows that the store will never accept come back as `partial`.
 * What `write` has confirmed, the queries see.
 */
export interface Store extends Sink<Row> {
  /** How long after it was sent a `write` whose outcome is unknown may still be carried out, in milliseconds; 0: never. */
  readonly lingerMs: number;
  /** @param mayBegin called as late as possible before each request that is sent for the batch; what it throws ends the write. */
  write(batch: readonly Row[], signal: AbortSignal, mayBegin?: () => void): Promise<WriteOutcome>;
  /** Rows of an event time before that may have been deleted for their age; −Infinity: none. */
  readonly mayLackBefore: number;
  /** What of the deletion of old rows a person should know, by part of `/healthz`; `ok` where nothing need be done. */
  readonly concerns?: () => Readonly<Record<string, string>>;
  /** How far the clock by which its server deletes is ahead of ours, in milliseconds. Absent: it has none, or none is known. */
  readonly clockAheadMs?: number | undefined;
  /** Deletes old rows itself. Absent: its server does. */
  readonly retention?: StoreRetention;
  /** Sealed windows of one sensor, oldest first. */
  windows(query: WindowQuery): Promise<Page<WindowRow>>;
  /** Sealed windows of many sensors by start, then by the names of the sensor and the size, oldest first. */
  windowsByTime(query: WindowRangeQuery): Promise<Page<WindowRow>>;
  /** Episodes as they stand now, the latest opened first. */
  anomalies(query: AnomalyQuery): Promise<Page<AnomalyRow>>;
  /** The newest sealed window of every sensor that has one since `since`, in any order, at most `limit`. */
  newestWindows(since: number, limit: number): Promise<readonly NewestWindow[]>;
  /** Of every gateway that has sealed windows, when the last of them ends, in any order. */
  windowEnds(): Promise<readonly (GatewayName & { readonly end: number })[]>;
  /**
   * Hands over every row of a table that one gateway has in a stretch of time, in any order, also if two have the same key. Nothing is
   * kept of those that were handed over.
   *
   * @throws StoreError; the reason of `signal` if it aborts.
   */
  scan<T extends ScannedTable>(
    query: ScanQuery<T>,
    take: (row: Extract<Row, { table: T }>) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** The newest report of every gateway that reported since `since`, in any order. */
  gateways(since: number): Promise<readonly GatewayRow[]>;
  /**
   * Writes rows that match as a Parquet file, in no particular order. Absent: this store can't.
   *
   * @throws StoreError; the reason of `signal` if it aborts. A part of the file may then be left.
   */
  readonly exportParquet?: (
    query: ParquetQuery,
    file: string,
    limits: ParquetLimits,
    signal: AbortSignal,
  ) => Promise<ParquetOutcome>;
}

/** The deletion of old rows, as a person sees it and agrees to it. */
export interface StoreRetention {
  status(): RetentionStatus;
  /** A person agrees that rows of before are deleted, although it is more than is deleted unasked. @throws StoreError */
  agree(before: EpochMs): Promise<void>;
}

export type ScannedTable = 'window' | 'anomaly' | 'counted' | 'counted_episodes' | 'gateway';

/** Which rows to hand over: of one gateway, with `from` ≤ time < `to` (a window's start, an episode's opening, a counted hour, a report). */
export interface ScanQuery<T extends ScannedTable> extends GatewayName {
  readonly table: T;
  readonly from: EpochMs;
  readonly to: EpochMs;
}

/** Which rows go into a Parquet file. */
export type ParquetQuery =
  | ({ readonly table: 'window' } & Omit<WindowRangeQuery, 'limit' | 'after'>)
  | ({ readonly table: 'anomaly' } & Omit<AnomalyQuery, 'limit' | 'after'>);

/** How large a file may become. */
export interface ParquetLimits {
  readonly rowsMax: number;
}

/** `too-many`: nothing was written. */
export type ParquetOutcome =
  | { readonly kind: 'written'; readonly rows: number }
  | { readonly kind: 'too-many'; readonly rows: number };

/** What went wrong with a store. `no-claim`: nothing was asked of it, because this processor may not write now. */
export type StoreErrorCode =
  | 'unreachable'
  | 'busy'
  | 'unauthorised'
  | 'not-set-up'
  | 'refused'
  | 'damaged'
  | 'no-claim';

/** A store could not do what was asked; nothing is known to be written. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  /** Whether the same call can succeed later without a person. */
  readonly retryable: boolean;
  /** How long the store asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(code: StoreErrorCode, message: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super(message, options);
    this.code = code;
    this.retryable = code === 'unreachable' || code === 'busy' || code === 'no-claim';
    this.retryAfterMs = options.retryAfterMs;
  }
}
