import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../support/index.ts';
import { DuckdbFile } from './chaos-store.ts';
import { Relay } from './relay.ts';

const resources = resourcesPerTest();

describe('what is read from a DuckDB file', () => {
  it('shows a row that stands there twice', async () => {
    const store = await DuckdbFile.create(resources);
    const instance = await DuckDBInstance.create(store.file);
    const connection = await instance.connect();
    for (const sql of [
      `CREATE TABLE "window" (device VARCHAR, metric VARCHAR, size VARCHAR, time TIMESTAMP, n DOUBLE, mean DOUBLE, min DOUBLE, max DOUBLE,
         revision DOUBLE, incomplete DOUBLE)`,
      'CREATE TABLE late (device VARCHAR, metric VARCHAR, size VARCHAR, time TIMESTAMP, readings DOUBLE)',
      'CREATE TABLE anomaly (detector VARCHAR, id VARCHAR, phase VARCHAR, close_reason VARCHAR)',
      `INSERT INTO "window" VALUES ('m', 'a', '1m', make_timestamp_ms(60000), 2, 1.5, 1, 2, 3, 0), ('m', 'b', '1m', make_timestamp_ms(0), 1, 4, 4, 4, 0, 1),
         ('m', 'b', '1m', make_timestamp_ms(0), 1, 4, 4, 4, 0, 0), ('m', 'a', '15m', make_timestamp_ms(0), 2, 1.5, 1, 2, 3, 1)`,
      `INSERT INTO late VALUES ('m', 'a', '1m', make_timestamp_ms(60000), 1)`,
      `INSERT INTO anomaly VALUES ('limit', 'x', 'closed', 'recovered'), ('limit', 'y', 'opened', NULL), ('limit', 'y', 'opened', NULL)`,
    ])
      await connection.run(sql);
    connection.closeSync();
    instance.closeSync();
    const { windows, revisions, incomplete, late, anomalies } = await store.read();
    expect([...windows]).toEqual([
      ['m/a 60000', { n: 2, sum: 3, min: 1, max: 2 }],
      ['m/b 0', { n: 2, sum: 8, min: 4, max: 4 }],
    ]);
    expect({ revisions, incomplete }).toEqual({ revisions: 3, incomplete: 1 });
    expect([...late]).toEqual([['m/a 60000', 1]]);
    expect(anomalies.get('x')).toMatchObject({ opened: 1, closed: 1, closeReason: 'recovered' });
    expect(anomalies.get('y')).toMatchObject({ opened: 2, closed: 0, closeReason: undefined });
  });
});

describe('the relay before a store', () => {
  it('knows while a request that writes is under way, and passes everything on', async () => {
    let answer: () => void = () => undefined;
    const server = createServer((request, response) => {
      if (request.method === 'GET') response.end('read');
      else answer = () => response.end('written');
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    resources.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    const relay = await Relay.start(resources, (server.address() as AddressInfo).port);
    const url = `http://127.0.0.1:${relay.port}/api/v2`;
    expect(await (await fetch(`${url}/query`)).text()).toBe('read');
    expect(relay.isWriting).toBe(false);
    const begins = relay.writes();
    const writing = fetch(`${url}/write?bucket=b`, { method: 'POST', body: 'window n=1' });
    await begins;
    expect(relay.isWriting).toBe(true);
    await waitFor('the server has the request', () => {
      answer();
      return !relay.isWriting;
    });
    expect(await (await writing).text()).toBe('written');
  });
});
