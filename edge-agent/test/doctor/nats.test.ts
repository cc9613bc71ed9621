import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import {
  encodeFloorMessage,
  FLOOR_VERSION,
  type FloorMessage,
  floorSubject,
  INGEST_STREAM,
} from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import type { AgentProbe } from '../../src/doctor/agent-probe.ts';
import { checkNats } from '../../src/doctor/checks/nats.ts';
import { checkProcessor, judgeFloors } from '../../src/doctor/checks/processor.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { healthyView } from '../status/views.ts';
import { createStream } from '../support/agent.ts';
import { gatewayConfig, runCheck, type Written } from './gateway.ts';

const resources = resourcesPerTest();
const SECRET = 'agent-token-000';
const admin = { user: 'admin', pass: 'secret' };

/** A server where this gateway's user has the given rights. */
const users = (permissions: string): string => `
  authorization { users: [
    { user: agent, password: unused, permissions: { ${permissions} } }
    { user: admin, password: secret }
  ] }
  no_auth_user: agent`;

/** What the documentation says that a gateway needs. */
const NEEDED = `
  publish: { allow: ["ingest.v1.*.Werk%201.halle-7.*"] }
  subscribe: { allow: ["floor.v1.Werk%201.halle-7", "_INBOX.>"] }`;

async function check(url: string, nats: Written = {}): Promise<readonly Finding[]> {
  return runCheck(checkNats, await gatewayConfig(resources, { nats: { servers: [url], ...nats } }));
}

const wordsOf = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, finding }) => `${severity}: ${finding}`);

async function messagesIn(url: string): Promise<number> {
  const connection = await connect({ servers: url, ...admin });
  const manager = await jetstreamManager(connection);
  const { state } = await manager.streams.info(INGEST_STREAM.name);
  await connection.close();
  return state.messages;
}

