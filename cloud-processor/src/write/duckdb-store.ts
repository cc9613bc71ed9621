import { dirname } from 'node:path';

import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from '@duckdb/node-api';
import {
  type AnomalyQuery,
  type AnomalyRow,
  days,
  type GatewayRow,
  instantInWords,
  minutes,
  type NewestWindow,
  type Page,
  type Row,
  sizeLabel,
  type WindowQuery,
  type WindowRangeQuery,
  type WindowRow,
  type WriteOutcome,
} from '@floorwatch/contracts';
import { type Logger, makeFolder, messageOf, StartError } from '@floorwatch/runtime';

import { writeParquet } from './duckdb-parquet.ts';
import { CREATE_RETENTION, DuckdbRetention } from './duckdb-retention.ts';
import { CREATE_TABLES, replaceRows, timestamp } from './duckdb-tables.ts';
import {
  decodeCursor,
  LastEnds,
  namesOf,
  NewestPerSensor,
  pageOf,
  pageSize,
  SERIES_CURSOR,
  seriesCursor,
} from './paging.ts';
import { RetentionClock } from './retention-clock.ts';
import { type DuckdbStoreConfig, retentionOf } from './store-config.ts';
import {
  type ParquetLimits,
  type ParquetOutcome,
  type ParquetQuery,
  type ScannedTable,
  type ScanQuery,
  type Store,
  StoreError,
  type StoreRetention,
} from './store.ts';
import { decodeRow, prepareBatch } from './stored-row.ts';
import { TABLE_NAMES } from './tables.ts';
import { readStretches } from './time-stretches.ts';

/** Rows of one transaction: keeps one below 100 ms, so that a waiting anomaly is not held up for longer. */
const ROWS_PER_TRANSACTION = 1_000;

const DAY_MS = days(1);
const NEVER = new AbortController().signal;

/** How much time the first look for windows of many sensors covers. */
const WINDOW_SPAN_MS = minutes(10);

/**
 * Keeps rows in a DuckDB file that this process owns. `docs/store.md` shows the tables.
 *
 * Replacing by key is a delete and an insert in one transaction, and there is no index: DuckDB keeps a whole index in memory, which for a
 * year of windows is more than this store may use, whereas looking for a key in the few row groups that cover its time takes
 * milliseconds. Every commit is on disk before `write` returns; after a kill DuckDB replays its log.
 */
export class DuckdbStore implements Store {
  /** What a transaction has not committed when it fails is gone. */
  readonly lingerMs = 0;
  readonly #config: DuckdbStoreConfig;
  readonly #retention: DuckdbRetention;
  readonly retention: StoreRetention;
  #instance: DuckDBInstance | undefined;
  /** The one connection that writes, one transaction at a time. */
  #writer: DuckDBConnection | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #retaining: Promise<void> = Promise.resolve();
  #closing = new AbortController();

  /**
   * @param clock decides what is too old.
   * @param ticks milliseconds of a clock that never steps: when old rows are deleted.
   */
  constructor(
    config: DuckdbStoreConfig,
    logger: Logger,
    clock: RetentionClock = new RetentionClock(),
    ticks: () => number = () => performance.now(),
  ) {
    this.#config = config;
    this.#retention = new DuckdbRetention(retentionOf(config), clock, logger, ticks);
    this.retention = {
      status: () => this.#retention.status(),
      agree: async (before) => this.#retention.agree(before, async (work) => this.#exclusively(NEVER, work)),
    };
  }

  get mayLackBefore(): number {
    return this.#retention.mayLackBefore;
  }

  concerns(): Readonly<Record<string, string>> {
    const { waits, dueMs, oldest, tooOldBefore } = this.#retention.status();
    if (!waits || oldest === null || tooOldBefore === null) return {};
    const [from, to] = [oldest, tooOldBefore].map(instantInWords);
    return {
      retention:
        `rows of ${Math.floor(dueMs / DAY_MS)} days, ${from} to ${to}, are due to be deleted; that is more than is deleted unasked, so nothing is. ` +
        'What to do: look whether the clocks of this machine and of the NATS server are right; if they are, and the rows may go, ' +
        `"floorwatch-processor retention agree --before ${to}"`,
    };
  }

