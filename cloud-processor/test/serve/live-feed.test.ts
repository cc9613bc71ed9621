import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { durationMs, epochMs, type LiveEvents } from '@floorwatch/contracts';
import { type HttpServer, serveHttp } from '@floorwatch/runtime';
import { afterEach, expect, test } from 'vitest';

import type { ServeOptions } from '../../src/serve/index.ts';
import { serveLimits } from '../../src/serve/limits.ts';
import { anomalyRow, BASE, ID, makeApp, MOVING, reading, sensor, TEMPERATURE } from './floor-fixture.ts';

const servers: HttpServer[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(liveLimits: Partial<NonNullable<ServeOptions['liveLimits']>> = {}) {
  const made = makeApp({ liveLimits: { ...serveLimits, liveGatherMs: durationMs(20), ...liveLimits } });
  const server = await serveHttp(made.app, { host: '127.0.0.1', port: 0 });
  servers.push(server);
  const metric = async (name: string): Promise<number> => {
    const text = await made.metrics.getSingleMetricAsString(`floorwatch_processor_${name}`);
    return Number(/^floorwatch\S+ (\d+)$/m.exec(text)?.[1]);
  };
  return { ...made, metric, url: `http://127.0.0.1:${server.port}/api/v1/live`, port: server.port };
}

type Event = { [K in keyof LiveEvents]: { readonly name: K; readonly data: LiveEvents[K] } }[keyof LiveEvents];

/** Reads events from a real connection. */
async function listen(url: string) {
  const abort = new AbortController();
  const response = await fetch(url, { signal: abort.signal });
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let pending = '';
  const next = async (): Promise<Event> => {
    for (;;) {
      const end = pending.indexOf('\n\n');
      if (end >= 0) {
        const block = pending.slice(0, end);
        pending = pending.slice(end + 2);
        const match = /^event: (\w+)\ndata: (.*)$/.exec(block);
        if (match !== null) return { name: match[1], data: JSON.parse(match[2] ?? '') } as Event;
      } else {
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) throw new Error('the feed ended');
        pending += decoder.decode(chunk.value, { stream: true });
      }
    }
  };
  return { response, next, leave: () => abort.abort() };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it never came true');
}

test('tells changed sensors together, and rollups only of the sensors asked for', async () => {
  const { view, url, metric } = await start();
  const feed = await listen(`${url}?sensor=${encodeURIComponent(ID)}`);
  expect(feed.response.headers.get('content-type')).toBe('text/event-stream');
  expect(feed.response.headers.get('cache-control')).toBe('no-store');
  await until(async () => (await metric('live_clients')) === 1);
  view.heard({ site: 'plant-1', gateway: 'gw-1' }, epochMs(Date.now()));
  view.rollup(TEMPERATURE, '°C', epochMs(BASE), reading(70, BASE), MOVING);
  view.rollup(sensor('pressure'), 'bar', epochMs(BASE), reading(5, BASE), MOVING);
  const sensors = await feed.next();
  expect(sensors).toMatchObject({ name: 'sensors', data: [{ id: ID, last: 70, state: 'normal' }, { last: 5 }] });
  const rollups = await feed.next();
  expect(rollups.name).toBe('rollups');
  expect(rollups.data).toMatchObject([{ id: ID, point: { start: BASE, mean: 70, n: 1 } }]);
  expect(rollups.data).toHaveLength(1);
});

test('tells an episode’s newest word', async () => {
  const { view, url, metric } = await start();
  const feed = await listen(url);
  await until(async () => (await metric('live_clients')) === 1);
  view.anomaly(anomalyRow(1));
  view.anomaly(anomalyRow(1, { phase: 'updated', readings: 7 }));
  const seen: Event[] = [];
  while (!seen.some(({ name }) => name === 'anomaly')) seen.push(await feed.next());
  expect(seen.at(-1)).toMatchObject({ name: 'anomaly', data: { phase: 'updated', readings: 7 } });
});

test('sends a heartbeat when there is nothing else to say', async () => {
  const { url } = await start({ liveHeartbeatMs: durationMs(50) });
  const feed = await listen(url);
  const { name, data } = await feed.next();
  expect(name).toBe('heartbeat');
  expect(Math.abs((data as LiveEvents['heartbeat']).at - Date.now())).toBeLessThan(5_000);
});

test('a client that leaves is forgotten, and another may come', async () => {
  const { url, metric } = await start({ liveClientsMax: 1 });
  const feed = await listen(url);
  const refused = await fetch(url);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('10');
  expect(await metric('live_clients_refused_total')).toBe(1);
  feed.leave();
  await until(async () => (await metric('live_clients')) === 0);
  expect((await listen(url)).response.status).toBe(200);
});

test('a client that does not read is cut and counted, and the others go on', async () => {
  const { view, url, port, metric } = await start({ liveQueueBytesMax: 64 * 1024 });
  const slow = connect(port, '127.0.0.1');
  sockets.push(slow);
  await once(slow, 'connect');
  slow.write('GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  const feed = await listen(url);
  await until(async () => (await metric('live_clients')) === 2);
  slow.pause();
  const closed = once(slow, 'close');
  const heard = (async () => {
    while ((await metric('live_clients_cut_total')) === 0) await feed.next();
  })();
  // Socket buffers of the system hold some megabytes before a writer feels anything.
  for (let round = 0; round < 2_000 && (await metric('live_clients_cut_total')) === 0; round++) {
    for (let i = 0; i < 100; i++) {
      view.rollup(
        sensor(`metric-${i}`),
        'x',
        epochMs(BASE + round * 10_000),
        reading(round, BASE + round * 10_000),
        MOVING,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await metric('live_clients_cut_total')).toBe(1);
  expect(await metric('live_clients')).toBe(1);
  slow.resume();
  await closed;
  const seen: string[] = [];
  view.rollup(sensor('afterwards'), 'x', epochMs(BASE), reading(1, BASE), MOVING);
  await heard;
  while (!seen.includes('afterwards')) {
    const { name, data } = await feed.next();
    if (name === 'sensors') seen.push(...data.map(({ sensor: { metric: of } }) => of));
  }
});

test('an end of the server ends the feeds, so that nothing keeps the program', async () => {
  const { url, metric } = await start();
  const feed = await listen(url);
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await expect(feed.next()).rejects.toThrow(/terminated|ended/);
  await until(async () => (await metric('live_clients')) === 0);
});
