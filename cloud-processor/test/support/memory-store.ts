import {
  type AnomalyQuery,
  type AnomalyRow,
  durationMs,
  type GatewayRow,
  type NewestWindow,
  type Page,
  type Row,
  sensorId,
  type SensorRef,
  type WindowQuery,
  type WindowRangeQuery,
  type WindowRow,
  type WriteOutcome,
} from '@floorwatch/contracts';

import {
  decodeCursor,
  LastEnds,
  NewestPerSensor,
  pageOf,
  pageSize,
  SERIES_CURSOR,
  seriesCursor,
} from '../../src/write/paging.ts';
import { rowKey } from '../../src/write/row-key.ts';
import { type ScannedTable, type ScanQuery, type Store, StoreError } from '../../src/write/store.ts';
import { decodeRow, olderThan, prepareBatch } from '../../src/write/stored-row.ts';
import { tableOf } from '../../src/write/tables.ts';

/**
 * A store in memory, with the faults that tests need. It passes the same contract as the real ones. Rows are kept as text, so that
 * nobody can change them afterwards.
 */
export class MemoryStore implements Store {
  lingerMs = 0;
  readonly mayLackBefore = -Infinity;
  readonly #retention: { readonly main: ReturnType<typeof durationMs>; readonly live: ReturnType<typeof durationMs> };
  readonly #rows = new Map<string, { readonly table: Row['table']; readonly text: string }>();
  #open = false;
  /** Set: every write fails with it. */
  failure: StoreError | undefined;
  /** Set: every question fails with it. */
  readFailure: StoreError | undefined;
  /** Set: writes wait for it. */
  stall: Promise<void> | undefined;
  /** Every write that was confirmed, in order, by key. */
  readonly log: { readonly key: string; readonly row: Row }[] = [];
  /** The rows that it will never take. */
  unfit: (row: Row) => boolean = () => false;
  inFlight = 0;
  inFlightMax = 0;
  largestBatch = 0;

  constructor(retentionDays = 0) {
    this.#retention = { main: durationMs(retentionDays * 86_400_000), live: durationMs(0) };
  }

