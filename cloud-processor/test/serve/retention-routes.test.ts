import type { AddressInfo } from 'node:net';

import { epochMs } from '@floorwatch/contracts';
import { serveHttp } from '@floorwatch/runtime';
import { expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { processorConfigSchema } from '../../src/config.ts';
import { agreeRetention, showRetention } from '../../src/write/retention-command.ts';
import type { RetentionStatus } from '@floorwatch/contracts/api';
import type { StoreRetention } from '../../src/write/store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { makeApp } from './floor-fixture.ts';

const resources = resourcesPerTest();
const TOO_OLD = Date.parse('2026-03-01T00:00:00Z');

/** A store of which months are due. */
class Desk implements StoreRetention {
  agreedBefore: number | null = null;

  status(): RetentionStatus {
    return {
      keptMs: 365 * 86_400_000,
      tooOldBefore: epochMs(TOO_OLD),
      oldest: epochMs(TOO_OLD - 90 * 86_400_000),
      dueMs: 90 * 86_400_000,
      waits: this.agreedBefore === null,
      agreedBefore: this.agreedBefore === null ? null : epochMs(this.agreedBefore),
      deleted: 0,
    };
  }

  async agree(before: number): Promise<void> {
    this.agreedBefore = before;
  }
}

const appOf = (retention?: StoreRetention) =>
  makeApp({ store: Object.assign(new MemoryStore(), retention === undefined ? {} : { retention }) }).app;

it('tells what waits for a person, and takes the agreement', async () => {
  const desk = new Desk();
  const app = appOf(desk);
  expect(await (await app.request('/api/v1/retention')).json()).toMatchObject({ waits: true, agreedBefore: null });
  const agreed = await app.request('/api/v1/retention/agree?before=2026-02-01T00:00:00Z', { method: 'POST' });
  expect([agreed.status, await agreed.json()]).toMatchObject([
    200,
    { waits: false, agreedBefore: Date.parse('2026-02-01T00:00:00Z') },
  ]);
});

it.each(['', '?before=soon', `?before=${TOO_OLD + 1}`, '?before=2099-01-01'])(
  'takes no agreement to "%s"',
  async (query) => {
    const desk = new Desk();
    const answer = await appOf(desk).request(`/api/v1/retention/agree${query}`, { method: 'POST' });
    expect([answer.status, await answer.json()]).toMatchObject([400, { field: 'before' }]);
    expect(desk.agreedBefore).toBeNull();
  },
);

it('takes no agreement from a page', async () => {
  const headers = { origin: 'http://127.0.0.1:8080', 'sec-fetch-site': 'same-origin' };
  const desk = new Desk();
  const answer = await appOf(desk).request('/api/v1/retention/agree?before=1', { method: 'POST', headers });
  expect([answer.status, desk.agreedBefore]).toEqual([403, null]);
});

it('says that InfluxDB deletes by itself', async () => {
  for (const [path, method] of [
    ['', 'GET'],
    ['/agree?before=1', 'POST'],
  ] as const) {
    const answer = await appOf().request(`/api/v1/retention${path}`, { method });
    expect(answer.status).toBe(501);
  }
});

it('is a command too: exit code 1 while it waits, and what it prints says so', async () => {
  const desk = new Desk();
  const server = await serveHttp(appOf(desk), processorConfigSchema.parse(CONFIG).http);
  resources.defer(async () => server.close());
  const config = processorConfigSchema.parse({
    ...CONFIG,
    http: { port: server.port } satisfies { port: AddressInfo['port'] },
  });
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  resources.defer(() => write.mockRestore());
  expect(await showRetention(config, false)).toBe(1);
  expect(printed.join('')).toContain('WAITING: rows of 90 days are due');
  expect(await agreeRetention(config, '2026-03-01T00:00:00Z', false)).toBe(0);
  expect(await showRetention(config, true)).toBe(0);
  expect(desk.agreedBefore).toBe(TOO_OLD);
  await expect(agreeRetention(config, '2027-01-01', false)).rejects.toThrow('later than rows are too old');
  await expect(agreeRetention(config, 'soon', false)).rejects.toThrow('--before');
});

const CONFIG = { dataDir: 'not used', store: { kind: 'duckdb', file: 'not used' }, http: { port: 0 } };
