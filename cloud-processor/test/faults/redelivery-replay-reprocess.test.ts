import path from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { epochMs, INGEST_STREAM } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { createStore } from '../../src/write/create-store.ts';
import { type InfluxdbStoreConfig, type StoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { BASE, batchOf, BUCKET, messageOf, report, rollups, start, tick } from '../support/floor.ts';
import { connectPublisher, hasStream, type RunningPipeline, startPipeline } from '../support/running.ts';
import { scriptedStream } from '../support/script.ts';
import { noInflux, startTestInflux } from '../write/influx-server.ts';

// Servers start slowly on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

const resources = resourcesPerTest();
const logger = createLogger('test', 'silent');

/** A store with a way to see everything that is in it. */
interface Inspected {
  readonly config: StoreConfig;
  /** All rows but running values, as text. To be called while no processor runs. */
  readonly dump: () => Promise<readonly string[]>;
}

async function duckdb(): Promise<Inspected> {
  const file = path.join(await resources.directory(), 'store.duckdb');
  const config = storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 });
  return {
    config,
    async dump() {
      const instance = await DuckDBInstance.create(file);
      const connection = await instance.connect();
      const names = await connection.runAndReadAll('SELECT table_name FROM duckdb_tables() WHERE NOT temporary');
      const rows: string[] = [];
      for (const [name] of names.getRows()) {
        if (name === 'window_live') continue;
        const table = await connection.runAndReadAll(`SELECT * FROM "${String(name)}"`);
        rows.push(...table.getRowObjectsJson().map((row) => `${String(name)} ${JSON.stringify(row)}`));
      }
      connection.closeSync();
      instance.closeSync();
      return rows.sort();
    },
  };
}

async function influxdb(): Promise<Inspected> {
  const influx = await startTestInflux();
  resources.defer(() => influx.stop());
  const fresh = await influx.freshConfig(0);
  // Nothing here leaves a request behind, and a minute is long for a test.
  const config: InfluxdbStoreConfig = { ...fresh, lingerMs: 500 };
  return {
    config,
    async dump() {
      const { url, org, bucket } = config;
      const query = `from(bucket: ${JSON.stringify(bucket)}) |> range(start: 1970-01-01T00:00:00Z) |> drop(columns: ["_start", "_stop"])`;
      const response = await fetch(`${url}/api/v2/query?org=${encodeURIComponent(org)}`, {
        method: 'POST',
        headers: {
          authorization: `Token ${influx.token}`,
          'content-type': 'application/json',
          accept: 'application/csv',
        },
        body: JSON.stringify({ query, dialect: { header: false, annotations: [] } }),
      });
      const text = await response.text();
      expect([response.status, text.slice(0, 200)]).toEqual([200, text.slice(0, 200)]);
      // The number of a table says nothing but in which order it came.
      return text
        .split(/\r?\n/)
        .filter((line) => line !== '')
        .map((line) => line.replace(/^,[^,]*,\d+,/, ''))
        .sort();
    },
  };
}

/** Batches of several gateways: the scripted stream, and an hour of a second gateway with a restart. */
function batches(): { readonly subject: string; readonly data: Uint8Array }[] {
  const second = Array.from({ length: 60 }, (_, minute) => {
    const [epoch, index] = minute < 30 ? ['1-0000000c', minute] : ['2-0000000d', minute - 30];
    const readings = Array.from({ length: 6 }, (_reading, i) => {
      const at = BASE + minute * 60_000 + i * BUCKET;
      return { sensor: i % 3, at: minute % 7 === 3 && i === 5 ? at - 600_000 : at, value: Math.sin(minute + i) * 1e3 };
    });
    const records = [rollups(2 * index + 3, readings), tick(2 * index + 4, BASE + minute * 60_000)];
    const reported = { ...report(2), at: epochMs(BASE + minute * 60_000) };
    const begins = start(minute === 0 ? null : { epoch: '1-0000000c', last: 62 });
    const first = index === 0 ? [begins, reported] : [];
    return messageOf(batchOf([...first, ...records], { epoch, gateway: 'gw-2' }), 0);
  });
  const end = messageOf(batchOf([tick(63, BASE + 3 * 3_600_000)], { epoch: '2-0000000d', gateway: 'gw-2' }), 0);
  return [...scriptedStream().filter(({ subject }) => !subject.includes('someone')), ...second, end];
}

