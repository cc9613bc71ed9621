import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Row } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { writesWithin } from '../../src/write/bounded-writes.ts';
import { createStore } from '../../src/write/create-store.ts';
import { DuckdbStore } from '../../src/write/duckdb-store.ts';
import { Outbox } from '../../src/write/outbox.ts';
import { OutboxWriter } from '../../src/write/outbox-writer.ts';
import { type DuckdbStoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import type { Store } from '../../src/write/store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { anomalyRow, windowRow } from './sample-rows.ts';

const resources = resourcesPerTest();
const never = new AbortController().signal;
const logger = createLogger('test', 'silent');

/** A right that ends when a test says so. */
function endingRight() {
  const right = { msLeft: 60_000, mayAct: true };
  return { right, end: () => Object.assign(right, { msLeft: 0, mayAct: false }) };
}

/** A store in which every write waits. */
function stalled(): { store: MemoryStore; release: () => void } {
  const store = new MemoryStore();
  let release = (): void => undefined;
  store.stall = new Promise((resolve) => (release = resolve));
  return { store, release };
}

/** An InfluxDB that hands over the lines of each write, and answers when `answer` has resolved. */
async function scriptedInflux(answer: (lines: readonly string[]) => Promise<number>): Promise<Store> {
  vi.stubEnv('FLOORWATCH_INFLUX_TOKEN', 'secret');
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      if (request.url!.startsWith('/api/v2/buckets')) response.end('{"buckets":[{"id":"1"}]}');
      else void answer(body.split('\n')).then((status) => response.writeHead(status).end('{"message":"said so"}'));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  resources.defer(() => {
    server.closeAllConnections();
    server.close();
    vi.unstubAllEnvs();
  });
  const { port } = server.address() as AddressInfo;
  const config = { kind: 'influxdb', url: `http://127.0.0.1:${port}`, org: 'o', retentionDays: 0 };
  const store = createStore(storeConfigSchema.parse(config), logger);
  await store.connect(never);
  return store;
}

describe('a processor whose claim', () => {
  it('is about to end sends nothing to the store', async () => {
    const store = new MemoryStore();
    await store.connect(never);
    const { right } = endingRight();
    right.mayAct = false;
    await expect(writesWithin(store, right).write([windowRow()], never)).rejects.toMatchObject({ code: 'no-claim' });
    expect(store.log).toEqual([]);
  });

  it('ends gives up the request that is under way, and does not know what became of it', async () => {
    const { store, release } = stalled();
    await store.connect(never);
    const { right } = endingRight();
    right.msLeft = 30;
    const written = writesWithin(store, right).write([windowRow()], never);
    setTimeout(() => (right.msLeft = 0), 30);
    await expect(written).rejects.toMatchObject({ code: 'unreachable', retryable: true });
    release();
  });

  it('is renewed meanwhile does not give up its request', async () => {
    const { store, release } = stalled();
    await store.connect(never);
    const { right } = endingRight();
    right.msLeft = 20;
    const written = writesWithin(store, right).write([windowRow()], never);
    right.msLeft = 60_000;
    await sleep(60);
    release();
    await expect(written).resolves.toEqual({ kind: 'written' });
  });

  it('ends sends no newer value of those rows before the older one can not land any more', async () => {
    const { store } = stalled();
    store.lingerMs = 60_000;
    await store.connect(never);
    const { right, end } = endingRight();
    const outbox = new Outbox();
    outbox.put(anomalyRow({ phase: 'opened' }));
    const stopping = new AbortController();
    const deadLetters = { addRows: async () => undefined };
    const parts = { outbox, store: writesWithin(store, right), deadLetters, logger, settle: () => outbox.settle() };
    const running = new OutboxWriter(parts).run(stopping.signal);
    await waitFor('the request is under way', () => store.inFlight === 1);
    right.msLeft = 1;
    setTimeout(end, 10);
    await waitFor('it may land', () => outbox.isLanding(performance.now()));
    expect(outbox.isLanding(performance.now() + 50_000)).toBe(true);
    stopping.abort();
    await running;
  });

  it('ended while the process stood still does not send what it was about to send', async () => {
    const sent: Row[] = [];
    const { right, end } = endingRight();
    // The process is stopped after the claim was looked at and before the request leaves, and runs again when another has the partition.
    const store: Pick<Store, 'lingerMs' | 'write'> = {
      lingerMs: 0,
      async write(batch, _signal, mayBegin) {
        end();
        mayBegin?.();
        sent.push(...batch);
        return { kind: 'written' };
      },
    };
    await expect(writesWithin(store, right).write([windowRow()], never)).rejects.toMatchObject({ code: 'no-claim' });
    expect(sent).toEqual([]);
  });

  it('ended sends InfluxDB no part of a batch that was refused as a whole', async () => {
    const { right, end } = endingRight();
    const writes: number[] = [];
    const store = await scriptedInflux(async (lines) => {
      writes.push(lines.length);
      right.mayAct = false;
      return 400;
    });
    const rows = [0, 1, 2, 3].map((i) =>
      windowRow({ revision: i, sensor: { ...windowRow().sensor, metric: `m${i}` } }),
    );
    await expect(writesWithin(store, right).write(rows, never)).rejects.toMatchObject({ code: 'no-claim' });
    expect(writes).toEqual([4]);
    end();
  });

  it('ended cuts the connection of a request that InfluxDB has not answered', async () => {
    const { right, end } = endingRight();
    right.msLeft = 200;
    let [came, answered] = [false, false];
    const store = await scriptedInflux(async () => {
      came = true;
      setTimeout(end, 10);
      await sleep(2_000);
      answered = true;
      return 204;
    });
    await expect(writesWithin(store, right).write([windowRow()], never)).rejects.toMatchObject({ code: 'unreachable' });
    expect([came, answered]).toEqual([true, false]);
  });

  it('ended while a write waited for its turn leaves the DuckDB file as it is', async () => {
    const { right } = endingRight();
    const file = path.join(await resources.directory(), 'store.duckdb');
    const config = storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 }) as DuckdbStoreConfig;
    const store = new DuckdbStore(config, logger);
    await store.connect(never);
    resources.defer(() => store.close());
    const writer = writesWithin(store, right);
    const [first, second] = [windowRow(), windowRow({ sensor: { ...windowRow().sensor, metric: 'other' } })];
    const waiting = [store.write([first], never), writer.write([second], never)];
    // Both have passed the first look; the second has not had its turn.
    right.mayAct = false;
    expect(await waiting[0]).toEqual({ kind: 'written' });
    await expect(waiting[1]).rejects.toMatchObject({ code: 'no-claim' });
    const { sensor, size, start } = second;
    expect((await store.windows({ sensor, size, from: start, to: (start + size) as never, limit: 10 })).items).toEqual(
      [],
    );
  });
});
