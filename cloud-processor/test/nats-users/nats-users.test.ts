import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import {
  days,
  epochMs,
  gatewayInbox,
  type GatewayName,
  gatewayRights,
  gatewayToken,
  INGEST_STREAM,
  ingestSubject,
} from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, errors, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { StreamWatch } from '../../src/consume/stream-watch.ts';
import type { DeadLetter } from '../../src/dead-letters/dead-letter.ts';
import { retryLetter } from '../../src/dead-letters/retry.ts';
import { makeNatsUsers } from '../../src/nats-users/command.ts';
import { PROCESSOR_INBOX } from '../../src/nats-users/processor-rights.ts';

const resources = resourcesPerTest();
const MINE: GatewayName = { site: 'Werk Süd', gateway: 'hall 1.2' };
const OTHER: GatewayName = { site: 'Werk Süd', gateway: 'hall 2' };
const NAMES = ['Werk Süd/hall 1.2', 'Werk Süd/hall 2'];
const keyOf = (directory: string, gateway: GatewayName | null): string =>
  path.join(directory, gateway === null ? 'processor.nkey' : `gateways/${gatewayToken(gateway)}.nkey`);

async function connected(url: string, file: string, inboxPrefix = '_INBOX'): Promise<NatsConnection> {
  const seed = new TextEncoder().encode((await readFile(file, 'utf8')).trim());
  const connection = await connect({
    servers: url,
    authenticator: nkeyAuthenticator(seed),
    inboxPrefix,
    reconnect: false,
  });
  resources.defer(async () => connection.close());
  return connection;
}

/** Whether the server lets a user publish to a subject; it answers in order. */
async function mayPublish(connection: NatsConnection, subject: string): Promise<boolean> {
  let isDenied = false;
  const watching = connection.status();
  void (async () => {
    for await (const status of watching) {
      if (status.type === 'error' && status.error instanceof errors.PermissionViolationError) {
        isDenied ||= status.error.subject === subject;
      }
    }
  })();
  connection.publish(subject, '');
  await connection.flush();
  // The client tells of it a turn later.
  await connection.flush();
  return !isDenied;
}

async function mayHear(connection: NatsConnection, subject: string): Promise<boolean> {
  let isDenied = false;
  const subscription = connection.subscribe(subject, {
    callback: (error) => {
      isDenied ||= error instanceof errors.PermissionViolationError;
    },
  });
  await connection.flush();
  subscription.unsubscribe();
  return !isDenied;
}

describe('users of NATS', () => {
  it('are made once, more can be added, and one whose key is removed is let in no longer', async () => {
    const directory = path.join(await resources.directory(), 'nats');
    const [mine = '', other = ''] = NAMES;
    expect(await makeNatsUsers(directory, [mine])).toEqual({ added: [mine], gateways: [mine] });
    const key = await readFile(keyOf(directory, MINE), 'utf8');
    expect(key).toMatch(/^SU[A-Z2-7]{56}\n$/);
    expect(await makeNatsUsers(directory, [other, mine])).toEqual({ added: [other], gateways: NAMES });
    expect(await readFile(keyOf(directory, MINE), 'utf8')).toBe(key);
    const users = await readFile(path.join(directory, 'users.conf'), 'utf8');
    expect(users.match(/nkey: U/g)).toHaveLength(3);
    await rm(keyOf(directory, MINE));
    expect(await makeNatsUsers(directory, [])).toEqual({ added: [], gateways: [other] });
  });

  it('have keys that nobody else may read, and the file for the server has none of them', async () => {
    const directory = await resources.directory();
    await makeNatsUsers(directory, NAMES);
    const users = await readFile(path.join(directory, 'users.conf'), 'utf8');
    for (const gateway of [MINE, OTHER, null]) {
      const file = keyOf(directory, gateway);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(users).not.toContain((await readFile(file, 'utf8')).trim());
    }
    expect((await stat(path.join(directory, 'gateways'))).mode & 0o777).toBe(0o700);
    expect((await readdir(directory)).sort()).toEqual(['gateways', 'processor.nkey', 'users.conf']);
  });

  it.each([
    ['hall 1', 'is no gateway; give SITE/GATEWAY'],
    ['a/b/c', 'is no gateway'],
    ['a/', 'is no gateway'],
    ['a/b+', 'is no gateway'],
  ])('are not made for "%s"', async (name, message) => {
    const directory = path.join(await resources.directory(), 'nats');
    await expect(makeNatsUsers(directory, [name])).rejects.toThrow(message);
    await expect(stat(directory)).rejects.toThrow('ENOENT');
  });

  it('are left as they are where a key is damaged, or a file is not named after a gateway', async () => {
    const directory = await resources.directory();
    await makeNatsUsers(directory, NAMES);
    const before = await readFile(path.join(directory, 'users.conf'), 'utf8');
    const file = path.join(directory, 'gateways', 'my gateway.nkey');
    await writeFile(file, '');
    await expect(makeNatsUsers(directory, [])).rejects.toThrow('my gateway.nkey');
    await rm(file);
    await writeFile(keyOf(directory, MINE), 'SUNOTHING');
    await expect(makeNatsUsers(directory, [])).rejects.toThrow('does not hold the seed of a NATS user');
    expect(await readFile(path.join(directory, 'users.conf'), 'utf8')).toBe(before);
    await expect(makeNatsUsers(path.join(directory, 'users.conf'), [])).rejects.toThrow('--dir');
  });
});

