import {
  flux,
  fluxDateTime,
  fluxExpression,
  type FluxParameterLike,
  type ParameterizedQuery,
} from '@influxdata/influxdb-client';
import {
  type AnomalyQuery,
  type AnomalyRow,
  durationInWords,
  type GatewayRow,
  hours,
  minutes,
  type NewestWindow,
  type Page,
  type RefusedItem,
  type Row,
  type SensorRef,
  sizeLabel,
  type WindowQuery,
  type WindowRangeQuery,
  type WindowRow,
  type WriteOutcome,
} from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import { bisect } from './bisect.ts';
import { InfluxClient } from './influx-client.ts';
import { INFLUX_MS_MAX, INFLUX_MS_MIN, lineOf, tagValue } from './line-protocol.ts';
import { decodeCursor, LastEnds, NewestPerSensor, pageOf, pageSize, SERIES_CURSOR, seriesCursor } from './paging.ts';
import { RetentionClock } from './retention-clock.ts';
import { type InfluxdbStoreConfig, retentionOf } from './store-config.ts';
import { type ScannedTable, type ScanQuery, type Store, StoreError } from './store.ts';
import {
  decodeRow,
  type IsExpired,
  olderThan,
  type PreparedBatch,
  prepareBatch,
  type StoredRow,
} from './stored-row.ts';
import { readStretches } from './time-stretches.ts';

/** Lines of one request: about a megabyte of windows. InfluxDB advises 5,000 lines, of fewer fields. */
const LINES_PER_REQUEST = 1_000;

/** How much time the first look for anomalies covers; each further look covers twice as much. */
const ANOMALY_SPAN_MS = hours(1);

/** How much time the first look for windows of many sensors covers. */
const WINDOW_SPAN_MS = minutes(10);

/**
 * Keeps rows in InfluxDB 2: one point per row, of the measurement named like its table. `docs/store.md` shows the layout.
 *
 * A query without an early stop reads its whole range, so lists are read in pieces: first the nearest point is looked up, which InfluxDB
 * answers from its index, and then a stretch of time behind it that grows until the page is full.
 */
export class InfluxStore implements Store {
  readonly #config: InfluxdbStoreConfig;
  readonly #clock: RetentionClock;
  readonly lingerMs: number;
  #client: InfluxClient | undefined;

  /** @param clock decides what is too old, together with the server's own clock. */
  constructor(config: InfluxdbStoreConfig, clock: RetentionClock = new RetentionClock()) {
    this.#config = config;
    this.#clock = clock;
    this.lingerMs = config.lingerMs;
  }

  /** @throws StartError without a token; StoreError if the server can't be reached or lacks the buckets. */
  async connect(signal: AbortSignal): Promise<void> {
    this.#client ??= await InfluxClient.open(this.#config);
    await this.#client.check(signal);
  }

  async close(): Promise<void> {
    this.#client = undefined;
  }