  async connect(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.failure !== undefined) throw this.failure;
    this.#open = true;
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  async write(batch: readonly Row[], signal: AbortSignal): Promise<WriteOutcome> {
    this.#check();
    signal.throwIfAborted();
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    this.largestBatch = Math.max(this.largestBatch, batch.length);
    try {
      await (this.stall ?? Promise.resolve());
      if (this.failure !== undefined) throw this.failure;
      const { rows, refused: unwritable } = prepareBatch(batch, olderThan(this.#retention, Date.now()));
      const refused = [...unwritable];
      for (const { index, row, text } of rows) {
        if (this.unfit(row)) {
          refused.push({ index, code: 'unfit', reason: 'unfit' });
          continue;
        }
        this.#rows.set(rowKey(row), { table: row.table, text });
        this.log.push({ key: rowKey(row), row });
      }
      return refused.length === 0 ? { kind: 'written' } : { kind: 'partial', refused };
    } finally {
      this.inFlight--;
    }
  }

  /** A row is gone, as after somebody deleted it. */
  lose(key: string): void {
    this.#rows.delete(key);
  }

  /** Rows are gone, as after somebody deleted them. */
  remove(which: (row: Row) => boolean): void {
    for (const [key, { table, text }] of this.#rows) if (which(decodeRow(table, text))) this.#rows.delete(key);
  }

  /** Every row of some tables, by key, as text: for comparing whole stores. */
  contents(...tables: readonly Row['table'][]): Record<string, string> {
    const wanted = [...this.#rows].filter(([, { table }]) => tables.includes(table));
    return Object.fromEntries(
      wanted.map(([key, { text }]) => [key, text] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }

  #all<T extends Row['table']>(table: T): Extract<Row, { table: T }>[] {
    this.#check();
    if (this.readFailure !== undefined) throw this.readFailure;
    return [...this.#rows.values()].filter((row) => row.table === table).map(({ text }) => decodeRow(table, text));
  }

  #check(): void {
    if (!this.#open) throw new StoreError('unreachable', 'the store is closed');
  }

  async windows(query: WindowQuery): Promise<Page<WindowRow>> {
    const behind = query.after === undefined ? -Infinity : decodeCursor(query.after, ['number'])[0];
    const found = this.#all('window')
      .filter((row) => sensorId(row.sensor) === sensorId(query.sensor) && row.size === query.size)
      .filter(({ start }) => start >= query.from && start < query.to && start > behind)
      .sort((a, b) => a.start - b.start);
    return pageOf(found.slice(0, pageSize(query.limit) + 1), pageSize(query.limit), ({ start }) => [start]);
  }

  async windowsByTime(query: WindowRangeQuery): Promise<Page<WindowRow>> {
    const after = query.after === undefined ? undefined : decodeCursor(query.after, SERIES_CURSOR);
    const found = this.#all('window')
      .filter((row) => isOf(row.sensor, query) && (query.size ?? row.size) === row.size)
      .filter(({ start }) => start >= query.from && start < query.to)
      .sort((a, b) => compare(seriesCursor(a), seriesCursor(b)))
      .filter((row) => after === undefined || compare(seriesCursor(row), after) > 0);
    return pageOf(found.slice(0, pageSize(query.limit) + 1), pageSize(query.limit), seriesCursor);
  }

  async anomalies(query: AnomalyQuery): Promise<Page<AnomalyRow>> {
    const after = query.after === undefined ? undefined : decodeCursor(query.after, ['number', 'string']);
    const found = this.#all('anomaly')
      .filter(({ openedAt }) => openedAt >= query.from && openedAt < query.to)
      .filter(({ sensor }) => isOf(sensor, query))
      .filter(({ severity, phase }) => {
        return (query.severity ?? severity) === severity && (query.openOnly !== true || phase !== 'closed');
      })
      .sort((a, b) => latestFirst([a.openedAt, a.id], [b.openedAt, b.id]))
      .filter(({ openedAt, id }) => after === undefined || latestFirst([openedAt, id], after) > 0);
    return pageOf(found.slice(0, pageSize(query.limit) + 1), pageSize(query.limit), ({ openedAt, id }) => [
      openedAt,
      id,
    ]);
  }

  async newestWindows(since: number, limit: number): Promise<readonly NewestWindow[]> {
    const newest = new NewestPerSensor(limit);
    for (const row of this.#all('window')) if (row.start >= since) newest.offer(row);
    return newest.windows();
  }

  async windowEnds(): Promise<ReturnType<LastEnds['all']>> {
    const ends = new LastEnds();
    for (const row of this.#all('window')) ends.offer(row);
    return ends.all();
  }

  async scan<T extends ScannedTable>(
    { table, site, gateway, from, to }: ScanQuery<T>,
    take: (row: Extract<Row, { table: T }>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    for (const row of this.#all(table)) {
      const named = 'sensor' in row ? row.sensor : row;
      const at = tableOf(row).time(row);
      if (named.site === site && named.gateway === gateway && at >= from && at < to) take(row);
    }
  }

  async gateways(since: number): Promise<readonly GatewayRow[]> {
    const newest = new Map<string, GatewayRow>();
    for (const row of this.#all('gateway')) {
      const key = `${row.site}/${row.gateway}`;
      if (row.at >= since && row.at >= (newest.get(key)?.at ?? -Infinity)) newest.set(key, row);
    }
    return [...newest.values()];
  }
}

const isOf = (sensor: SensorRef, query: Pick<WindowRangeQuery, 'sensor' | 'site' | 'gateway'>): boolean =>
  (query.sensor === undefined || sensorId(sensor) === sensorId(query.sensor)) &&
  (query.site ?? sensor.site) === sensor.site &&
  (query.gateway ?? sensor.gateway) === sensor.gateway;

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  const i = a.findIndex((value, index) => value !== b[index]);
  return i < 0 ? 0 : a[i]! < b[i]! ? -1 : 1;
}

const latestFirst = (a: readonly [number, string], b: readonly [number, string]): number =>
  a[0] === b[0] ? (a[1] < b[1] ? 1 : a[1] > b[1] ? -1 : 0) : b[0] - a[0];
