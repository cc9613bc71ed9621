import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { setUpStore, storeConfigSchema } from '@floorwatch/cloud-processor';
import { createLogger } from '@floorwatch/runtime';
import { expect, it } from 'vitest';

import { onboardInfluxd, resourcesPerSuite } from '../support/index.ts';
import { publish } from './report.ts';

/** Three gateways with 1,000 sensors each that catch up on two hours: a rollup of every sensor per 10 s. */
const [GATEWAYS, SENSORS, BUCKETS] = [3, 1_000, 720];
const ROLLUPS = GATEWAYS * SENSORS * BUCKETS;
/** Real stores take so long that fewer have to do: 25 minutes. */
const ROLLUPS_TO_STORES = GATEWAYS * SENSORS * 150;
const ROUNDS = 3;

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'processor-load.mjs');
const resources = resourcesPerSuite();

interface Figures {
  readonly rollups: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
}

interface PipelineFigures extends Figures {
  readonly rows: number;
  readonly checkpoints: number;
  readonly residentMb: number;
}

async function run<T>(...parameters: readonly string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...parameters]);
  // The program may log before its result, such as that the store is behind.
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as T;
}

const perRollup = ({ cpuSeconds, rollups }: Figures): number => (cpuSeconds / rollups) * 1e6;

/** The run that took the least processor time per rollup. */
const best = <F extends Figures>(runs: readonly F[]): F =>
  runs.reduce((least, figures) => (perRollup(figures) < perRollup(least) ? figures : least));

it('from the stream to the store, against an ordered consumer that only parses', async () => {
  const nats = await resources.nats();
  const influxd = await resources.influxd();
  const folder = await resources.directory();
  const size = [GATEWAYS, SENSORS, BUCKETS].map(String);
  const stored = await run<{ rollups: number }>('fill', nats.url, ...size);
  expect(stored.rollups).toBe(ROLLUPS);

  const bare: Figures[] = [];
  const counting: PipelineFigures[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await run('bare', nats.url, String(ROLLUPS)));
    counting.push(await run('pipeline', nats.url, String(ROLLUPS), JSON.stringify({ kind: 'counting' }), folder));
  }
  const duckdb = { kind: 'duckdb', file: path.join(folder, 'rows.duckdb'), retentionDays: 0 };
  const influx = {
    kind: 'influxdb',
    url: influxd.url,
    org: 'floorwatch',
    tokenFile: path.join(folder, 'token'),
    retentionDays: 0,
  };
  await writeFile(influx.tokenFile, 'bench-token');
  await onboardInfluxd(influxd.url, { org: influx.org, bucket: 'first', token: 'bench-token' });
  await setUpStore(storeConfigSchema.parse(influx), createLogger('bench', 'silent'));
  const stores = [
    ['DuckDB', duckdb],
    ['influxd', influx],
  ] as const;

  const consumer = best(bare);
  const row = (name: string, figures: Figures, rows?: number): string[] => [
    name,
    `${Math.round(figures.rollups / figures.cpuSeconds / 1_000)} k`,
    `${perRollup(figures).toFixed(2)} µs`,
    `${(perRollup(figures) / perRollup(consumer)).toFixed(2)} ×`,
    `${Math.round(figures.rollups / figures.seconds / 1_000)} k`,
    rows === undefined ? '' : rows.toLocaleString('en'),
  ];
  const through = best(counting);
  expect(through.checkpoints).toBeGreaterThan(0);
  const rows = [
    row('a consumer that only parses', consumer),
    row('the processor, to a store that only counts', through, through.rows),
  ];
  for (const [name, store] of stores) {
    const parameters = [String(ROLLUPS_TO_STORES), JSON.stringify(store), folder];
    const figures = await run<PipelineFigures>('pipeline', nats.url, ...parameters);
    rows.push(row(`the processor, to ${name}`, figures, figures.rows));
  }
  publish({
    name: 'processor-throughput',
    columns: ['what', 'rollups/s per core', 'CPU per rollup', 'CPU against the consumer', 'rollups/s', 'rows stored'],
    rows,
  });
});