  /** @throws StartError if another process has the file open, or if it is no database that this version can read. */
  async connect(_signal: AbortSignal): Promise<void> {
    if (this.#writer !== undefined) return;
    const { file, memoryLimitMb } = this.#config;
    try {
      await makeFolder(dirname(file), 0o750);
      // The cache makes two stores of one process share the file; DuckDB's own lock is between processes only.
      this.#instance = await DuckDBInstance.fromCache(file, { memory_limit: `${memoryLimitMb}MiB` });
      this.#writer = await this.#instance.connect();
      for (const sql of [...CREATE_TABLES, CREATE_RETENTION]) await this.#writer.run(sql);
      await this.#retention.begin(this.#writer);
      this.#closing = new AbortController();
    } catch (error) {
      this.#shut();
      throw explainOpen(file, error);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#retaining;
    await this.#writing.catch(() => undefined);
    this.#shut();
  }

  /** Resolves when nothing is being deleted; for tests. */
  async settled(): Promise<void> {
    await this.#retaining;
  }

  async write(batch: readonly Row[], signal: AbortSignal, mayBegin?: () => void): Promise<WriteOutcome> {
    const { rows, refused } = prepareBatch(batch, (table, time) => this.#retention.isExpired(table, time));
    await this.#exclusively(signal, async (writer) => {
      mayBegin?.();
      for (const table of TABLE_NAMES) {
        const ofTable = rows.filter(({ row }) => row.table === table);
        for (let from = 0; from < ofTable.length; from += ROWS_PER_TRANSACTION) {
          signal.throwIfAborted();
          mayBegin?.();
          await replaceRows(writer, table, ofTable.slice(from, from + ROWS_PER_TRANSACTION));
        }
      }
    });
    this.#retention.wrote(rows);
    this.#retain(mayBegin);
    return refused.length === 0 ? { kind: 'written' } : { kind: 'partial', refused };
  }

  /** Begins to delete old rows if it is time, between the writes that follow. */
  #retain(mayBegin: (() => void) | undefined): void {
    if (!this.#retention.isDue) return;
    const { signal } = this.#closing;
    this.#retaining = this.#retention.work(async (work) =>
      this.#exclusively(signal, async (writer) => {
        signal.throwIfAborted();
        mayBegin?.();
        await work(writer);
      }),
    );
  }

  async windows(query: WindowQuery): Promise<Page<WindowRow>> {
    const size = pageSize(query.limit);
    const from =
      query.after === undefined ? query.from : Math.max(query.from, decodeCursor(query.after, ['number'])[0] + 1);
    const found = await this.#rows(
      'window',
      `SELECT row FROM "window"
       WHERE site = $1 AND gateway = $2 AND device = $3 AND metric = $4 AND size = $5 AND ${within(6, 7)}
       ORDER BY time LIMIT ${size + 1}`,
      [...namesOf(query.sensor), sizeLabel(query.size), timestamp(from), timestamp(query.to)],
    );
    return pageOf(found, size, (last) => [last.start]);
  }

  async windowsByTime(query: WindowRangeQuery): Promise<Page<WindowRow>> {
    const size = pageSize(query.limit);
    const after = query.after === undefined ? undefined : decodeCursor(query.after, SERIES_CURSOR);
    const from = Math.max(query.from, after?.[0] ?? query.from);
    const range = { from, to: query.to, firstMs: WINDOW_SPAN_MS, enough: size + 1 };
    const found = await readStretches(range, async (start, end, limit) => {
      const { where, values, bind } = conditions({ ...query, from: start, to: end });
      if (after !== undefined) {
        const [time, ...series] = after;
        where.push(`(time, ${SERIES}) > (${[timestamp(time), ...series].map(bind).join(', ')})`);
      }
      const sql = `SELECT row FROM "window" WHERE ${where.join(' AND ')} ORDER BY time, ${SERIES} LIMIT ${limit}`;
      return this.#rows('window', sql, values);
    });
    return pageOf(found, size, seriesCursor);
  }

  async exportParquet(
    query: ParquetQuery,
    file: string,
    limits: ParquetLimits,
    signal: AbortSignal,
  ): Promise<ParquetOutcome> {
    const { where, values } = conditions(query);
    return this.#reading(async (reader) =>
      writeParquet(reader, query.table, where.join(' AND '), values, file, limits, signal),
    ).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error;
    });
  }

  async anomalies(query: AnomalyQuery): Promise<Page<AnomalyRow>> {
    const size = pageSize(query.limit);
    const { where, values, bind } = conditions(query);
    if (query.after !== undefined) {
      const [openedAt, id] = decodeCursor(query.after, ['number', 'string']);
      where.push(`(time, id) < (${bind(timestamp(openedAt))}, ${bind(id)})`);
    }
    const found = await this.#rows(
      'anomaly',
      `SELECT row FROM anomaly WHERE ${where.join(' AND ')} ORDER BY time DESC, id DESC LIMIT ${size + 1}`,
      values,
    );
    return pageOf(found, size, (last) => [last.openedAt, last.id]);
  }

  async newestWindows(since: number, limit: number): Promise<readonly NewestWindow[]> {
    const newest = new NewestPerSensor(limit);
    for (const row of await this.#lastWindows('WHERE time >= $1', [timestamp(since)])) newest.offer(row);
    return newest.windows();
  }

  async windowEnds(): Promise<ReturnType<LastEnds['all']>> {
    const ends = new LastEnds();
    for (const row of await this.#lastWindows('', [])) ends.offer(row);
    return ends.all();
  }

  /** The newest window of each sensor and size. */
  async #lastWindows(where: string, values: DuckDBValue[]): Promise<WindowRow[]> {
    return this.#rows(
      'window',
      `SELECT arg_max(row, time) AS row FROM "window" ${where} GROUP BY site, gateway, device, metric, size`,
      values,
    );
  }

  async scan<T extends ScannedTable>(
    { table, site, gateway, from, to }: ScanQuery<T>,
    take: (row: Extract<Row, { table: T }>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    await this.#reading(async (reader) => {
      const sql = `SELECT row FROM "${table}" WHERE site = $1 AND gateway = $2 AND ${within(3, 4)}`;
      const result = await reader.stream(sql, [site, gateway, timestamp(from), timestamp(to)]);
      for (;;) {
        signal.throwIfAborted();
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        for (const text of chunk.getColumnValues(0)) take(decodeRow(table, String(text)));
      }
    }).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error;
    });
  }

  async gateways(since: number): Promise<readonly GatewayRow[]> {
    return this.#rows(
      'gateway',
      `SELECT arg_max(row, time) AS row FROM gateway WHERE time >= $1 GROUP BY site, gateway`,
      [timestamp(since)],
    );
  }

  /** Runs `work` when every earlier write is done. */
  async #exclusively(signal: AbortSignal, work: (writer: DuckDBConnection) => Promise<void>): Promise<void> {
    const before = this.#writing.catch(() => undefined);
    const turn = (async () => {
      await before;
      if (this.#writer === undefined) throw notConnected();
      await work(this.#writer);
    })();
    this.#writing = turn;
    try {
      await turn;
    } catch (error) {
      throw signal.aborted ? signal.reason : translate(error);
    }
  }

  async #rows<T extends Row['table']>(
    table: T,
    sql: string,
    values: DuckDBValue[],
  ): Promise<Extract<Row, { table: T }>[]> {
    return this.#reading(async (reader) => {
      const result = await reader.runAndReadAll(sql, values);
      return result.getRows().map(([text]) => decodeRow(table, String(text)));
    });
  }

  /** Reads on a connection of its own, so that no reader waits for a write. */
  async #reading<T>(read: (reader: DuckDBConnection) => Promise<T>): Promise<T> {
    if (this.#instance === undefined) throw notConnected();
    const reader = await this.#instance.connect();
    try {
      return await read(reader);
    } catch (error) {
      throw translate(error);
    } finally {
      reader.closeSync();
    }
  }

  #shut(): void {
    this.#writer?.closeSync();
    this.#instance?.closeSync();
    this.#writer = undefined;
    this.#instance = undefined;
  }
}

