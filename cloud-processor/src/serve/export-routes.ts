import { type AnomalyRow, type DurationMs, epochMs, SEVERITIES, type WindowRow } from '@floorwatch/contracts';
import { type Logger, messageOf } from '@floorwatch/runtime';
import { type Context, Hono } from 'hono';

import type { ParquetQuery, Store } from '../write/store.ts';
import { given, readQuery, readSize } from './api-routes.ts';
import { connectionOf } from './connection.ts';
import { encodeAnomaly, encodeWindow, exportLines, type ReadPage } from './export-lines.ts';
import { type ExportInHand, type ExportSource, exportStream } from './export-stream.ts';
import { BusyError } from './failures.ts';
import { serveLimits } from './limits.ts';
import { EXPORT_FORMATS } from './operations.ts';
import { ParquetFiles } from './parquet-files.ts';
import { type QueryReader, QueryError, required } from './query-reader.ts';

export interface ExportOptions {
  readonly store: Pick<Store, 'windowsByTime' | 'anomalies' | 'exportParquet'>;
  readonly windowSizes: readonly DurationMs[];
  /** Folder for files on their way; everything in it is removed. */
  readonly exportDir: string;
  readonly logger: Logger;
  /** Other limits, for tests. */
  readonly exportLimits?: ExportLimits;
}

/** The limits that a test sets otherwise; see {@link serveLimits}. */
export type ExportLimits = {
  readonly [
    K in 'exportsMax' | 'exportPageRows' | 'exportIdleMs' | 'exportYieldMs' | 'exportParquetRowsMax' | 'exportParquetMs'
  ]: number;
};

type WindowsWanted = Extract<ParquetQuery, { table: 'window' }>;
type AnomaliesWanted = Extract<ParquetQuery, { table: 'anomaly' }>;

/** `/export`: windows and anomalies of a range of time, all at once, as lines of JSON or as a Parquet file. */
export function exportRoutes({ store, windowSizes, exportDir, logger, exportLimits }: ExportOptions): Hono {
  const api = new Hono();
  const allowed = exportLimits ?? serveLimits;
  const files = new ParquetFiles(store, exportDir, allowed);
  let running = 0;
  /** Those whose clients are taking them. */
  const inHand = new Set<ExportInHand>();

  /** Ends the export whose client has taken nothing for longest, if it is long enough that another one deserves its place. */
  function cutStalled(): boolean {
    const stalled = [...inHand].filter((one) => one.stalledMs() >= allowed.exportYieldMs);
    const longest = stalled.sort((a, b) => b.stalledMs() - a.stalledMs())[0];
    longest?.cut();
    return longest !== undefined;
  }

  /** Answers with what `start` makes, and counts it as running until it is closed. */
  async function answer(
    context: Context,
    start: () => Promise<{ readonly source: ExportSource; readonly headers: Readonly<Record<string, string>> }>,
  ): Promise<Response> {
    if (running >= allowed.exportsMax && !cutStalled()) {
      throw new BusyError(`${allowed.exportsMax} exports are running already; wait for one to end`);
    }
    running += 1;
    let source: ExportSource | undefined;
    let hand: ExportInHand | undefined;
    const closed = (): void => {
      running -= 1;
      if (hand !== undefined) inHand.delete(hand);
      source?.closed();
    };
    try {
      const started = await start();
      source = started.source;
      const { next } = source;
      if (context.req.method === 'HEAD') {
        closed();
        return context.body(null, 200, started.headers);
      }
      hand = exportStream({ next, closed }, connectionOf(context).hangUp, allowed.exportIdleMs);
      inHand.add(hand);
      return context.body(hand.stream, 200, started.headers);
    } catch (error) {
      closed();
      throw error;
    }
  }

  async function answerLines<T>(context: Context, read: ReadPage<T>, encode: (item: T) => string): Promise<Response> {
    return answer(context, async () => {
      const failed = (error: unknown): void =>
        logger.warn({ path: context.req.path, error: messageOf(error) }, 'an export broke off');
      const next = exportLines(await read(undefined), read, encode, failed);
      return { source: { next, closed: () => undefined }, headers: { 'Content-Type': 'application/x-ndjson' } };
    });
  }

  const answerFile = async (context: Context, query: ParquetQuery): Promise<Response> =>
    answer(context, async () => {
      const { bytes, source } = await files.make(query, context.req.raw.signal);
      return {
        source,
        headers: {
          'Content-Type': 'application/vnd.apache.parquet',
          'Content-Length': String(bytes),
          'Content-Disposition': `attachment; filename="${query.table}-${query.from}-${query.to}.parquet"`,
        },
      };
    });

  api.get('/windows', async (context) => {
    const query = readQuery(context, 'exportWindows');
    const size = query.text('size') === undefined ? undefined : readSize(query, windowSizes);
    const wanted: WindowsWanted = { table: 'window', ...series(query), ...given({ size }), ...exportRange(query) };
    if (formatOf(query) === 'parquet') return answerFile(context, wanted);
    const read: ReadPage<WindowRow> = async (after) =>
      store.windowsByTime({ ...wanted, limit: allowed.exportPageRows, ...given({ after }) });
    return answerLines(context, read, encodeWindow);
  });

  api.get('/anomalies', async (context) => {
    const query = readQuery(context, 'exportAnomalies');
    const optional = given({
      severity: query.oneOf('severity', SEVERITIES),
      openOnly: query.oneOf('open', ['true']) === undefined ? undefined : true,
    });
    const wanted: AnomaliesWanted = { table: 'anomaly', ...series(query), ...optional, ...exportRange(query) };
    if (formatOf(query) === 'parquet') return answerFile(context, wanted);
    const read: ReadPage<AnomalyRow> = async (after) =>
      store.anomalies({ ...wanted, limit: allowed.exportPageRows, ...given({ after }) });
    return answerLines(context, read, encodeAnomaly);
  });

  return api;
}

const formatOf = (query: QueryReader) => query.oneOf('format', EXPORT_FORMATS) ?? 'ndjson';

const series = (query: QueryReader) =>
  given({ sensor: query.sensor('sensor'), site: query.text('site'), gateway: query.text('gateway') });

const DAY_MS = 86_400_000;

/** Both ends are demanded, so that nobody asks for everything by leaving something out. */
function exportRange(query: QueryReader) {
  const remedy = 'use epoch milliseconds or ISO 8601 with a zone, such as 2026-03-01T08:00:00Z';
  required('from', query.instant('from'), remedy);
  required('to', query.instant('to'), remedy);
  const { from, to } = query.range();
  if (to - from > serveLimits.exportRangeMs) {
    const days = serveLimits.exportRangeMs / DAY_MS;
    const problem = `is ${((to - from) / DAY_MS).toFixed(1)} days after from`;
    throw new QueryError('to', String(to), problem, `ask for at most ${days} days at once`);
  }
  return { from: epochMs(from), to: epochMs(to) };
}
