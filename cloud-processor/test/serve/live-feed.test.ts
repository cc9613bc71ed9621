import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { durationMs, epochMs, type LiveEvents } from '@floorwatch/contracts';
import { type HttpServer, serveHttp } from '@floorwatch/runtime';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { FloorView } from '../../src/serve/floor-view.ts';
import type { ServeOptions } from '../../src/serve/index.ts';
import { LiveFeed } from '../../src/serve/live-feed.ts';
import { serveLimits } from '../../src/serve/limits.ts';
import { anomalyRow, BASE, ID, makeApp, reading, sensor, TEMPERATURE, tellRollup } from './floor-fixture.ts';

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

type Event = {
  [K in keyof LiveEvents]: { readonly name: K; readonly data: LiveEvents[K]; readonly id: string | undefined };
}[keyof LiveEvents];

/** Reads events from a real connection. */
async function listen(url: string, lastEventId?: string) {
  const abort = new AbortController();
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const response = await fetch(url, { signal: abort.signal, headers });
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let pending = '';
  /** As a browser keeps it. */
  let newestId: string | undefined;
  const next = async (): Promise<Event> => {
    for (;;) {
      const end = pending.indexOf('\n\n');
      if (end >= 0) {
        const block = pending.slice(0, end);
        pending = pending.slice(end + 2);
        newestId = /^id: (.*)$/m.exec(block)?.[1] ?? newestId;
        const match = /^(?:id: (.*)\n)?event: (\w+)\ndata: (.*)$/.exec(block);
        if (match !== null) return { name: match[2], data: JSON.parse(match[3] ?? ''), id: match[1] } as Event;
      } else {
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) throw new Error('the feed ended');
        pending += decoder.decode(chunk.value, { stream: true });
      }
    }
  };
  /** The next event that is not about sensors. */
  const nextEpisode = async (): Promise<Event> => {
    for (;;) {
      const event = await next();
      if (event.name !== 'sensors' && event.name !== 'heartbeat') return event;
    }
  };
  return { response, next, nextEpisode, lastEventId: () => newestId, leave: () => abort.abort() };
}

/** Waits until the feed has taken what waits. */
const gathered = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150));

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
  tellRollup(view, TEMPERATURE, '°C', BASE, reading(70, BASE));
  tellRollup(view, sensor('pressure'), 'bar', BASE, reading(5, BASE));
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
  const before = Date.now();
  const feed = await listen(url);
  const { name, data } = await feed.next();
  expect(name).toBe('heartbeat');
  const { at } = data as LiveEvents['heartbeat'];
  expect([before <= at, at <= Date.now()]).toEqual([true, true]);
});

test('a client that leaves is forgotten', async () => {
  const { url, metric } = await start();
  const feed = await listen(url);
  await until(async () => (await metric('live_clients')) === 1);
  feed.leave();
  await vi.waitFor(async () => expect(await metric('live_clients')).toBe(0), { timeout: 5_000 });
});

test('clients that are silent shut nobody out: the one that is there for longest goes', async () => {
  const { view, url, metric } = await start({ liveClientsMax: 4, liveClientsPerAddressMax: 3 });
  const silent = [await listen(url), await listen(url), await listen(url), await listen(url)];
  await expect(silent[0]!.next()).rejects.toThrow(/terminated|ended/);
  const feed = await listen(url);
  expect(feed.response.status).toBe(200);
  await expect(silent[1]!.next()).rejects.toThrow(/terminated|ended/);
  expect(await metric('live_clients')).toBe(3);
  expect(await metric('live_clients_displaced_total')).toBe(2);
  view.anomaly(anomalyRow(1));
  for (const one of [feed, silent[2]!, silent[3]!]) expect((await one.nextEpisode()).name).toBe('anomaly');
});

describe('a full feed', () => {
  const LIMITS = { ...serveLimits, liveClientsMax: 4, liveClientsPerAddressMax: 3 };
  function fill(...addresses: readonly string[]) {
    const cut: string[] = [];
    const feed = new LiveFeed({ view: new FloorView({ silentAfterMs: durationMs(1_000) }), limits: LIMITS });
    const opened = addresses.map((address, index) =>
      feed.open({ sensors: [], lastEventId: undefined, address, hangUp: () => cut.push(`${address} ${index}`) }),
    );
    for (const stream of opened) ends.push(async () => stream.cancel());
    return { cut, counts: feed.counts() };
  }
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(ends.splice(0).map(async (end) => end()));
  });

  test('makes room at the address that has the most', () => {
    expect(fill('a', 'b', 'a', 'a', 'c')).toMatchObject({ cut: ['a 0'], counts: { clients: 4, displaced: 1 } });
  });

  test('lets one address have its share and not more', () => {
    expect(fill('a', 'a', 'a')).toMatchObject({ cut: [], counts: { clients: 3, displaced: 0 } });
    expect(fill('b', 'a', 'a', 'a', 'a')).toMatchObject({ cut: ['a 1'], counts: { clients: 4, displaced: 1 } });
  });
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
      const bucket = BASE + round * 10_000;
      tellRollup(view, sensor(`metric-${i}`), 'x', bucket, reading(round, bucket));
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await metric('live_clients_cut_total')).toBe(1);
  expect(await metric('live_clients')).toBe(1);
  slow.resume();
  await closed;
  const seen: string[] = [];
  tellRollup(view, sensor('afterwards'), 'x', BASE, reading(1, BASE));
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

