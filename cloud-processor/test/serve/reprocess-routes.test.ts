import { expect, it } from 'vitest';

import { noCounts, type ReprocessRequest, type ReprocessStatus } from '../../src/reprocess/reprocess-state.ts';
import { makeApp } from './floor-fixture.ts';

/** A run that somebody has asked for, and how the next request for one is answered. */
class Desk {
  readonly asked: ReprocessRequest[] = [];
  outcome: 'started' | 'busy' | 'not-now' = 'started';

  start(request: ReprocessRequest): Desk['outcome'] {
    if (this.outcome === 'started') this.asked.push(request);
    return this.outcome;
  }

  get status(): ReprocessStatus | undefined {
    const request = this.asked.at(-1);
    if (request === undefined) return undefined;
    const partitions = { done: 0, total: 16 };
    const facts = { state: 'running', startedAt: 1, endedAt: null, partitions, now: null } as const;
    return { ...request, ...facts, counts: noCounts(), gateways: [], problems: [] };
  }

  async stop(): Promise<boolean> {
    return this.asked.length > 0;
  }
}

const BEGIN = '/api/v1/reprocess?from=2026-03-01T00:00:00Z&to=1772438400000';

it('begins a run, tells of it and stops it', async () => {
  const reprocessor = new Desk();
  const { app } = makeApp({ reprocessor });
  expect((await app.request('/api/v1/reprocess')).status).toBe(404);
  const begun = await app.request(`${BEGIN}&dryRun=true`, { method: 'POST' });
  expect(begun.status).toBe(202);
  expect(await begun.json()).toMatchObject({ state: 'running', dryRun: true });
  const range = { from: Date.parse('2026-03-01T00:00:00Z'), to: 1_772_438_400_000 };
  expect(reprocessor.asked).toEqual([{ ...range, dryRun: true }]);
  expect((await app.request('/api/v1/reprocess')).status).toBe(200);
  expect((await app.request('/api/v1/reprocess', { method: 'DELETE' })).status).toBe(200);
});

it.each([
  ['busy', 409],
  ['not-now', 503],
] as const)('says so when it is %s', async (outcome, status) => {
  const reprocessor = new Desk();
  reprocessor.outcome = outcome;
  const response = await makeApp({ reprocessor }).app.request(BEGIN, { method: 'POST' });
  expect(response.status).toBe(status);
});

it.each([
  ['?to=5', 'from'],
  ['?from=5', 'to'],
  ['?from=5&to=5', 'from'],
  ['?from=1&to=5&dryRun=yes', 'dryRun'],
])('refuses %s and names the field', async (query, field) => {
  const reprocessor = new Desk();
  const response = await makeApp({ reprocessor }).app.request(`/api/v1/reprocess${query}`, { method: 'POST' });
  expect([response.status, await response.json()]).toMatchObject([400, { field }]);
  expect(reprocessor.asked).toEqual([]);
});

it('is nothing for pages, nor for anybody without the token', async () => {
  const reprocessor = new Desk();
  const headers = { origin: 'http://127.0.0.1:8080' };
  const { app } = makeApp({ reprocessor });
  for (const method of ['POST', 'DELETE']) expect((await app.request(BEGIN, { method, headers })).status).toBe(403);
  const guarded = makeApp({ reprocessor, token: 'secret' }).app;
  for (const method of ['POST', 'GET', 'DELETE']) expect((await guarded.request(BEGIN, { method })).status).toBe(401);
  expect(reprocessor.asked).toEqual([]);
});
