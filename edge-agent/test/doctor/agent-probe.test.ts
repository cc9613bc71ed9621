import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { type HttpServer, serveHttp, takeProcessLock } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { probeAgent } from '../../src/doctor/agent-probe.ts';
import { checkAgent } from '../../src/doctor/checks/agent.ts';
import { judgeReadings } from '../../src/doctor/checks/readings.ts';
import { judgeLane } from '../../src/doctor/checks/spool.ts';
import type { AgentView } from '../../src/status/agent-view.ts';
import { CommitTimes } from '../../src/status/commit-times.ts';
import { createStatusApp } from '../../src/status/status-app.ts';
import { findTroubles } from '../../src/status/troubles.ts';
import { at, healthyView, laneOf } from '../status/views.ts';
import { gatewayConfig, runCheck, stopped } from './gateway.ts';

const resources = resourcesPerTest();
const name = { site: 'Werk 1', gateway: 'halle-7' };

/** The agent's page, with what it would tell. */
async function page(view: Partial<AgentView>, token?: string): Promise<HttpServer> {
  const source = {
    view: () => healthyView({ ...name, ...view }),
    lastRejects: () => [],
    sensors: () => [],
    commitTimes: new CommitTimes(),
  };
  const server = await serveHttp(createStatusApp(source, token), { host: '127.0.0.1', port: 0 });
  resources.defer(async () => server.close());
  return server;
}

describe('doctor: the agent', () => {
  it('is running', async () => {
    const { port } = await page({});
    const { config } = await gatewayConfig(resources, { http: { port } });
    const probe = await probeAgent(config);
    expect(probe).toMatchObject({ state: 'running', address: `http://127.0.0.1:${port}`, status: name });
    expect(probe.state === 'running' && probe.memoryBytes).toBeGreaterThan(10_000_000);
  });

  it('is stopped when nothing is there', async () => {
    expect(await probeAgent((await gatewayConfig(resources)).config)).toMatchObject({ state: 'stopped' });
  });

  it.each([
    ['asks for another token', {}, 'another', /refuses the token/],
    ['is of another gateway', { gateway: 'halle-8' }, 'token', /the agent there is Werk 1\/halle-8, another gateway/],
  ])('is hidden when its page %s', async (_name, view, token, why) => {
    const tokenFile = join(await resources.directory(), 'token');
    await writeFile(tokenFile, 'token', { mode: 0o600 });
    const { port } = await page(view, token);
    const { config } = await gatewayConfig(resources, { http: { port, tokenFile } });
    expect(await probeAgent(config)).toMatchObject({ state: 'hidden', why: expect.stringMatching(why) });
  });

  it('is hidden behind a program that is no agent', async () => {
    const server = createServer((_request, response) => response.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    resources.defer(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { config } = await gatewayConfig(resources, { http: { port } });
    expect(await probeAgent(config)).toMatchObject({
      state: 'hidden',
      why: 'what answers there is no floorwatch agent',
    });
  });

  it('has its troubles told, each with remedy and page', async () => {
    const gateway = await gatewayConfig(resources);
    const view = healthyView({ ...name, nats: { ...healthyView().nats, connected: false, lastError: 'refused' } });
    const status = { ...view, troubles: findTroubles(view), lastRejects: [] };
    const findings = await runCheck(checkAgent, {
      ...gateway,
      agent: { state: 'running', status, address: 'http://there' },
    });
    expect(findings).toMatchObject([
      { severity: 'ok', finding: '0.1.0 has run for 1 h; its page: http://there' },
      { severity: 'warning', runbook: 'nats', finding: expect.stringMatching(/^NATS cannot be reached/) },
    ]);
  });

  it('that holds the data folder and does not answer is critical', async () => {
    const gateway = await gatewayConfig(resources);
    const attempt = await takeProcessLock(gateway.config.storage.dataDir);
    resources.defer(async () => 'lock' in attempt && attempt.lock.release());
    expect(await runCheck(checkAgent, { ...gateway, agent: stopped })).toMatchObject([
      {
        severity: 'critical',
        finding: expect.stringContaining(`something (process ${process.pid}) uses the data folder`),
      },
    ]);
    // It was only asked: it still holds it.
    expect(await takeProcessLock(gateway.config.storage.dataDir)).toEqual({ holder: process.pid });
  });
});

describe('doctor: readings', () => {
  const { readings } = healthyView();
  const judge = (rejected: number, startedAgo = 3_600_000, received = 1_000) =>
    judgeReadings({
      ...healthyView(),
      startedAt: (at - startedAgo) as AgentView['startedAt'],
      readings: {
        ...readings,
        received,
        rejected,
        rejectedByReason: { ...readings.rejectedByReason, 'topic-unknown': rejected },
      },
      lastRejects: [
        { at, reason: 'topic-unknown', remedy: '', topic: 'lamp/on', part: null, excerpt: '', payloadBytes: 1 },
      ],
    });

  it.each([
    [0, ['ok']],
    [9, ['ok', 'notice']],
    [10, ['ok', 'warning']],
  ])('%i rejected of 1000', (rejected, severities) => {
    expect(judge(rejected).map(({ severity }) => severity)).toEqual(severities);
  });

  it('tells which device to look at, and what to do', () => {
    expect(judge(10)[1]).toMatchObject({
      finding: '10 rejected (topic-unknown), the last one on lamp/on',
      remedy: 'no template in "topics" matches; correct the device, or add a template',
    });
  });

  it.each([
    [299_000, 'notice'],
    [301_000, 'warning'],
  ])('none at all after %i ms', (ago, severity) => {
    expect(judge(0, ago, 0)).toMatchObject([{ severity }]);
  });
});

describe('doctor: the spool', () => {
  const lane = (unsentFor: number | null, connected = true) => {
    const oldestUnsentAt = unsentFor === null ? null : ((at - unsentFor) as AgentView['at']);
    const view = healthyView({ nats: { ...healthyView().nats, connected } });
    const telemetry = laneOf({ recordsWaiting: 7, oldestUnsentAt });
    return judgeLane('telemetry', { ...view, lanes: { ...view.lanes, telemetry } }).severity;
  };

  it.each([
    [null, 'ok'],
    [60_000, 'ok'],
    [61_000, 'notice'],
    [3_600_000, 'notice'],
    [3_601_000, 'warning'],
  ])('whose oldest unsent record waits for %j ms', (unsentFor, severity) => {
    expect(lane(unsentFor)).toBe(severity);
  });

  it('is no trouble of its own while NATS is away', () => {
    expect(lane(86_400_000, false)).toBe('notice');
  });
});
