import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { days } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { findServer } from '@floorwatch/servers';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { ensureIngestStream } from '../../src/consume/ingest-stream.ts';
import { StreamWatch } from '../../src/consume/stream-watch.ts';

const resources = resourcesPerTest();
const LIMITS = { bytesMax: 16 * 1024 * 1024, ageMax: days(7), replicas: 1 };
const SUBJECT = 'ingest.v1.0.site.gateway.telemetry';
const batch = new Uint8Array(64 * 1024);

/** What a processor has at hand, and a watch that does not wait long. */
async function watching(url: string) {
  const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  resources.defer(async () => connection.close());
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const client = jetstream(connection);
  await ensureIngestStream(manager, LIMITS);
  const logger = createLogger('test', 'silent');
  return { manager, client, watch: new StreamWatch({ client, manager, limits: LIMITS, logger, answerMs: 300 }) };
}

/** A nats-server whose files can't become larger than a file says, in KiB, when it starts. */
async function boundedServer(kib: number | 'unlimited') {
  const folder = await resources.directory();
  const { path: executable } = await findServer('nats-server');
  const script = path.join(folder, 'nats-server');
  const limit = path.join(folder, 'limit');
  const bound = async (to: number | 'unlimited'): Promise<void> => writeFile(limit, `${to}`);
  await bound(kib);
  await writeFile(script, `#!/bin/bash\nulimit -S -f "$(cat '${limit}')"\nexec '${executable}' "$@"\n`);
  await chmod(script, 0o755);
  return { server: await resources.nats({ path: script }), bound };
}

describe('the stream', () => {
  it('that takes nothing after its disk was full is told, until nats-server is restarted', async () => {
    const { server, bound } = await boundedServer(512);
    const { client, watch } = await watching(server.url);
    await watch.look();
    await watch.look();
    expect(watch.problem).toBeUndefined();
    const publish = async (): Promise<unknown> => client.publish(SUBJECT, batch, { timeout: 300 });
    await expect(
      (async () => {
        for (let i = 0; i < 20; i += 1) await publish();
      })(),
    ).rejects.toThrow('timeout');
    // The first look sees what had come, the second one that fails is no accident.
    for (let looks = 0; looks < 3; looks += 1) await watch.look();
    expect(watch.problem).toMatch(/^takes no messages .*makes? room and restart it/);
    await bound('unlimited');
    await server.stop();
    await server.start();
    await waitFor('the stream takes messages again', async () => {
      await watch.look();
      return watch.problem === undefined;
    });
    await publish();
  });

  it('that was made smaller than a batch acknowledges and keeps nothing; it gets its size again', async () => {
    const { url } = await resources.nats();
    const { manager, client, watch } = await watching(url);
    const { config } = await manager.streams.info('INGEST');
    await manager.streams.update('INGEST', { ...config, max_bytes: 10_000 });
    expect(await client.publish(SUBJECT, batch)).toMatchObject({ seq: 1 });
    expect((await manager.streams.info('INGEST')).state.messages).toBe(0);
    await watch.look();
    await client.publish(SUBJECT, batch);
    const { config: mended, state } = await manager.streams.info('INGEST');
    expect([mended.max_bytes, state.messages]).toEqual([LIMITS.bytesMax, 1]);
    expect(watch.problem).toBeUndefined();
  });

  it('that nobody publishes to is tried out, beside the partitions', async () => {
    const { url } = await resources.nats();
    const { manager, watch } = await watching(url);
    for (let looks = 0; looks < 3; looks += 1) await watch.look();
    expect(watch.problem).toBeUndefined();
    const { state } = await manager.streams.info('INGEST', { subjects_filter: '>' });
    expect(Object.keys(state.subjects ?? {})).toEqual(['ingest.v1.probe.processor.stream.watch']);
  });
});
