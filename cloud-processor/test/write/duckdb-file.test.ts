import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { durationMs, epochMs, type Row } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createStore } from '../../src/write/create-store.ts';
import { DuckdbStore } from '../../src/write/duckdb-store.ts';
import { RetentionClock } from '../../src/write/retention-clock.ts';
import { type DuckdbStoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { anomalyRow, BASE, DAY, gatewayRow, HOUR, liveRow, MINUTE, PRESS, windowRow } from './sample-rows.ts';

const logger = createLogger('test', 'silent');
const never = new AbortController().signal;
/** A program of its own writes windows until it is killed; it runs the built package. */
const WRITER = new URL('./duckdb-writer.mjs', import.meta.url);

describe('the DuckDB file', () => {
  let folder: string;
  let config: DuckdbStoreConfig;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'floorwatch-duckdb-'));
    config = storeConfigSchema.parse({
      kind: 'duckdb',
      file: join(folder, 'a folder', 'store.duckdb'),
      retentionDays: 0,
    }) as DuckdbStoreConfig;
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Runs SQL in the file as a person would, with every store closed. */
  async function sql(text: string): Promise<unknown[]> {
    const instance = await DuckDBInstance.create(config.file, { access_mode: 'READ_ONLY' });
    const connection = await instance.connect();
    const rows = (await connection.runAndReadAll(text)).getRowObjectsJson();
    connection.closeSync();
    instance.closeSync();
    return rows;
  }

  async function write(rows: readonly Row[]): Promise<void> {
    const store = createStore(config, logger);
    await store.connect(never);
    expect(await store.write(rows, never)).toEqual({ kind: 'written' });
    await store.close();
  }

  it('has a table per kind of row, with the columns that InfluxDB has as tags and fields', async () => {
    const live = Math.floor(Date.now() / MINUTE) * MINUTE;
    await write([windowRow({ incomplete: true, hash: '0123456789abcdef' }), anomalyRow(), gatewayRow(), liveRow(live)]);
    expect(await sql('SELECT * EXCLUDE (row) FROM "window"')).toEqual([
      {
        site: 'plant-1',
        gateway: 'gw-1',
        device: 'press-01',
        metric: 'temperature',
        size: '1m',
        time: new Date(BASE).toISOString().replace('T', ' ').replace('.000Z', ''),
        unit: '°C',
        mean: 71.25 + (0.1 + 0.2),
        variance: 1 / 3 / 60,
        sd: Math.sqrt(1 / 3 / 60),
        n: 60,
        min: 70.5,
        max: 72.125,
        last: 71.5,
        last_at: BASE + 59_000,
        anomalous: 2,
        uncertain: 1,
        count_mean: 71.4,
        count_sd: 0.3,
        time_mean: null,
        time_sd: null,
        ew_mean: null,
        ew_sd: null,
        revision: 0,
        incomplete: 1,
        hash: '0123456789abcdef',
      },
    ]);
    expect(await sql('SELECT kind, severity, phase, expected_low, expected_high, explanation FROM anomaly')).toEqual([
      {
        kind: 'above-normal',
        severity: 'warning',
        phase: 'opened',
        expected_low: 69.5,
        expected_high: null,
        explanation: '91.5 °C, expected at least 69.5 °C',
      },
    ]);
    expect(await sql(`SELECT CAST(row->>'$.counters.readingsAccepted' AS DOUBLE) AS accepted FROM gateway`)).toEqual([
      { accepted: 3_990 },
    ]);
    expect(await sql('SELECT device, n FROM window_live')).toEqual([{ device: 'press-01', n: 60 }]);
  });

  it('of an earlier release goes on, with the columns that came later empty', async () => {
    const [early, late] = [windowRow(), windowRow({ start: epochMs(BASE + MINUTE), hash: '0123456789abcdef' })];
    await write([early, liveRow(Math.floor(Date.now() / MINUTE) * MINUTE)]);
    const instance = await DuckDBInstance.create(config.file);
    const connection = await instance.connect();
    for (const table of ['window', 'window_live']) await connection.run(`ALTER TABLE "${table}" DROP COLUMN hash`);
    connection.closeSync();
    instance.closeSync();
    await write([late, anomalyRow()]);
    await write([{ ...late, revision: 1 }]);
    expect(await sql('SELECT hash, revision FROM "window" ORDER BY time')).toEqual([
      { hash: null, revision: 0 },
      { hash: '0123456789abcdef', revision: 1 },
    ]);
    const store = createStore(config, logger);
    await store.connect(never);
    const query = { sensor: PRESS, size: durationMs(MINUTE), from: epochMs(BASE), to: epochMs(BASE + HOUR), limit: 9 };
    expect((await store.windows(query)).items).toEqual([early, { ...late, revision: 1 }]);
    await store.close();
  });

  it('in use by another program is refused, with the number of its process', async () => {
    const writer = startWriter(config);
    await writer.acknowledged(1);
    const store = createStore(config, logger);
    await expect(store.connect(never)).rejects.toMatchObject({
      name: 'StartError',
      code: 'locked',
      message: expect.stringMatching(
        new RegExp(`^store.file: .*store.duckdb is in use by process ${writer.pid}; stop it`),
      ) as string,
    });
    await writer.kill9();
    await store.connect(never);
    await store.close();
  });

  it('that is no database is refused, and left as it is', async () => {
    config = { ...config, file: join(folder, 'notes.txt') };
    await writeFile(config.file, 'remember the milk\n'.repeat(1_000));
    await expect(createStore(config, logger).connect(never)).rejects.toMatchObject({
      name: 'StartError',
      message: expect.stringContaining(`store.file: ${config.file} can't be opened`) as string,
    });
    expect((await stat(config.file)).size).toBe(18_000);
  });

  it('shared by two stores of one program takes the rows of both', async () => {
    const [one, two] = [createStore(config, logger), createStore(config, logger)];
    await one.connect(never);
    await two.connect(never);
    await one.write([windowRow()], never);
    await two.write([windowRow({ revision: 1 })], never);
    expect(await one.newestWindows(0, 1)).toEqual([windowRow({ revision: 1 })]);
    await one.close();
    expect(await two.newestWindows(0, 1)).toEqual([windowRow({ revision: 1 })]);
    await two.close();
  });

  it('keeps every acknowledged row through kills at any moment', { timeout: 60_000 }, async () => {
    let before = 0;
    for (const rows of [1, 120, 900, 30, 400]) {
      const writer = startWriter(config, before);
      // Kills it while the batches behind this one are being written.
      await writer.acknowledged(before + rows);
      await writer.kill9();
      const store = createStore(config, logger);
      await store.connect(never);
      const { items } = await store.windows({
        sensor: PRESS,
        size: durationMs(MINUTE),
        from: epochMs(0),
        to: epochMs(BASE + 1e6 * MINUTE),
        limit: 5_000,
      });
      await store.close();
      expect(items.length).toBeGreaterThanOrEqual(writer.last());
      expect(items.map((row) => row.start)).toEqual(items.map((_, i) => BASE + i * MINUTE));
      before = items.length;
    }
  });

  it('shrinks when rows go: what was dropped makes room for new rows', async () => {
    let now = BASE;
    let hour = 0;
    const clock = new RetentionClock(() => now);
    const store = new DuckdbStore({ ...config, retentionDays: 1 }, logger, clock, () => hour * HOUR);
    await store.connect(never);
    const sizes: number[] = [];
    for (let day = 0; day < 6; day++) {
      now = BASE + day * DAY;
      clock.saw(now);
      for (let batch = 0; batch < 4; batch++) {
        const rows = Array.from({ length: 1_000 }, (_, i) =>
          windowRow({ start: epochMs(now + (batch * 1_000 + i) * 10), sensor: { ...PRESS, device: `press-${i}` } }),
        );
        await store.write(rows, never);
      }
      hour++;
      await store.write([], never);
      await store.close();
      sizes.push((await stat(config.file)).size);
      await store.connect(never);
    }
    await store.close();
    expect(sizes.at(-1)!).toBeLessThan(2.5 * sizes[1]!);
    expect(await readdir(join(folder, 'a folder'))).toEqual(['store.duckdb']);
  });

  it('is queried while it is written', async () => {
    const store = createStore(config, logger);
    await store.connect(never);
    const batches = Array.from({ length: 10 }, (_, b) =>
      Array.from({ length: 500 }, (_unused, i) => windowRow({ start: epochMs(BASE + (b * 500 + i) * MINUTE) })),
    );
    const counts: number[] = [];
    const writing = Promise.all(batches.map((batch) => store.write(batch, never)));
    for (let i = 0; i < 20; i++) {
      const { items } = await store.windows({
        sensor: PRESS,
        size: durationMs(MINUTE),
        from: epochMs(0),
        to: epochMs(BASE + 1e6 * MINUTE),
        limit: 5_000,
      });
      counts.push(items.length);
    }
    await writing;
    await store.close();
    expect(counts.every((count) => count % 500 === 0)).toBe(true);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  });
});

interface Writer {
  readonly pid: number;
  /** Rows acknowledged so far, with those of earlier writers. */
  last(): number;
  acknowledged(rows: number): Promise<void>;
  kill9(): Promise<void>;
}

function startWriter(config: DuckdbStoreConfig, from = 0): Writer {
  const built = new URL('../../dist/write/create-store.js', import.meta.url);
  if (!existsSync(built)) throw new Error('run "npm run typecheck" first: this test runs the built package');
  const child = fork(WRITER, [JSON.stringify(config), JSON.stringify(windowRow()), String(from)], { execArgv: [] });
  let last = 0;
  let failed: Error | undefined;
  let wake = (): void => undefined;
  child.on('message', (rows: number) => {
    last = rows;
    wake();
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      failed = new Error(`the writer ended with ${code}`);
      wake();
      resolve();
    });
  });
  return {
    pid: child.pid!,
    last: () => last,
    async acknowledged(rows) {
      while (last < rows) {
        if (failed !== undefined) throw failed;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    async kill9() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
