import { describe, expect, it } from 'vitest';

import type { AgentSource, AgentView } from '../../src/status/agent-view.ts';
import { CommitTimes } from '../../src/status/commit-times.ts';
import { createStatusApp } from '../../src/status/status-app.ts';

const source: AgentSource = {
  view: () => ({ troubles: [{ what: 'the broker is ill', remedy: 'cure it' }] }) as unknown as AgentView,
  lastRejects: () => [],
  sensors: () => [],
  commitTimes: new CommitTimes(),
};
const PATHS = ['/healthz', '/metrics', '/status', '/sensors', '/quarantine', '/elsewhere'];

describe('the page of an agent without a token', () => {
  const app = createStatusApp(source, undefined);

  it.each([
    'evil.example',
    '127.0.0.1.evil.example',
    '192.168.1.5:9464',
    '0.0.0.0:9464',
    'localhost.evil.example:9464',
  ])('answers nothing to a page that calls this machine %s (DNS rebinding)', async (host) => {
    for (const path of PATHS) {
      const response = await app.request(path, { headers: { host } });
      expect([path, response.status]).toEqual([path, 403]);
      expect(await response.text()).not.toContain('the broker is ill');
    }
  });

  it.each(['127.0.0.1:9464', 'localhost:9464', '[::1]:9464', 'localhost'])('answers %s', async (host) => {
    expect(await (await app.request('/healthz', { headers: { host } })).json()).toEqual({
      status: 'degraded',
      troubles: ['the broker is ill; cure it'],
    });
    expect((await app.request('/sensors', { headers: { host } })).status).toBe(200);
  });
});

describe('the page of an agent with a token', () => {
  it('answers under any name, and says without the token only whether all is well', async () => {
    const app = createStatusApp(source, 'secret');
    const headers = { host: 'gateway.plant.example' };
    expect(await (await app.request('/healthz', { headers })).json()).toEqual({ status: 'degraded' });
    expect((await app.request('/sensors', { headers })).status).toBe(401);
    const authorization = 'Bearer secret';
    expect((await app.request('/sensors', { headers: { ...headers, authorization } })).status).toBe(200);
  });
});
