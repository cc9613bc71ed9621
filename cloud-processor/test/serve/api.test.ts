import { durationMs, epochMs, type Page } from '@floorwatch/contracts';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { FloorView } from '../../src/serve/index.ts';
import { type Store, StoreError } from '../../src/write/store.ts';
import {
  anomalyRow,
  BASE,
  ID,
  makeApp,
  makeStore,
  MOVING,
  openWindow,
  reading,
  sensor,
  windowRow,
  tellRollup,
} from './floor-fixture.ts';

const SENSOR = `sensor=${encodeURIComponent(ID)}`;
const MINUTE = 60_000;

interface Failure {
  readonly error: string;
  readonly field: string;
  readonly value: string;
  readonly remedy: string;
}

async function get(app: Hono, path: string): Promise<{ status: number; body: unknown }> {
  const response = await app.request(`/api/v1${path}`);
  return { status: response.status, body: await response.json() };
}

/** Reads a list to its end, page by page. */
async function all<T>(app: Hono, path: string): Promise<T[]> {
  const items: T[] = [];
  let after = '';
  for (let pages = 0; pages < 50; pages++) {
    const { status, body: answer } = await get(app, `${path}${after}`);
    expect(status).toBe(200);
    const body = answer as Page<T>;
    items.push(...body.items);
    if (body.next === null) return items;
    after = `&after=${encodeURIComponent(body.next)}`;
  }
  throw new Error('the list does not end');
}

const rejectWith = (fault: Error) => (): Promise<never> => Promise.reject(fault);

let store: Store;
let remove: () => Promise<void>;
let app: Hono;
let view: FloorView;
/** Windows 0 to 9 are sealed, 9 to 11 open: one is in both, as between two questions. */
const open = [9, 10, 11].map((i) => openWindow(BASE + i * MINUTE, 1_000 + i));

beforeAll(async () => {
  ({ store, remove } = await makeStore());
  const windows = Array.from({ length: 10 }, (_, i) => windowRow(BASE + i * MINUTE, i));
  const anomalies = Array.from({ length: 12 }, (_, i) =>
    anomalyRow(i, i % 3 === 0 ? { severity: 'critical' } : { phase: 'closed', closeReason: 'recovered' }),
  );
  await store.write([...windows, ...anomalies], AbortSignal.timeout(10_000));
  view = new FloorView({ silentAfterMs: durationMs(MINUTE), now: () => BASE });
  view.heard({ site: 'plant-1', gateway: 'gw-1' }, epochMs(BASE));
  for (const metric of ['temperature', 'pressure', 'flow']) {
    for (let i = 0; i < 5; i++) {
      const at = BASE + i * 10_000;
      tellRollup(view, sensor(metric), 'x', at, reading(i, at));
    }
  }
  ({ app } = makeApp({ store, view, openWindows: { openWindows: () => open } }));
});

afterAll(() => remove());

test('says what it is', async () => {
  const { body } = await get(app, '');
  expect(body).toMatchObject({ name: 'floorwatch', windowSizes: ['1m', '15m', '1h'], silentAfterMs: MINUTE });
  expect(body).toMatchObject({ health: { ok: true, parts: { store: 'ok' } } });
});

test('sites tell their gateways', async () => {
  const { body } = await get(app, '/sites');
  expect(body).toMatchObject({
    items: [{ site: 'plant-1', gateways: [{ gateway: 'gw-1', heardAt: BASE, sensors: 3, report: null }] }],
    next: null,
  });
});

describe('sensors', () => {
  test.each([1, 2, 3, 4])('pages of %i give every sensor once, in order', async (limit) => {
    const found = await all<{ id: string }>(app, `/sensors?limit=${limit}`);
    expect(found.map(({ id }) => id)).toEqual(
      ['flow', 'pressure', 'temperature'].map((m) => `plant-1/gw-1/press-1/${m}`),
    );
  });

  test('can be asked for by name, search and state', async () => {
    expect(await all(app, `/sensors?${SENSOR}`)).toHaveLength(1);
    expect(await all(app, '/sensors?search=FLOW')).toMatchObject([{ state: 'normal', last: 4, openAnomalies: 0 }]);
    expect(await all(app, '/sensors?state=critical')).toEqual([]);
  });
});