describe.each([
  ['DuckDB', duckdb, undefined],
  ['InfluxDB', influxdb, noInflux],
] as const)('the rows in %s', (_name, open, missing) => {
  it.skipIf(missing !== undefined)(
    `are the same, bit by bit, after every batch came three times, after the stream was read anew, and after everything was reprocessed${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const { url } = await resources.nats();
      const publisher = await connectPublisher(resources, url);
      const { config, dump } = await open();
      const partitions = Array.from({ length: 16 }, (_, partition) => partition);
      const run = async (dataDir: string): Promise<RunningPipeline> =>
        startPipeline(resources, { url, dataDir, store: createStore(config, logger), partitions });
      const counted = ({ pipeline }: RunningPipeline, of: 'batches' | 'readings'): number =>
        pipeline.lanes.reduce((sum, { runner }) => sum + runner.partition.counts[of], 0);
      const stored = async (running: RunningPipeline): Promise<readonly string[]> => {
        await waitFor(
          'all is stored',
          () =>
            running.pipeline.lanes.every(({ runner: { partition } }) => {
              return partition.outbox.size === 0 && partition.windows.lateWindows.rollups === 0;
            }),
          { timeoutMs: 60_000 },
        );
        await running.stop();
        return dump();
      };

      const dataDir = await resources.directory();
      const once = await run(dataDir);
      await waitFor('the stream exists', () => hasStream(publisher), { timeoutMs: 60_000 });
      const sent = batches();
      for (const { subject, data } of sent) await publisher.client.publish(subject, data);
      await waitFor('all is read', () => counted(once, 'batches') === sent.length, { timeoutMs: 60_000 });
      const readings = counted(once, 'readings');
      const before = await stored(once);
      expect(before.length).toBeGreaterThan(200);

      const thrice = await run(dataDir);
      for (const { subject, data } of sent) {
        for (let copy = 0; copy < 2; copy++) await publisher.client.publish(subject, data);
      }
      await waitFor('all is read again', () => counted(thrice, 'batches') === 2 * sent.length, { timeoutMs: 60_000 });
      expect(counted(thrice, 'readings')).toBe(0);
      expect(await stored(thrice)).toEqual(before);

      // A processor that knows nothing reads everything from the first message on.
      const anew = await run(await resources.directory());
      const { state } = await publisher.manager.streams.info(INGEST_STREAM.name);
      expect(state.messages).toBe(3 * sent.length);
      await waitFor('the stream is read anew', () => counted(anew, 'batches') === state.messages, {
        timeoutMs: 60_000,
      });
      expect(counted(anew, 'readings')).toBe(readings);
      expect(await stored(anew)).toEqual(before);

      const last = await run(dataDir);
      const { reprocessor } = last.pipeline;
      const request = { from: epochMs(0), to: epochMs(4e12), dryRun: false };
      await waitFor('reprocessing begins', () => reprocessor?.start(request) === 'started', { timeoutMs: 60_000 });
      await waitFor('reprocessing ends', () => reprocessor?.status?.state !== 'running', { timeoutMs: 120_000 });
      expect(reprocessor?.status).toMatchObject({ state: 'done', problems: [], gateways: [] });
      expect(reprocessor?.status?.counts.windows).toMatchObject({ missing: 0, changed: 0, kept: 0, partial: 0 });
      expect(reprocessor?.status?.counts.windows.same).toBeGreaterThan(100);
      expect(await stored(last)).toEqual(before);
    },
  );
});
