import { readFile } from 'node:fs/promises';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { INGEST_STREAM, ingestSubject } from '@floorwatch/contracts';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { NatsLink } from '../../src/uplink/nats-link.ts';
import { silentLogger } from '../support/devices.ts';

const resources = resourcesPerTest();
const SUBJECT = ingestSubject({ site: 'Leipzig', gateway: 'hall 1', lane: 'anomaly' });

describe('a connection that breaks while JetStream has not answered', () => {
  it('ends the attempt at once, so that the batch goes again as soon as there is a connection', async () => {
    const nats = await resources.nats();
    const connection = await connect({ servers: nats.url });
    await (
      await jetstreamManager(connection)
    ).streams.add({
      name: INGEST_STREAM.name,
      subjects: [...INGEST_STREAM.subjects],
    });
    await connection.close();
    const link = new NatsLink({ servers: [nats.url] }, { site: 'Leipzig', gateway: 'hall 1' }, silentLogger);
    resources.defer(async () => link.close());
    await link.connect();
    await link.publish(SUBJECT, Buffer.from('{}'));

    const { pid = 0 } = nats.process;
    process.kill(pid, 'SIGSTOP');
    await waitFor('the server stands still', async () =>
      (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') T '),
    );
    const attempt = link.publish(SUBJECT, Buffer.from('{}')).catch((error: unknown) => String(error));
    await pauseMs(50);
    await nats.kill9();
    expect(await attempt).toContain('the connection to NATS was lost before it answered');

    await nats.start();
    await waitFor('the link is there again', () => link.isConnected);
    expect(await link.publish(SUBJECT, Buffer.from('{}'))).toMatchObject({ seq: expect.any(Number) });
  });
});
