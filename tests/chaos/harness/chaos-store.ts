import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import type { LoopbackServer } from '@floorwatch/servers';

import type { Resources } from '../../support/index.ts';
import { addToWindow, windowKey, type WindowSums } from './ledger.ts';
import { Relay } from './relay.ts';
import type { EpisodeHistory } from './stream-oracle.ts';

/** Everything in a store that somebody can see, read without the product's code. */
export interface StoredRows {
  /** Sealed minutes. Rows of the same key, if there are any, add up. */
  readonly windows: WindowSums;
  /** Corrections that these minutes have seen, and how many are marked as incomplete. */
  readonly revisions: number;
  readonly incomplete: number;
  /** Late readings, by window. */
  readonly late: ReadonlyMap<string, number>;
  /** By id; opened as often as there are rows. */
  readonly anomalies: ReadonlyMap<string, EpisodeHistory>;
}

/** A store as the processor is given it, and as a test looks into it. */
export interface ChaosStore {
  /** For the processor's configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whether `set-up` must run before a processor. */
  readonly needsSetUp: boolean;
  /** Reads it. No processor may run. */
  read(): Promise<StoredRows>;
}

type Cell = string | number;
type Answer = readonly (readonly Cell[])[];

const WINDOW_COLUMNS = ['n', 'mean', 'min', 'max', 'revision', 'incomplete'] as const;
const ANOMALY_COLUMNS = ['id', 'phase', 'close_reason'] as const;

/** The embedded store. */
export class DuckdbFile implements ChaosStore {
  readonly needsSetUp = false;
  readonly config: Readonly<Record<string, unknown>>;
  readonly file: string;

  private constructor(file: string) {
    this.file = file;
    this.config = { kind: 'duckdb', file, retentionDays: 0 };
  }

  static async create(resources: Resources): Promise<DuckdbFile> {
    return new DuckdbFile(path.join(await resources.directory(), 'store.duckdb'));
  }

  async read(): Promise<StoredRows> {
    const instance = await DuckDBInstance.create(this.file, { access_mode: 'READ_ONLY' });
    const connection = await instance.connect();
    const ask = async (columns: readonly string[], rest: string): Promise<Answer> =>
      (await connection.runAndReadAll(`SELECT ${columns.join(', ')} ${rest}`))
        .getRows()
        .map((row) => row.map((cell) => (typeof cell === 'string' ? cell : Number(cell ?? Number.NaN))));
    try {
      const sensor = ['device', 'metric', 'epoch_ms(time)'];
      return collect(
        await ask([...sensor, ...WINDOW_COLUMNS], `FROM "window" WHERE size = '1m'`),
        await ask([...sensor, 'readings'], `FROM late WHERE size = '1m'`),
        await ask(['detector', 'id', 'phase', `coalesce(close_reason, '')`], 'FROM anomaly'),
      );
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }
}

/** An InfluxDB of its own, behind a relay. */
export class InfluxServer implements ChaosStore {
  readonly needsSetUp = true;
  readonly config: Readonly<Record<string, unknown>>;
  readonly server: LoopbackServer;
  readonly relay: Relay;
  readonly #tokenFile: string;

  private constructor(server: LoopbackServer, relay: Relay, tokenFile: string) {
    this.server = server;
    this.relay = relay;
    this.#tokenFile = tokenFile;
    this.config = {
      kind: 'influxdb',
      url: `http://127.0.0.1:${relay.port}`,
      org: 'floorwatch',
      tokenFile,
      onboard: true,
      retentionDays: 0,
      // Corrections would otherwise wait a minute after every kill, and so until the end.
      lingerMs: 2_000,
    };
  }

  static async create(resources: Resources): Promise<InfluxServer> {
    const server = await resources.influxd();
    const relay = await Relay.start(resources, server.port);
    return new InfluxServer(server, relay, path.join(await resources.directory(), 'token'));
  }

  async read(): Promise<StoredRows> {
    const sensor = ['device', 'metric', '_time'];
    return collect(
      await this.#ask('window', WINDOW_COLUMNS, [...sensor, ...WINDOW_COLUMNS], '1m'),
      await this.#ask('late', ['readings'], [...sensor, 'readings'], '1m'),
      await this.#ask('anomaly', ANOMALY_COLUMNS, ['detector', ...ANOMALY_COLUMNS]),
    );
  }

  async #ask(table: string, fields: readonly string[], columns: readonly string[], size?: string): Promise<Answer> {
    const isField = fields.map((field) => `r._field == "${field}"`).join(' or ');
    const query = `
      from(bucket: "floorwatch") |> range(start: 1970-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z)
        |> filter(fn: (r) => r._measurement == "${table}"${size === undefined ? '' : ` and r.size == "${size}"`} and (${isField}))
        |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
        |> group()`;
    const token = (await readFile(this.#tokenFile, 'utf8')).trim();
    const response = await fetch(`${this.server.url}/api/v2/query?org=floorwatch`, {
      method: 'POST',
      headers: { authorization: `Token ${token}`, 'content-type': 'application/vnd.flux', accept: 'application/csv' },
      body: query,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`InfluxDB answered ${response.status}: ${text}`);
    // None of the columns that are asked for can hold a comma or a quote.
    const [head = [], ...rows] = text
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => line.split(','));
    return rows.map((row) => columns.map((column) => cellOf(column, row[head.indexOf(column)] ?? '')));
  }
}

const TEXTS: ReadonlySet<string> = new Set(['device', 'metric', 'detector', ...ANOMALY_COLUMNS]);

function cellOf(column: string, text: string): Cell {
  if (TEXTS.has(column)) return text;
  return column === '_time' ? Date.parse(text) : Number(text);
}

function collect(windowRows: Answer, lateRows: Answer, anomalyRows: Answer): StoredRows {
  const windows: WindowSums = new Map();
  let [revisions, incomplete] = [0, 0];
  for (const [device, metric, time, ...numbers] of windowRows) {
    const [n = 0, mean = 0, min = 0, max = 0, revision = 0, isIncomplete = 0] = numbers.map(Number);
    addToWindow(windows, windowKey(`${device}/${metric}`, Number(time)), { n, sum: n * mean, min, max });
    revisions += revision;
    incomplete += isIncomplete;
  }
  const late = new Map<string, number>();
  for (const [device, metric, time, readings] of lateRows) {
    const key = windowKey(`${device}/${metric}`, Number(time));
    late.set(key, (late.get(key) ?? 0) + Number(readings));
  }
  const anomalies = new Map<string, EpisodeHistory>();
  for (const [detector, id, phase, closeReason] of anomalyRows.map((row) => row.map(String))) {
    if (id === undefined || detector === undefined) continue;
    const isClosed = phase === 'closed';
    anomalies.set(id, {
      opened: (anomalies.get(id)?.opened ?? 0) + 1,
      closed: isClosed ? 1 : 0,
      closeReason: isClosed ? closeReason : undefined,
      detector,
      openedIn: '',
      lastIn: '',
    });
  }
  return { windows, revisions, incomplete, late, anomalies };
}
