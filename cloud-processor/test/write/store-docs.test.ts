import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { InfluxDB } from '@influxdata/influxdb-client';
import { durationMs, epochMs, type Row } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';

import { createStore } from '../../src/write/create-store.ts';
import { type StoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { columnsOf, type Table, TABLES } from '../../src/write/tables.ts';
import { noInflux, startTestInflux } from './influx-server.ts';
import { anomalyRow, gatewayRow, HOUR, MINUTE, windowRow } from './sample-rows.ts';

const text = readFileSync(new URL('../../../docs/store.md', import.meta.url), 'utf8');

const examples = (language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1]!);

/** An hour that is over, an anomaly that is open and a report, all of today. */
function recentRows(): Row[] {
  const start = Math.floor(Date.now() / HOUR - 1) * HOUR;
  return [
    windowRow({ start: epochMs(start) }),
    windowRow({ start: epochMs(start), size: durationMs(15 * MINUTE) }),
    windowRow({ start: epochMs(start), size: durationMs(HOUR) }),
    anomalyRow({ openedAt: epochMs(start), expected: { low: 69.5, high: 73 } }),
    gatewayRow({ at: epochMs(start) }),
  ];
}

async function fill(config: StoreConfig): Promise<void> {
  const never = new AbortController().signal;
  const store = createStore(config, createLogger('test', 'silent'));
  await store.connect(never);
  expect(await store.write(recentRows(), never)).toEqual({ kind: 'written' });
  await store.close();
}

describe('docs/store.md', () => {
  it('names every table, tag and column', () => {
    for (const [name, table] of Object.entries<Table>(TABLES)) {
      const columns = columnsOf(table).map((column) => column.name);
      for (const word of [name, ...table.tags.map((tag) => tag.name), ...columns]) {
        expect(text).toContain(`\`${word}\``);
      }
    }
  });

  it('has SQL that finds something in DuckDB', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'floorwatch-docs-'));
    const file = join(folder, 'store.duckdb');
    await fill(storeConfigSchema.parse({ kind: 'duckdb', file }));
    const instance = await DuckDBInstance.create(file);
    const connection = await instance.connect();
    expect(examples('sql')).toHaveLength(4);
    for (const sql of examples('sql')) {
      const rows = (await connection.runAndReadAll(sql)).getRowObjectsJson();
      expect(`${sql}${rows.length} rows`).toBe(`${sql}1 rows`);
      expect(Object.values(rows[0]!)).not.toContain(null);
    }
    connection.closeSync();
    instance.closeSync();
    await rm(folder, { recursive: true });
  });

  it.skipIf(noInflux !== undefined)(
    `has Flux that finds something in InfluxDB${noInflux === undefined ? '' : ` (${noInflux})`}`,
    async () => {
      const influx = await startTestInflux();
      try {
        const config = await influx.freshConfig(0);
        await fill(config);
        const api = new InfluxDB({ url: config.url, token: influx.token }).getQueryApi(config.org);
        expect(examples('flux')).toHaveLength(3);
        for (const flux of examples('flux')) {
          const rows = await api.collectRows(flux.replaceAll('"floorwatch"', JSON.stringify(config.bucket)));
          expect(`${flux}${rows.length} rows`).toBe(`${flux}1 rows`);
        }
      } finally {
        await influx.stop();
      }
    },
  );
});
