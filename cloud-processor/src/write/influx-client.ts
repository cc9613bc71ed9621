import { setMaxListeners } from 'node:events';

import {
  type Headers,
  HttpError,
  InfluxDB,
  type ParameterizedQuery,
  RequestTimedOutError,
} from '@influxdata/influxdb-client';
import { messageOf, readSecret, StartError, systemCodeOf } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { InfluxdbStoreConfig } from './store-config.ts';
import { StoreError } from './store.ts';

/** Reads the API token from where the configuration says it is; undefined if it is nowhere. */
export const influxToken = (config: InfluxdbStoreConfig): Promise<string | undefined> =>
  readSecret('InfluxDB token', config.tokenFile, 'FLOORWATCH_INFLUX_TOKEN');

/**
 * Requests to one InfluxDB, each sent once: order and repetition are the outbox's. Every error comes out as a {@link StoreError}.
 */
export class InfluxClient {
  readonly #config: InfluxdbStoreConfig;
  readonly #influx: InfluxDB;
  /** What the server's clock said in its last answer, in epoch milliseconds, and when that came by a clock that never steps. */
  #answered: { readonly serverAt: number; readonly ticks: number } | undefined;

  constructor(config: InfluxdbStoreConfig, token: string) {
    this.#config = config;
    this.#influx = new InfluxDB({ url: config.url, token, timeout: config.timeoutMs });
  }

  /** @throws StartError if no token is set. */
  static async open(config: InfluxdbStoreConfig): Promise<InfluxClient> {
    const token = await influxToken(config);
    if (token === undefined) {
      throw new StartError(
        'secret-missing',
        'store.tokenFile: no token for InfluxDB is set; put one into a file and name it here, or set FLOORWATCH_INFLUX_TOKEN',
      );
    }
    return new InfluxClient(config, token);
  }

  /**
   * What the server's clock says now, in epoch milliseconds; undefined: no answer has said it. A step of our own clock does not move it, and
   * while this machine sleeps it falls behind until the next answer.
   */
  get serverNow(): number | undefined {
    return this.#answered === undefined
      ? undefined
      : this.#answered.serverAt + performance.now() - this.#answered.ticks;
  }

  /** Asks the server for its time, unless it has told it in the last few seconds. @throws StoreError if it does not answer */
  async askTime(signal: AbortSignal): Promise<void> {
    const { ticks = -Infinity } = this.#answered ?? {};
    if (performance.now() - ticks < processorLimits.storeClockFreshMs) return;
    // Every answer says it, and a proxy that let this question through at the start still does.
    await this.check(signal);
  }