describe('doctor: NATS', () => {
  it('finds all in order with no more rights than the page says, and leaves nothing in the stream', async () => {
    const nats = await resources.nats({ configuration: users(NEEDED) });
    await createStream(nats.url, admin);
    expect(wordsOf(await check(nats.url))).toEqual([
      expect.stringMatching(/^ok: nats:\/\/127\.0\.0\.1:\d+: connected to nats-server \S+, \S+ ms there and back$/),
      'ok: this user may publish both lanes and hear floor.v1.Werk%201.halle-7',
      'ok: the limits of the stream INGEST are not for this user to see',
    ]);
    expect(await messagesIn(nats.url)).toBe(0);
  });

  it('names each right that is missing', async () => {
    const nats = await resources.nats({
      configuration: users('publish: { deny: "ingest.v1.*.*.*.telemetry" }, subscribe: { deny: "floor.>" }'),
    });
    await createStream(nats.url, admin);
    const findings = (await check(nats.url)).filter(({ severity }) => severity === 'critical');
    expect(wordsOf(findings)).toEqual([
      expect.stringMatching(/does not let this user publish to ingest\.v1\.\d+\.Werk%201\.halle-7\.telemetry$/),
      expect.stringMatching(/does not let this user subscribe to floor\.v1\.Werk%201\.halle-7$/),
    ]);
    expect(findings[0]?.remedy).toMatch(/right to publish to ingest\.v1\.\d+\.Werk%201\.halle-7\.telemetry/);
  });

  it('tells that the stream is missing', async () => {
    const nats = await resources.nats();
    const [, ...findings] = await check(nats.url);
    expect(wordsOf(findings)).toEqual([
      expect.stringMatching(/^warning: the stream INGEST is missing.* ingest\..*anomaly and ingest\..*telemetry$/),
    ]);
  });

  it('tells what is wrong with a stream that is there', async () => {
    const nats = await resources.nats();
    const connection = await connect({ servers: nats.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({
      name: INGEST_STREAM.name,
      subjects: [...INGEST_STREAM.subjects],
      storage: 'memory',
      discard: 'new',
      max_age: 3_600 * 1_000_000_000,
    });
    await connection.close();
    expect(wordsOf(await check(nats.url)).slice(-2)).toEqual([
      'critical: the stream INGEST discards new messages instead of old ones, and is kept in memory instead of a file',
      expect.stringMatching(/^notice: the stream INGEST keeps data for 1 h/),
    ]);
  });

  it('tells that messages may not be large enough', async () => {
    const nats = await resources.nats({ configuration: 'max_payload: 65536' });
    await createStream(nats.url);
    expect(wordsOf(await check(nats.url))[0]).toMatch(
      /^critical: .* takes messages of at most 64 KiB, batches are larger$/,
    );
  });

  it('a wrong token is told and not shown', async () => {
    const nats = await resources.nats({ configuration: 'authorization { token: "right" }' });
    const tokenFile = join(await resources.directory(), 'token');
    await writeFile(tokenFile, SECRET, { mode: 0o600 });
    const findings = await check(nats.url, { tokenFile });
    expect(findings).toMatchObject([
      { severity: 'critical', finding: expect.stringMatching(/refuses the credentials/) },
    ]);
    expect(JSON.stringify(findings)).not.toContain(SECRET);
  });

  it('tells of every server apart, and goes on with one that is there', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    resources.defer(() => silent.close());
    const address = silent.address();
    const silentPort = typeof address === 'object' && address !== null ? address.port : 0;
    const servers = [
      `nats://127.0.0.1:${await freePort()}`,
      'nats://no-such-host.invalid:4222',
      `nats://127.0.0.1:${silentPort}`,
      nats.url,
    ];
    const findings = await runCheck(checkNats, await gatewayConfig(resources, { nats: { servers } }));
    expect(wordsOf(findings)).toEqual([
      expect.stringMatching(/^warning: .*: nothing listens there$/),
      expect.stringMatching(/^warning: .*: the name is not known$/),
      expect.stringMatching(/^warning: .*: no answer within 4 s$/),
      expect.stringMatching(/^ok: .* connected to nats-server/),
      expect.stringMatching(/^ok: this user may publish/),
      expect.stringMatching(/^ok: the stream INGEST holds 0 batches/),
    ]);
  });

  it('tells that TLS is wanted where the server has none', async () => {
    const nats = await resources.nats();
    const findings = await check(nats.url.replace('nats:', 'tls:'), { tls: {} });
    expect(findings).toMatchObject([{ severity: 'warning', finding: expect.stringMatching(/TLS/i) }]);
  });
});

describe('doctor: the processor', () => {
  const own = healthyView();
  const running: AgentProbe = {
    state: 'running',
    status: { ...own, lastRejects: [] },
    address: 'http://127.0.0.1:9464',
  };
  const message = (epoch: string | null, floor = 10, highest = floor): FloorMessage => ({
    schema: FLOOR_VERSION,
    site: 'Werk 1',
    gateway: 'halle-7',
    checkpoints: '0123456789abcdef',
    ordinal: 7,
    stream: { created: null, position: 12 },
    lanes: { anomaly: { epoch, floor, highest }, telemetry: { epoch, floor, highest } },
  });

  async function speaker(): Promise<{ url: string; connection: NatsConnection }> {
    const { url } = await resources.nats();
    const connection = await connect({ servers: url });
    resources.defer(async () => connection.close());
    return { url, connection };
  }

  it('is heard, and how far it has come', async () => {
    const { url, connection } = await speaker();
    const gateway = await gatewayConfig(resources, { nats: { servers: [url] } });
    const speaking = setInterval(
      () => connection.publish(floorSubject(gateway.config), encodeFloorMessage(message('3-0123456789abcdef', 41))),
      100,
    );
    resources.defer(() => clearInterval(speaking));
    expect(wordsOf(await runCheck(checkProcessor, gateway))).toEqual([
      'ok: lane anomaly: the processor has everything up to number 41 of epoch 3-0123456789abcdef',
      'ok: lane telemetry: the processor has everything up to number 41 of epoch 3-0123456789abcdef',
    ]);
  });

  it('that is silent is a warning once something was sent', async () => {
    const { url } = await speaker();
    const gateway = await gatewayConfig(resources, { nats: { servers: [url] } });
    expect(
      await runCheck(checkProcessor, { ...gateway, agent: running, signal: AbortSignal.timeout(300) }),
    ).toMatchObject([{ severity: 'warning', runbook: 'processor-silent' }]);
    expect(await runCheck(checkProcessor, { ...gateway, signal: AbortSignal.timeout(300) })).toMatchObject([
      { severity: 'notice' },
    ]);
  });

  it('that this user may not hear is told at once', async () => {
    const nats = await resources.nats({ configuration: users('subscribe: { deny: "floor.>" }') });
    const gateway = await gatewayConfig(resources, { nats: { servers: [nats.url] } });
    expect(wordsOf(await runCheck(checkProcessor, gateway))).toEqual([
      'notice: this user may not hear how far the cloud processor has come with this gateway',
    ]);
  });

  it.each([
    ['the agent’s own epoch', own.epoch, 'ok'],
    ['an older epoch', '2-0123456789abcdef', 'ok'],
    ['another epoch of the same ordinal', '3-ffffffffffffffff', 'critical'],
    ['a newer epoch', '4-0123456789abcdef', 'critical'],
    ['nothing', null, 'ok'],
  ])('that has heard %s', (_name, epoch, severity) => {
    expect(judgeFloors(message(epoch), running).map((finding) => finding.severity)).toEqual([severity, severity]);
  });

  it('that lacks something is a notice', () => {
    expect(judgeFloors(message(own.epoch, 10, 12), running)).toMatchObject([
      { severity: 'notice' },
      { severity: 'notice' },
    ]);
  });
});
