import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { serveLimits } from '../../src/serve/limits.ts';
import { anomalyRow, makeApp, sensor } from './floor-fixture.ts';

let folder: string;
let consoleDir: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floorwatch-console-'));
  consoleDir = join(folder, 'dist');
  await mkdir(join(consoleDir, 'assets'), { recursive: true });
  await writeFile(join(consoleDir, 'index.html'), '<!doctype html><title>page</title>');
  await writeFile(join(consoleDir, 'assets', 'console-ABC.js'), 'export {};');
  await writeFile(join(folder, 'secret.html'), 'not for you');
});

afterAll(() => rm(folder, { recursive: true }));

describe('with a token', () => {
  const paths = ['/api/v1', '/api/v1/sensors', '/api/v1/live', '/api/v1/nothing', '/metrics'];
  const { app } = makeApp({ token: 'right' });

  test.each(paths)('%s is refused without it and with a wrong one', async (path) => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'right' }]) {
      const response = await app.request(path, { headers });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(response.headers.get('cache-control')).toBe('no-store');
    }
    expect((await app.request(`${path}?token=right`)).status).toBe(401);
  });

  test('the right one opens', async () => {
    const response = await app.request('/api/v1/sensors', { headers: { authorization: 'Bearer right' } });
    expect(response.status).toBe(200);
  });

  test('health is told without it, but no more than yes or no', async () => {
    const response = await app.request('/healthz');
    expect(await response.json()).toEqual({ ok: true });
  });

  test('the page is served without it, under any host name', async () => {
    const { app: page } = makeApp({ token: 'right', consoleDir });
    expect((await page.request('http://floor.example/')).status).toBe(200);
  });
});

describe('without a token', () => {
  test.each([
    ['http://127.0.0.1:8080/api/v1', 200],
    ['http://localhost/api/v1', 200],
    ['http://[::1]:8080/api/v1', 200],
    ['http://evil.example/api/v1', 403],
    ['http://127.0.0.1.evil.example/', 403],
    ['http://192.168.1.5:8080/metrics', 403],
  ])('%s is answered with %i: a foreign name could be another page’s', async (url, status) => {
    const { app } = makeApp({ consoleDir });
    expect((await app.request(url)).status).toBe(status);
  });

  test('health tells the parts, and 503 when something is wrong', async () => {
    const { app } = makeApp({ health: () => ({ ok: false, parts: { nats: 'reconnecting' } }) });
    const response = await app.request('/healthz');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ok: false, parts: { nats: 'reconnecting' } });
  });

  test('health tells whose sensors are not shown, which is no reason to start anew', async () => {
    const { app, view } = makeApp({ health: () => ({ ok: true, parts: { nats: 'ok' } }) });
    for (let i = 0; i <= (2 * serveLimits.sensorsMax) / 3 + 1; i++) {
      view.anomaly(anomalyRow(1, { phase: 'closed', sensor: sensor(`m${i}`) }));
    }
    const response = await app.request('/healthz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      ok: true,
      parts: { nats: 'ok', page: expect.stringContaining('sensors of plant-1/gw-1 are not shown') as string },
    });
    expect(await (await app.request('/metrics')).text()).toContain('floorwatch_processor_floor_gateways_cut 1');
  });
});

test('metrics hold those of this stage', async () => {
  const { app } = makeApp();
  const text = await (await app.request('/metrics')).text();
  expect(text).toContain('floorwatch_processor_floor_sensors 0');
  expect(text).toContain('floorwatch_processor_live_clients_cut_total 0');
});

test('every answer carries the headers that keep the page to itself', async () => {
  const { app } = makeApp({ consoleDir });
  for (const path of ['/', '/api/v1', '/nothing']) {
    const { headers } = await app.request(path);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  }
});

describe('the console’s files', () => {
  test('the page is asked for again each time, and answered with 304 while it is the same', async () => {
    const { app } = makeApp({ consoleDir });
    const first = await app.request('/');
    expect(first.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(first.headers.get('cache-control')).toBe('no-cache');
    expect(await first.text()).toContain('<title>page');
    const etag = first.headers.get('etag') ?? '';
    const again = await app.request('/index.html', { headers: { 'if-none-match': `"x", W/${etag}` } });
    expect(again.status).toBe(304);
    expect(again.headers.get('content-security-policy')).not.toBeNull();
    expect((await app.request('/', { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
  });

  test('what carries its hash in its name is kept for ever', async () => {
    const { app } = makeApp({ consoleDir });
    const response = await app.request('/assets/console-ABC.js');
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  });

  test.each([
    '/../secret.html',
    '/..%2fsecret.html',
    '/assets/..%2f..%2fsecret.html',
    '/%2e%2e/secret.html',
    '/assets',
  ])('%s leads nowhere', async (path) => {
    const { app } = makeApp({ consoleDir });
    expect((await app.request(path)).status).toBe(404);
  });

  test('a page that was not built says so', async () => {
    const response = await makeApp().app.request('/');
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('npm run build');
  });

  test('an address that the API does not have says so, as JSON', async () => {
    const response = await makeApp({ consoleDir }).app.request('/api/v1/nothing');
    expect(response.status).toBe(404);
    expect(await response.json()).toHaveProperty('error');
    expect((await makeApp().app.request('/api/v1/sensors', { method: 'DELETE' })).status).toBe(405);
  });
});