  /** Checks that both buckets are there and may be used. */
  async check(signal: AbortSignal): Promise<void> {
    for (const bucket of [this.#config.bucket, this.#config.liveBucket]) {
      const path = `/api/v2/buckets?${new URLSearchParams({ org: this.#config.org, name: bucket }).toString()}`;
      const found = (await this.#send('GET', path, '', signal)) as { readonly buckets?: readonly unknown[] };
      if ((found.buckets ?? []).length === 0) {
        throw new StoreError('not-set-up', `InfluxDB has no bucket ${JSON.stringify(bucket)}; ${SET_UP_HINT}`);
      }
    }
  }

  /**
   * Writes lines of line protocol with times in nanoseconds.
   *
   * @param mayBegin called just before the request is sent; what it throws is thrown, and nothing is sent.
   * @returns why the server refuses what the lines say, or undefined when all are written.
   */
  async write(
    bucket: string,
    lines: readonly string[],
    signal: AbortSignal,
    mayBegin?: () => void,
  ): Promise<string | undefined> {
    const path = `/api/v2/write?${new URLSearchParams({ org: this.#config.org, bucket, precision: 'ns' }).toString()}`;
    try {
      await this.#send('POST', path, lines.join('\n'), signal, { type: 'text/plain; charset=utf-8', mayBegin });
      return undefined;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'refused') return error.message;
      throw error;
    }
  }

  /** Runs a query and hands each row over as an object by column. */
  async query<T>(query: ParameterizedQuery, map: (row: Readonly<Record<string, unknown>>) => T): Promise<T[]> {
    try {
      return await this.#influx.getQueryApi(this.#config.org).collectRows(query, (values, table) => {
        const row = table.toObject(values) as Readonly<Record<string, unknown>>;
        // What fails after the first rows are sent comes as a table of its own, with status 200.
        if ('error' in row && 'reference' in row)
          throw new StoreError('busy', `InfluxDB stopped: ${String(row['error'])}`);
        return map(row);
      });
    } catch (error) {
      throw translate(error);
    }
  }

  /** Runs a query and hands over one row after the other; nothing is kept. @throws the reason of `signal` if it aborts */
  async each(
    query: ParameterizedQuery,
    take: (row: Readonly<Record<string, unknown>>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for await (const { values, tableMeta } of this.#influx.getQueryApi(this.#config.org).iterateRows(query)) {
        signal.throwIfAborted();
        const row = tableMeta.toObject(values) as Readonly<Record<string, unknown>>;
        if ('error' in row && 'reference' in row)
          throw new StoreError('busy', `InfluxDB stopped: ${String(row['error'])}`);
        take(row);
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : translate(error);
    }
  }

  async #send(
    method: string,
    path: string,
    body: string,
    signal: AbortSignal,
    { type, mayBegin }: { readonly type?: string; readonly mayBegin?: (() => void) | undefined } = {},
  ): Promise<unknown> {
    signal.throwIfAborted();
    // The client never takes its listener off a signal again, and leaves a request open that timed out; a signal of the request's own
    // mends both.
    const request = new AbortController();
    const abort = (): void => request.abort();
    // One listener for each request in flight, of which the outbox bounds the number; Node warns at eleven.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', abort);
    try {
      const headers = type === undefined ? {} : { 'content-type': type };
      mayBegin?.();
      const options = { method, headers, signal: request.signal };
      return await this.#influx.transport.request(path, body, options, (answer) => this.#readClock(answer));
    } catch (error) {
      signal.throwIfAborted();
      throw translate(error);
    } finally {
      signal.removeEventListener('abort', abort);
      request.abort();
    }
  }

  /** The header Date is when the server made the answer, to the second (RFC 9110 §6.6.1). */
  #readClock({ date }: Headers): void {
    const at = typeof date === 'string' ? Date.parse(date) : Number.NaN;
    if (Number.isFinite(at)) this.#answered = { serverAt: at, ticks: performance.now() };
  }
}

const SET_UP_HINT = 'run "floorwatch-processor set-up --config FILE" once';

/** Turns whatever the client throws into what the processor can act on. */
export function translate(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  if (!(error instanceof HttpError)) {
    const code = systemCodeOf(error);
    const timedOut = error instanceof RequestTimedOutError;
    const why = timedOut ? 'it did not answer in time' : `${messageOf(error)}${code === undefined ? '' : ` (${code})`}`;
    return new StoreError('unreachable', `InfluxDB can't be reached: ${why}`, { cause: error });
  }
  const said = `InfluxDB answers ${error.statusCode}: ${error.message}`;
  switch (error.statusCode) {
    case 401:
    case 403:
      return new StoreError('unauthorised', `${said}; give the token the right to read and write both buckets`, {
        cause: error,
      });
    case 404:
      return new StoreError('not-set-up', `${said}; ${SET_UP_HINT}`, { cause: error });
    case 400:
    case 413:
    case 422:
      return new StoreError('refused', said, { cause: error });
    default: {
      const retryAfterMs = retryAfter(error.headers?.['retry-after']);
      return new StoreError('busy', said, { cause: error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
    }
  }
}

/** The header Retry-After in milliseconds (RFC 9110 §10.2.3: seconds or a date), or undefined if there is no usable one. */
function retryAfter(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