/** A server that lets only these users in. */
async function serverWithUsers() {
  const directory = await resources.directory();
  await makeNatsUsers(directory, NAMES);
  const server = path.join(directory, 'server');
  await mkdir(server);
  const { url } = await resources.nats({ directory: server, configuration: `include "../users.conf"` });
  const processor = await connected(url, keyOf(directory, null), PROCESSOR_INBOX);
  return { directory, url, processor };
}

describe('a real server with these users', () => {
  it('lets each publish and hear what is its own, and nothing else', async () => {
    const { directory, url, processor } = await serverWithUsers();
    await expect(connect({ servers: url, reconnect: false })).rejects.toThrow(/authoriz/i);
    const gateway = await connected(url, keyOf(directory, MINE), gatewayInbox(MINE));

    const own = gatewayRights(MINE);
    for (const subject of own.publish) expect([subject, await mayPublish(gateway, subject)]).toEqual([subject, true]);
    for (const subject of own.subscribe) expect([subject, await mayHear(gateway, subject)]).toEqual([subject, true]);
    const others = gatewayRights(OTHER);
    const foreign = [
      ...others.publish,
      ...[MINE, OTHER].flatMap((name) =>
        ['floor', 'commit', 'command', 'live'].map((kind) => `${kind}.v1.${gatewayToken(name)}`),
      ),
      ingestSubject({ ...MINE, lane: 'telemetry' }).replace(/\.\d+\./, '.99.'),
      '$JS.API.STREAM.PURGE.INGEST',
      '$KV.floorwatch-processors.0',
    ];
    for (const subject of foreign) expect([subject, await mayPublish(gateway, subject)]).toEqual([subject, false]);
    for (const subject of [...others.subscribe, 'ingest.v1.>', '>', '_INBOX.>', 'floor.v1.>']) {
      expect([subject, await mayHear(gateway, subject)]).toEqual([subject, false]);
    }
    for (const subject of ['floor', 'commit', 'command', 'live'].map((kind) => `${kind}.v1.${gatewayToken(MINE)}`)) {
      expect([subject, await mayPublish(processor, subject)]).toEqual([subject, true]);
    }
    for (const subject of [...own.publish, '$JS.API.STREAM.PURGE.INGEST', '$JS.API.STREAM.DELETE.INGEST']) {
      expect([subject, await mayPublish(processor, subject)]).toEqual([subject, false]);
    }
    expect(await mayHear(processor, `${gatewayInbox(MINE)}.>`)).toBe(false);
  });

  it('lets a processor try out a stream that nothing comes through', async () => {
    const { processor } = await serverWithUsers();
    const client = jetstream(processor);
    const manager = await jetstreamManager(processor, { checkAPI: false });
    const limits = { bytesMax: 16 * 1024 * 1024, ageMax: days(7), replicas: 1 };
    const watch = new StreamWatch({ client, manager, limits, logger: createLogger('test', 'silent'), answerMs: 2_000 });
    for (let looks = 0; looks < 4; looks += 1) await watch.look();
    expect(watch.problem).toBeUndefined();
    expect((await manager.streams.info(INGEST_STREAM.name)).state.last_seq).toBe(3);
  });

  it('lets no processor send a batch again, and the command says which right that needs', async () => {
    const { processor } = await serverWithUsers();
    const subject = ingestSubject({ ...MINE, lane: 'telemetry' });
    const data = Buffer.from('a batch');
    const letter: DeadLetter = {
      kind: 'batch',
      id: 'a',
      at: epochMs(0),
      reason: 'schema',
      message: '',
      subject,
      streamSequence: 1,
      bytes: data.length,
      data: data.toString('base64'),
    };
    const letters = {
      get: async () => letter,
      retry: async (_id: string, act: () => Promise<void>) => act().then(() => true),
    };
    const publish = async (to: string, bytes: Uint8Array) =>
      jetstream(processor).publish(to, bytes, { timeout: 2_000 });
    const store = { windows: () => Promise.reject(new Error('not asked')) };
    const outcome = await retryLetter(letters, 'a', [], publish, store);
    expect(outcome).toMatchObject({ kind: 'impossible', message: expect.stringContaining(subject) as string });
  });
});