describe('rollups', () => {
  test.each([1, 2, 5, 6])('pages of %i give every point once, in order', async (limit) => {
    const points = await all<{ start: number }>(app, `/rollups?${SENSOR}&limit=${limit}`);
    expect(points.map(({ start }) => start)).toEqual([0, 1, 2, 3, 4].map((i) => BASE + i * 10_000));
  });

  test('from counts, to does not', async () => {
    const points = await all(app, `/rollups?${SENSOR}&from=${BASE + 10_000}&to=${BASE + 30_000}`);
    expect(points).toMatchObject([{ mean: 1, n: 1, moving: MOVING }, { mean: 2 }]);
  });

  test('an unknown sensor has none', async () => {
    expect(await all(app, '/rollups?sensor=a/b/c/d')).toEqual([]);
  });
});

test('sparklines answer for every sensor asked for, known or not', async () => {
  const { body } = await get(app, `/sparklines?${SENSOR}&sensor=a/b/c/d&points=2`);
  const at = [BASE + 30_000, BASE + 40_000];
  expect(body).toEqual({
    items: [
      { id: ID, at, last: [3, 4] },
      { id: 'a/b/c/d', at: [], last: [] },
    ],
    next: null,
  });
});

describe('windows', () => {
  test.each([1, 2, 3, 9, 10, 11, 12, 13])('pages of %i give sealed and open ones once, in order', async (limit) => {
    const found = await all<{ start: number; open: boolean; mean: number }>(
      app,
      `/windows?${SENSOR}&size=1m&limit=${limit}`,
    );
    expect(found.map(({ start }) => (start - BASE) / MINUTE)).toEqual([...Array.from({ length: 12 }).keys()]);
    expect(found.map(({ open: isOpen }) => isOpen)).toEqual(Array.from({ length: 12 }, (_, i) => i >= 10));
    expect(found.map(({ mean }) => mean)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1_010, 1_011]);
  });

  test('times are epoch milliseconds or ISO 8601', async () => {
    const iso = new Date(BASE + 2 * MINUTE).toISOString();
    const found = await all(app, `/windows?${SENSOR}&size=1m&from=${iso}&to=${BASE + 4 * MINUTE}`);
    expect(found).toMatchObject([
      {
        size: '1m',
        start: BASE + 2 * MINUTE,
        end: BASE + 3 * MINUTE,
        n: 1,
        mean: 2,
        sd: 0,
        revision: 0,
        incomplete: false,
        hash: '0123456789abcdef',
      },
      { start: BASE + 3 * MINUTE },
    ]);
  });
});

describe('anomalies', () => {
  test.each([1, 5, 12])('pages of %i give every episode once, the latest opened first', async (limit) => {
    const found = await all<{ id: string }>(app, `/anomalies?limit=${limit}`);
    expect(found.map(({ id }) => Number.parseInt(id, 16))).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  });

  test('can be filtered', async () => {
    expect(await all(app, '/anomalies?open=true')).toHaveLength(4);
    expect(await all(app, '/anomalies?severity=warning')).toHaveLength(8);
    expect(await all(app, '/anomalies?sensor=a/b/c/d')).toEqual([]);
    expect(await all(app, `/anomalies?from=${BASE + 2_000}&to=${BASE + 4_000}`)).toHaveLength(2);
  });
});