  async write(batch: readonly Row[], signal: AbortSignal, mayBegin?: () => void): Promise<WriteOutcome> {
    const client = this.#connected();
    const { rows, refused } = await this.#prepare(batch, signal);
    const all: RefusedItem[] = [...refused];
    const lines: Record<'main' | 'live', Line[]> = { main: [], live: [] };
    for (const row of rows) {
      const line = lineOf(row);
      if (line === undefined)
        all.push({ index: row.index, code: 'unfit', reason: 'its time lies outside of what InfluxDB can hold' });
      else lines[row.row.table === 'window_live' ? 'live' : 'main'].push({ row, line });
    }
    for (const [bucket, pending] of [
      [this.#config.bucket, lines.main],
      [this.#config.liveBucket, lines.live],
    ] as const) {
      for (let from = 0; from < pending.length; from += LINES_PER_REQUEST) {
        const poison = await bisect(pending.slice(from, from + LINES_PER_REQUEST), (part) =>
          client.write(
            bucket,
            part.map(({ line }) => line),
            signal,
            mayBegin,
          ),
        );
        for (const { item, reason } of poison) all.push({ index: item.row.index, code: 'unfit', reason });
      }
    }
    if (all.length === 0) return { kind: 'written' };
    return { kind: 'partial', refused: all.sort((a, b) => a.index - b.index) };
  }

  /** Asks the server for its time before rows are left out for their age: nothing brings them back. */
  async #prepare(batch: readonly Row[], signal: AbortSignal): Promise<PreparedBatch> {
    const prepared = prepareBatch(batch, this.#isExpired());
    if (!prepared.refused.some(({ code }) => code === 'expired')) return prepared;
    await this.#connected().askTime(signal);
    return prepareBatch(batch, this.#isExpired());
  }

  /** The server deletes by its own clock: what that one would keep is sent, whatever ours say. */
  #isExpired(): IsExpired {
    return olderThan(retentionOf(this.#config), Math.min(this.#clock.now, this.#client?.serverNow ?? Infinity));
  }

  get clockAheadMs(): number | undefined {
    const server = this.#client?.serverNow;
    return server === undefined ? undefined : server - Date.now();
  }

  get mayLackBefore(): number {
    const { main } = retentionOf(this.#config);
    return main === 0 ? -Infinity : this.#clock.now - main;
  }

  concerns(): Readonly<Record<string, string>> {
    const ahead = this.clockAheadMs;
    if (ahead === undefined) return {};
    const off = Math.abs(ahead);
    if (off <= processorLimits.storeClockOffMsMax) return { storeClock: 'ok' };
    const { retentionDays } = this.#config;
    const kept = retentionDays === 0 ? '' : `, after ${retentionDays} days`;
    return {
      storeClock:
        `the clock of the InfluxDB server is ${durationInWords(off)} ${ahead > 0 ? 'ahead of' : 'behind'} ours, and the server deletes rows by its own${kept} ` +
        `(running values after ${this.#config.liveRetentionHours} h). What to do: set the clock that is wrong`,
    };
  }

  async windows(query: WindowQuery): Promise<Page<WindowRow>> {
    const size = pageSize(query.limit);
    const to = clamp(query.to);
    let from = clamp(query.from);
    if (query.after !== undefined) from = Math.max(from, decodeCursor(query.after, ['number'])[0] + 1);
    const series = flux`r._measurement == "window" and r.size == ${text(sizeLabel(query.size))} and ${isSensor(query.sensor)}`;
    const found: WindowRow[] = [];
    // Windows are at least their own length apart, so this stretch holds a whole page if none is missing.
    for (let span = (size + 1) * query.size; from < to && found.length <= size; span *= 2) {
      if (found.length > 0 || span > (size + 1) * query.size) {
        const next = await this.#seek('first', series, from, to);
        if (next === undefined) break;
        from = next;
      }
      const end = Math.min(to, from + span);
      found.push(
        ...(await this.#rows(
          'window',
          flux`${this.#range(from, end)}
            |> filter(fn: (r) => r._field == "row" and ${series})
            |> group()
            |> sort(columns: ["_time"])
            |> limit(n: ${size + 1 - found.length})
            |> keep(columns: ["_value"])`,
          '_value',
        )),
      );
      from = end;
    }
    return pageOf(found, size, (last) => [last.start]);
  }

  async windowsByTime(query: WindowRangeQuery): Promise<Page<WindowRow>> {
    const size = pageSize(query.limit);
    const after = query.after === undefined ? undefined : decodeCursor(query.after, SERIES_CURSOR);
    const ofSize = query.size === undefined ? '' : flux` and r.size == ${text(sizeLabel(query.size))}`.toString();
    const series = flux`r._measurement == "window" and ${isOf(query)}${fluxExpression(ofSize)}`;
    const behind = fluxExpression(after === undefined ? 'true' : isBehind(after));
    let from = clamp(Math.max(query.from, after?.[0] ?? query.from));
    const to = clamp(query.to);
    // Empty months cost one look into the index.
    if (from < to) from = (await this.#seek('first', series, from, to)) ?? to;
    const range = { from, to, firstMs: WINDOW_SPAN_MS, enough: size + 1 };
    const found = await readStretches(range, async (start, end, limit) =>
      this.#rows(
        'window',
        flux`${this.#range(start, end)}
          |> filter(fn: (r) => r._field == "row" and ${series})
          |> filter(fn: (r) => ${behind})
          |> group()
          |> sort(columns: ["_time", "site", "gateway", "device", "metric", "size"])
          |> limit(n: ${limit})
          |> keep(columns: ["_value"])`,
        '_value',
      ),
    );
    return pageOf(found, size, seriesCursor);
  }

  async anomalies(query: AnomalyQuery): Promise<Page<AnomalyRow>> {
    const size = pageSize(query.limit);
    const from = clamp(query.from);
    let to = clamp(query.to);
    const wanted = ['true'];
    if (query.severity !== undefined) wanted.push(flux`r.severity == ${text(query.severity)}`.toString());
    if (query.openOnly === true) wanted.push('r.phase != "closed"');
    if (query.after !== undefined) {
      const [openedAt, id] = decodeCursor(query.after, ['number', 'string']);
      to = Math.min(to, clamp(openedAt + 1));
      wanted.push(flux`(r._time < ${time(openedAt)} or r.id < ${text(id)})`.toString());
    }
    const series = flux`r._measurement == "anomaly" and ${isOf(query)}`;
    const found: AnomalyRow[] = [];
    for (let span: number = ANOMALY_SPAN_MS; from < to && found.length <= size; span *= 2) {
      const newest = await this.#seek('last', series, from, to);
      if (newest === undefined) break;
      const end = newest + 1;
      to = Math.max(from, end - span);
      found.push(
        ...(await this.#rows(
          'anomaly',
          flux`${this.#range(to, end)}
            |> filter(fn: (r) => ${series}
              and (r._field == "row" or r._field == "id" or r._field == "phase" or r._field == "severity"))
            |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
            |> filter(fn: (r) => ${fluxExpression(wanted.join(' and '))})
            |> group()
            |> sort(columns: ["_time", "id"], desc: true)
            |> limit(n: ${size + 1 - found.length})
            |> keep(columns: ["row"])`,
          'row',
        )),
      );
    }
    return pageOf(found, size, (last) => [last.openedAt, last.id]);
  }

  async newestWindows(since: number, limit: number): Promise<readonly NewestWindow[]> {
    const newest = new NewestPerSensor(limit);
    await this.#lastWindows(since, (row) => newest.offer(row));
    return newest.windows();
  }

  async windowEnds(): Promise<ReturnType<LastEnds['all']>> {
    const ends = new LastEnds();
    await this.#lastWindows(INFLUX_MS_MIN, (row) => ends.offer(row));
    return ends.all();
  }

  /** Hands over the newest window of each sensor and size. */
  async #lastWindows(since: number, take: (row: WindowRow) => void): Promise<void> {
    if (since >= INFLUX_MS_MAX) return;
    const last = flux`${this.#range(clamp(since), INFLUX_MS_MAX)}
      |> filter(fn: (r) => r._measurement == "window" and r._field == "row")
      |> last()
      |> keep(columns: ["_value"])`;
    await this.#connected().query(last, (row) => take(decodeRow('window', String(row['_value']))));
  }

  async scan<T extends ScannedTable>(
    { table, site, gateway, from, to }: ScanQuery<T>,
    take: (row: Extract<Row, { table: T }>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const [first, end] = [clamp(from), clamp(to)];
    if (first >= end) return;
    const query = flux`${this.#range(first, end)}
      |> filter(fn: (r) => r._measurement == ${text(table)} and r._field == "row" and ${isOf({ site, gateway })})
      |> keep(columns: ["_value"])`;
    await this.#connected().each(query, (row) => take(decodeRow(table, String(row['_value']))), signal);
  }

  async gateways(since: number): Promise<readonly GatewayRow[]> {
    if (since >= INFLUX_MS_MAX) return [];
    return this.#rows(
      'gateway',
      flux`${this.#range(clamp(since), INFLUX_MS_MAX)}
        |> filter(fn: (r) => r._measurement == "gateway" and r._field == "row")
        |> last()
        |> keep(columns: ["_value"])`,
      '_value',
    );
  }

  /** The millisecond of the first or last point of any of the series in [from, to). */
  async #seek(
    end: 'first' | 'last',
    series: ParameterizedQuery,
    from: number,
    to: number,
  ): Promise<number | undefined> {
    const query = flux`${this.#range(from, to)}
      |> filter(fn: (r) => r._field == "row" and ${series})
      |> ${fluxExpression(end)}()
      |> group()
      |> ${fluxExpression(end === 'first' ? 'min' : 'max')}(column: "_time")
      |> map(fn: (r) => ({ ms: int(v: r._time) / 1000000 }))`;
    const [ms] = await this.#connected().query(query, (row) => Number(row['ms']));
    return ms;
  }

  /** Flux takes no empty range: `from` is below `to`. */
  #range(from: number, to: number): ParameterizedQuery {
    return flux`from(bucket: ${text(this.#config.bucket)}) |> range(start: ${time(from)}, stop: ${time(to)})`;
  }

