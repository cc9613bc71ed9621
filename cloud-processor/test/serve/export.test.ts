import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { type AnomalyRow, type ExportedWindow, type ExportEnd, type ExportError, epochMs } from '@floorwatch/contracts';
import { type HttpServer, serveHttp } from '@floorwatch/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import type { ServeOptions } from '../../src/serve/index.ts';
import { serveLimits } from '../../src/serve/limits.ts';
import { type Store, StoreError } from '../../src/write/store.ts';
import { anomalyRow, BASE, ID, makeApp, makeStore, sensor, windowRow } from './floor-fixture.ts';

type Line = ExportedWindow | AnomalyRow | ExportEnd | ExportError;

const MINUTE = 60_000;
const RANGE = `from=${BASE}&to=${BASE + 3_600_000}`;
const WINDOWS = 1_000;
const ODD = [-0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e21];

let store: Store;
let remove: () => Promise<void>;
let folder: string;
let exportDir: string;
const servers: HttpServer[] = [];

beforeAll(async () => {
  ({ store, remove } = await makeStore());
  folder = await mkdtemp(join(tmpdir(), 'floorwatch-export-'));
  exportDir = join(folder, 'exports');
  const odd = ODD.map((value, i) => windowRow(BASE + i * MINUTE, value));
  const many = Array.from({ length: WINDOWS - ODD.length }, (_, i) => ({
    ...windowRow(BASE + (i % 30) * MINUTE, i),
    sensor: sensor(`metric-${Math.floor(i / 30)}`, i % 2 === 0 ? 'gw-1' : 'gw-2'),
  }));
  const hours = [0, 1].map((i) => windowRow(BASE + i * 3_600_000, i, 3_600_000));
  const anomalies = Array.from({ length: 25 }, (_, i) => anomalyRow(i, i % 5 === 0 ? { severity: 'critical' } : {}));
  await store.write([...odd, ...many, ...hours, ...anomalies], AbortSignal.timeout(60_000));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

afterAll(async () => {
  await remove();
  await rm(folder, { recursive: true });
});

const app = (options: Partial<ServeOptions> = {}) => makeApp({ store, exportDir, ...options }).app;

async function lines(path: string, options: Partial<ServeOptions> = {}): Promise<Line[]> {
  const response = await app(options).request(`/api/v1/export/${path}`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/x-ndjson');
  const text = await response.text();
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

const limits = (change: Partial<NonNullable<ServeOptions['exportLimits']>>) => ({
  exportLimits: { ...serveLimits, ...change },
});

describe('lines of JSON', () => {
  test.each([1_000, 999, 100, 7])(
    'in pages of %i hold every window once, and tell at the end that they do',
    async (rows) => {
      const found = await lines(`windows?${RANGE}`, limits({ exportPageRows: rows }));
      expect(found.at(-1)).toEqual({ table: 'end', rows: WINDOWS + 1 });
      const windows = found.slice(0, -1) as ExportedWindow[];
      const keys = windows.map(({ sensor: of, size, start }) => JSON.stringify([of, size, start]));
      expect(new Set(keys).size).toBe(WINDOWS + 1);
      expect(windows.map(({ start }) => start)).toEqual(windows.map(({ start }) => start).sort((a, b) => a - b));
    },
  );

  test('hold every number as it is stored', async () => {
    const found = await lines(`windows?${RANGE}&sensor=${encodeURIComponent(ID)}&size=1m`);
    const windows = found.slice(0, -1) as ExportedWindow[];
    expect(windows.map(({ last }) => last)).toEqual(ODD);
    expect(Object.is(windows[0]?.last, -0)).toBe(true);
    expect(windows.map(({ aggregate }) => aggregate.reference)).toEqual(ODD);
    expect(windows[0]).toMatchObject({ size: '1m', end: BASE + MINUTE, unit: '°C', n: 1, revision: 0, uncertain: 0 });
  });

  test('can be asked for by site, gateway, size, severity and state', async () => {
    const rows = async (path: string) => ((await lines(path)).at(-1) as ExportEnd).rows;
    expect(await rows(`windows?${RANGE}&size=1h`)).toBe(1);
    expect((await rows(`windows?${RANGE}&gateway=gw-1`)) + (await rows(`windows?${RANGE}&gateway=gw-2`))).toBe(
      WINDOWS + 1,
    );
    expect(await rows(`windows?${RANGE}&site=plant-2`)).toBe(0);
    expect(await rows(`anomalies?${RANGE}`)).toBe(25);
    expect(await rows(`anomalies?${RANGE}&severity=critical&open=true`)).toBe(5);
    expect(await rows(`anomalies?${RANGE}&gateway=gw-2`)).toBe(0);
  });

  test('that break off say so in the last line', async () => {
    let pages = 0;
    const failing = {
      windows: store.windows.bind(store),
      anomalies: store.anomalies.bind(store),
      windowsByTime: async (query: Parameters<Store['windowsByTime']>[0]) => {
        pages += 1;
        if (pages > 2) throw new StoreError('unreachable', 'connect ECONNREFUSED 10.0.0.5');
        return store.windowsByTime(query);
      },
    };
    const found = await lines(`windows?${RANGE}`, { store: failing, ...limits({ exportPageRows: 10 }) });
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toMatchObject({ table: 'error', rows: 20, code: 'unreachable' });
    expect(JSON.stringify(found)).not.toContain('10.0.0.5');
  });

  test('are not begun when the store can’t be asked', async () => {
    const away = () => Promise.reject(new StoreError('unreachable', 'away'));
    const failing = { windows: away, windowsByTime: away, anomalies: away };
    const response = await app({ store: failing }).request(`/api/v1/export/windows?${RANGE}`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
  });
});

describe('a Parquet file', () => {
  /** Saves the answer and reads it back with DuckDB. */
  async function parquet(path: string, sql: string): Promise<unknown[]> {
    const response = await app().request(`/api/v1/export/${path}&format=parquet`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/vnd.apache.parquet');
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(bytes.length).toBe(Number(response.headers.get('content-length')));
    expect(await readdir(exportDir)).toEqual([]);
    const file = join(folder, 'read.parquet');
    await writeFile(file, bytes);
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql.replace('FILE', `'${file}'`))).getRowObjectsJson();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  test('holds the windows with exact numbers', async () => {
    const found = await parquet(
      `windows?${RANGE}&sensor=${encodeURIComponent(ID)}&size=1m`,
      'SELECT last, epoch_ms(time)::DOUBLE AS start, size, unit FROM FILE ORDER BY time',
    );
    expect(found).toEqual(ODD.map((last, i) => ({ last, start: BASE + i * MINUTE, size: '1m', unit: '°C' })));
    const [all] = await parquet(`windows?${RANGE}`, 'SELECT count(*)::DOUBLE AS n FROM FILE');
    expect(all).toEqual({ n: WINDOWS + 1 });
  });

  test('holds the episodes', async () => {
    const [found] = await parquet(
      `anomalies?${RANGE}&severity=critical`,
      'SELECT count(DISTINCT id)::DOUBLE AS n, min(kind) AS kind, sum(score) AS score FROM FILE',
    );
    expect(found).toEqual({ n: 5, kind: 'above-band', score: 45 });
  });

  test('that would be too large is refused with what to do, and leaves nothing', async () => {
    const response = await app(limits({ exportParquetRowsMax: WINDOWS })).request(
      `/api/v1/export/windows?${RANGE}&format=parquet`,
    );
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ field: 'to', remedy: expect.stringContaining('1000') as string });
    const exactly = limits({ exportParquetRowsMax: WINDOWS + 1 });
    expect((await app(exactly).request(`/api/v1/export/windows?${RANGE}&format=parquet`)).status).toBe(200);
    expect(await readdir(exportDir)).toEqual([]);
  });

  test('that takes too long is given up, and leaves nothing', async () => {
    const response = await app(limits({ exportParquetMs: 0 })).request(
      `/api/v1/export/windows?${RANGE}&format=parquet`,
    );
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: expect.stringContaining('shorter range') as string });
    expect(await readdir(exportDir)).toEqual([]);
  });

  test('that a kill has left is removed', async () => {
    await mkdir(exportDir, { recursive: true });
    await writeFile(join(exportDir, 'left.parquet'), 'x');
    await app().request(`/api/v1/export/anomalies?${RANGE}&format=parquet`);
    expect(await readdir(exportDir)).toEqual([]);
  });

  test('is not to be had from a store that can’t make one', async () => {
    const none = async () => Promise.resolve({ items: [], next: null });
    const other = { windows: none, windowsByTime: none, anomalies: none };
    const response = await app({ store: other }).request(`/api/v1/export/windows?${RANGE}&format=parquet`);
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({ remedy: expect.stringContaining('ndjson') as string });
  });
});

describe('a client', () => {
  /** Begins an export over a real connection, and takes nothing of it. */
  async function begin(options: Partial<ServeOptions>, format = 'ndjson') {
    const server = await serveHttp(app(options), { host: '127.0.0.1', port: 0 });
    servers.push(server);
    const address = `http://127.0.0.1:${server.port}/api/v1/export/windows?${RANGE}&format=${format}`;
    const call = request(address);
    call.on('error', () => undefined);
    call.end();
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    return { address, response, leave: () => call.destroy() };
  }

  /** A list without an end. */
  function endless() {
    let pages = 0;
    const windowsByTime = async () => {
      pages += 1;
      const items = Array.from({ length: 1_000 }, (_, i) => windowRow(BASE + i * MINUTE, i));
      return Promise.resolve({ items, next: 'more' });
    };
    return {
      store: { windows: store.windows.bind(store), anomalies: store.anomalies.bind(store), windowsByTime },
      pages: () => pages,
    };
  }

  test('that does not read stops the reading of the store', async () => {
    const list = endless();
    const { leave } = await begin({ store: list.store });
    let before = -1;
    await vi.waitFor(
      async () => {
        const now = list.pages();
        const stands = now === before;
        before = now;
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect(stands && list.pages() === now).toBe(true);
      },
      { timeout: 20_000 },
    );
    // What sockets of the system hold, and not the 31 days that were asked for.
    expect(list.pages()).toBeLessThan(60);
    leave();
  });

  test('that leaves, or takes nothing for long, makes room for another; beyond the limit one has to wait', async () => {
    const list = endless();
    const { address, leave } = await begin({ store: list.store, ...limits({ exportsMax: 1 }) });
    const refused = await fetch(address);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    leave();
    await vi.waitFor(
      async () => {
        const head = await fetch(address, { method: 'HEAD' });
        expect(head.status).toBe(200);
      },
      { timeout: 60_000 },
    );
    const slow = await begin({ store: list.store, ...limits({ exportsMax: 1, exportIdleMs: 100 }) });
    const cut = new Promise((resolve) => slow.response.once('close', resolve));
    await vi.waitFor(async () => expect((await fetch(slow.address, { method: 'HEAD' })).status).toBe(200), {
      timeout: 60_000,
    });
    slow.response.resume();
    await cut;
    expect(slow.response.complete).toBe(false);
  });

  test('that takes nothing gives way when another one asks, long before it is cut', async () => {
    const list = endless();
    const { address, response } = await begin({ store: list.store, ...limits({ exportsMax: 1, exportYieldMs: 50 }) });
    const cut = new Promise((resolve) => response.once('close', resolve));
    await vi.waitFor(async () => expect((await fetch(address, { method: 'HEAD' })).status).toBe(200), {
      timeout: 10_000,
    });
    response.resume();
    await cut;
    expect(response.complete).toBe(false);
  });

  test('that leaves while its file is made ends the making', async () => {
    let waiting: AbortSignal | undefined;
    const exportParquet: Store['exportParquet'] = async (_query, _file, _limits, signal) => {
      waiting = signal;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    };
    const server = await serveHttp(app({ store: { ...endless().store, exportParquet } }), {
      host: '127.0.0.1',
      port: 0,
    });
    servers.push(server);
    const call = request(`http://127.0.0.1:${server.port}/api/v1/export/windows?${RANGE}&format=parquet`);
    call.on('error', () => undefined);
    call.end();
    await vi.waitFor(() => expect(waiting).toBeDefined(), { timeout: 60_000 });
    call.destroy();
    await vi.waitFor(() => expect(waiting?.aborted).toBe(true), { timeout: 60_000 });
  });
});

describe('wrong parameters are answered with 400', () => {
  test.each([
    ['windows', 'from'],
    [`windows?from=${BASE}`, 'to'],
    [`windows?from=${BASE}&to=${BASE}`, 'from'],
    [`windows?from=${BASE}&to=${BASE + 31 * 86_400_000 + 1}`, 'to'],
    [`windows?${RANGE}&format=csv`, 'format'],
    [`windows?${RANGE}&size=2m`, 'size'],
    [`windows?${RANGE}&severity=critical`, 'severity'],
    [`anomalies?${RANGE}&size=1m`, 'size'],
    [`anomalies?${RANGE}&limit=5`, 'limit'],
  ])('%s', async (path, field) => {
    const response = await app().request(`/api/v1/export/${path}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ field });
  });

  test('31 days are not too long', async () => {
    const to = epochMs(BASE + 31 * 86_400_000);
    expect(((await lines(`windows?from=${BASE}&to=${to}`)).at(-1) as ExportEnd).rows).toBe(WINDOWS + 2);
  });
});