describe('a wrong parameter is answered with 400, the field, the value and a remedy', () => {
  test.each([
    ['/sensors?limit=0', 'limit', '0'],
    ['/sensors?limit=5001', 'limit', '5001'],
    ['/sensors?limit=ten', 'limit', 'ten'],
    ['/sensors?limit=1&limit=2', 'limit', '1, 2'],
    ['/sensors?state=broken', 'state', 'broken'],
    ['/sensors?after=x', 'after', 'x'],
    ['/sensors?search=', 'search', ''],
    ['/sensors?colour=red', 'colour', 'red'],
    ['/rollups', 'sensor', ''],
    ['/rollups?sensor=a/b/c', 'sensor', 'a/b/c'],
    ['/rollups?sensor=a/b/c/%23', 'sensor', 'a/b/c/#'],
    [`/rollups?${SENSOR}&from=yesterday`, 'from', 'yesterday'],
    [`/rollups?${SENSOR}&from=2026-03-02T08:00:00`, 'from', '2026-03-02T08:00:00'],
    [`/rollups?${SENSOR}&from=99999999999999999`, 'from', '99999999999999999'],
    [`/rollups?${SENSOR}&from=9999999999999999`, 'from', '9999999999999999'],
    [`/rollups?${SENSOR}&from=5&to=5`, 'from', '5'],
    ['/sparklines', 'sensor', ''],
    [`/sparklines?${SENSOR}&points=181`, 'points', '181'],
    [`/windows?${SENSOR}`, 'size', ''],
    [`/windows?${SENSOR}&size=2m`, 'size', '2m'],
    ['/anomalies?open=yes', 'open', 'yes'],
    ['/anomalies?severity=fatal', 'severity', 'fatal'],
    ['/anomalies?after=nonsense', 'after', 'nonsense'],
    ['/live?sensor=x', 'sensor', 'x'],
    ['/processor?verbose=1', 'verbose', '1'],
  ])('%s', async (path, field, value) => {
    const { status, body: answer } = await get(app, path);
    const body = answer as Failure;
    expect(status).toBe(400);
    expect(body).toMatchObject({ field, value });
    expect(body.error).toContain(field);
    expect(body.remedy.length).toBeGreaterThan(8);
  });

  test('a long value is not repeated in full', async () => {
    const { body } = await get(app, `/sensors?search=${'x'.repeat(3_000)}`);
    expect((body as Failure).value).toBe(`${'x'.repeat(100)}…`);
  });

  test('too many sensors at once', async () => {
    const { status, body } = await get(app, `/sparklines?${`${SENSOR}&`.repeat(101)}`);
    expect(status).toBe(400);
    expect((body as Failure).remedy).toContain('100');
  });
});

describe('when the store is in trouble', () => {
  const failing = (error: Error) =>
    makeApp({
      store: { windows: rejectWith(error), windowsByTime: rejectWith(error), anomalies: rejectWith(error) },
    });

  test('its absence is 503 with the time to wait, and live values go on', async () => {
    const { app: broken } = failing(
      new StoreError('unreachable', 'connect ECONNREFUSED 10.0.0.5', { retryAfterMs: 2_500 }),
    );
    const response = await broken.request('/api/v1/anomalies');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('3');
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'unreachable' });
    expect(text).not.toContain('10.0.0.5');
    expect((await broken.request('/api/v1/sensors')).status).toBe(200);
  });

  test('an unforeseen error shows nothing of itself', async () => {
    const response = await failing(new Error('secret path')).app.request(`/api/v1/windows?${SENSOR}&size=1m`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
  });

  test('more questions than it should answer at once are refused, not queued', async () => {
    let answer = (): void => {};
    const wait = new Promise<Page<never>>((resolve) => (answer = () => resolve({ items: [], next: null })));
    const { app: busy } = makeApp({
      store: { windows: () => wait, windowsByTime: () => wait, anomalies: () => wait },
    });
    const asked = Array.from({ length: 10 }, () => Promise.resolve(busy.request('/api/v1/anomalies')));
    await new Promise((resolve) => setTimeout(resolve, 20));
    answer();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(8);
    expect(statuses.filter((status) => status === 503)).toHaveLength(2);
    expect((await busy.request('/api/v1/anomalies')).status).toBe(200);
  });
});