  #rows<T extends Row['table']>(
    table: T,
    query: ParameterizedQuery,
    column: string,
  ): Promise<Extract<Row, { table: T }>[]> {
    return this.#connected().query(query, (row) => decodeRow(table, String(row[column])));
  }

  #connected(): InfluxClient {
    if (this.#client === undefined) throw new StoreError('unreachable', 'the store is not connected');
    return this.#client;
  }
}

interface Line {
  readonly row: StoredRow;
  readonly line: string;
}

const time = (ms: number) => fluxDateTime(new Date(ms).toISOString());

/** The nearest instant that InfluxDB can hold. */
const clamp = (ms: number): number => Math.min(Math.max(ms, INFLUX_MS_MIN), INFLUX_MS_MAX);

const isSensor = ({ site, gateway, device, metric }: SensorRef): ParameterizedQuery =>
  flux`r.site == ${text(tagValue(site))} and r.gateway == ${text(tagValue(gateway))}
    and r.device == ${text(tagValue(device))} and r.metric == ${text(tagValue(metric))}`;

/** Of the sensor, site and gateway that are given. */
function isOf(query: Pick<WindowRangeQuery, 'sensor' | 'site' | 'gateway'>): ParameterizedQuery {
  const wanted = [query.sensor === undefined ? 'true' : isSensor(query.sensor).toString()];
  if (query.site !== undefined) wanted.push(flux`r.site == ${text(tagValue(query.site))}`.toString());
  if (query.gateway !== undefined) wanted.push(flux`r.gateway == ${text(tagValue(query.gateway))}`.toString());
  return flux`${fluxExpression(wanted.join(' and '))}`;
}

/** Whether a window comes after that place of a list by time; Flux compares no tuples. */
function isBehind([start, ...names]: readonly [number, ...string[]]): string {
  const columns = ['site', 'gateway', 'device', 'metric', 'size'];
  const inTie = names.reduceRight((rest, name, i) => {
    const column = fluxExpression(`r.${columns[i]}`);
    const value = text(tagValue(name));
    const further = rest === 'false' ? '' : flux` or (${column} == ${value} and ${fluxExpression(rest)})`.toString();
    return flux`(${column} > ${value}${fluxExpression(further)})`.toString();
  }, 'false');
  return flux`(r._time > ${time(start)} or ${fluxExpression(inTie)})`.toString();
}

/**
 * A string literal of Flux. The client's own escapes leave a dollar sign alone that does not stand before a brace, and Flux then
 * misreads what follows it (`"$"`, `"$\""`); so whatever could mean something goes as the bytes of its UTF-8.
 */
function text(value: string): FluxParameterLike {
  return fluxExpression(`"${value.replaceAll(/["\\$\p{Cc}]/gu, escapedBytes)}"`);
}

const escapedBytes = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