const notConnected = (): StoreError => new StoreError('unreachable', 'the store is not connected');

/** What tells apart two windows with the same start, in the order of a list by time. */
const SERIES = 'site, gateway, device, metric, size';

/** What a question demands of rows, with the values that it binds. */
function conditions(
  query: Pick<WindowRangeQuery, 'sensor' | 'site' | 'gateway' | 'size'> &
    Pick<AnomalyQuery, 'severity' | 'openOnly'> & { readonly from: number; readonly to: number },
): {
  readonly where: string[];
  readonly values: DuckDBValue[];
  readonly bind: (value: DuckDBValue) => string;
} {
  const values: DuckDBValue[] = [timestamp(query.from), timestamp(query.to)];
  const bind = (value: DuckDBValue): string => `$${values.push(value)}`;
  const where = [within(1, 2)];
  if (query.sensor !== undefined) {
    const [site, gateway, device, metric] = namesOf(query.sensor).map(bind);
    where.push(`site = ${site} AND gateway = ${gateway} AND device = ${device} AND metric = ${metric}`);
  }
  if (query.site !== undefined) where.push(`site = ${bind(query.site)}`);
  if (query.gateway !== undefined) where.push(`gateway = ${bind(query.gateway)}`);
  if (query.size !== undefined) where.push(`size = ${bind(sizeLabel(query.size))}`);
  if (query.severity !== undefined) where.push(`severity = ${bind(query.severity)}`);
  if (query.openOnly === true) where.push(`phase <> 'closed'`);
  return { where, values, bind };
}

const within = (from: number, to: number): string => `time >= $${from} AND time < $${to}`;

/** What a person can do about a file that does not open. */
function explainOpen(file: string, error: unknown): StartError {
  const message = messageOf(error);
  const holder = /PID (\d+)/.exec(message)?.[1];
  if (message.includes('Could not set lock on file')) {
    const by = holder === undefined ? 'another process' : `process ${holder}`;
    return new StartError('locked', `store.file: ${file} is in use by ${by}; stop it, or name another file`, {
      cause: error,
    });
  }
  return new StartError(
    'config-invalid',
    `store.file: ${file} can't be opened as a DuckDB database: ${message}; move it away, or name another file`,
    { cause: error },
  );
}

function translate(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = messageOf(error);
  // DuckDB begins its messages with the kind of error, and gives no code.
  if (/^(FATAL|INTERNAL|Corrupt)/i.test(message))
    return new StoreError('damaged', `DuckDB: ${message}`, { cause: error });
  if (/^(Out of Memory|IO|TransactionContext|Interrupt)/i.test(message)) {
    return new StoreError('busy', `DuckDB: ${message}`, { cause: error });
  }
  return new StoreError('refused', `DuckDB: ${message}`, { cause: error });
}