describe('a client that comes back', () => {
  const numberOf = ({ name, data }: Event): number => {
    if (name !== 'anomaly') throw new Error(`${name} is no anomaly`);
    return Number.parseInt(data.id, 16);
  };

  test('gets the newest word of every episode that it missed, in order, and then what happens', async () => {
    const { view, url, metric } = await start();
    const first = await listen(url);
    await until(async () => (await metric('live_clients')) === 1);
    view.anomaly(anomalyRow(1));
    const seen = await first.nextEpisode();
    expect(seen.id).toMatch(/^[0-9a-f]{8}-1$/);
    first.leave();
    await until(async () => (await metric('live_clients')) === 0);
    view.anomaly(anomalyRow(2));
    await gathered();
    view.anomaly(anomalyRow(3));
    view.anomaly(anomalyRow(2, { phase: 'closed' }));
    await gathered();
    const again = await listen(url, seen.id);
    const missed = [await again.nextEpisode(), await again.nextEpisode()];
    expect(missed.map(numberOf)).toEqual([3, 2]);
    expect(missed[1]?.data).toMatchObject({ phase: 'closed' });
    view.anomaly(anomalyRow(4));
    expect(numberOf(await again.nextEpisode())).toBe(4);
    expect(await metric('live_clients_resumed_total')).toBe(1);
    expect(await metric('live_resets_total')).toBe(0);
  });

  test('goes on from the id of its greeting if nothing had happened before it left', async () => {
    const { view, url, metric } = await start();
    const first = await listen(url);
    tellRollup(view, TEMPERATURE, '°C', BASE, reading(70, BASE));
    await first.next();
    const id = first.lastEventId();
    first.leave();
    await until(async () => (await metric('live_clients')) === 0);
    view.anomaly(anomalyRow(1));
    await gathered();
    const again = await listen(url, id);
    expect(numberOf(await again.nextEpisode())).toBe(1);
  });

  test.each([
    ['restarted', () => '00000000-1'],
    ['unknown-id', () => 'nonsense'],
    ['unknown-id', (run: string) => `${run}-99`],
  ])('is told to read everything anew where its id is of another time: %s', async (reason, idOf) => {
    const { view, url } = await start();
    const first = await listen(url);
    view.anomaly(anomalyRow(1));
    const run = (await first.nextEpisode()).id?.split('-')[0] ?? '';
    const again = await listen(url, idOf(run));
    const reset = await again.nextEpisode();
    expect(reset).toMatchObject({ name: 'reset', data: { reason }, id: `${run}-1` });
  });

  test('is told so where more has changed than is remembered, and not where exactly so much has', async () => {
    const { view, url, metric } = await start({ liveMemoryBytesMax: 3_500 });
    const first = await listen(url);
    view.anomaly(anomalyRow(1));
    const id = (await first.nextEpisode()).id ?? '';
    const run = id.split('-')[0];
    first.leave();
    for (let i = 2; i <= 20; i++) view.anomaly(anomalyRow(i));
    await gathered();
    const remembered = await metric('live_remembered_anomalies');
    expect(remembered).toBeGreaterThan(1);
    expect(remembered).toBeLessThan(10);
    const tooFar = await listen(url, `${run}-${20 - remembered - 1}`);
    expect(await tooFar.nextEpisode()).toMatchObject({ name: 'reset', data: { reason: 'forgotten' } });
    const justEnough = await listen(url, `${run}-${20 - remembered}`);
    expect(numberOf(await justEnough.nextEpisode())).toBe(20 - remembered + 1);
  });

  test('and everybody else is told so when a storm was cut short, once for a while', async () => {
    const { view, url, metric } = await start();
    const feed = await listen(url);
    await until(async () => (await metric('live_clients')) === 1);
    for (let i = 1; i <= serveLimits.liveAnomaliesMax + 5; i++) view.anomaly(anomalyRow(i));
    let last: Event;
    let resets = 0;
    do {
      last = await feed.nextEpisode();
      if (last.name === 'reset') resets += 1;
    } while (last.name !== 'reset');
    expect(last.data).toEqual({ reason: 'left-out' });
    expect(resets).toBe(1);
    expect(await metric('live_anomalies_left_out_total')).toBe(5);
    const early = await listen(url, last.id?.replace(/-.*/, '-0'));
    expect(await early.nextEpisode()).toMatchObject({ name: 'reset', data: { reason: 'forgotten' } });
    // What was not left out may come before or after that word.
    const upToDate = await listen(url, last.id);
    view.anomaly(anomalyRow(5_000));
    while (numberOf(await upToDate.nextEpisode()) !== 5_000);
  });
});
