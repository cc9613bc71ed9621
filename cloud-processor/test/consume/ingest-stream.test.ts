import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { days, INGEST_STREAM } from '@floorwatch/contracts';
import { lookForVersions } from '@floorwatch/servers';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { ensureIngestStream } from '../../src/consume/ingest-stream.ts';

const resources = resourcesPerTest();
const versions = await lookForVersions('nats-server');
const LIMITS = { bytesMax: 16 * 1024 * 1024, ageMax: days(7), replicas: 1 };

describe('a NATS server whose power was cut soon after it had made the stream', () => {
  // What is left then is a folder with empty files (ext4).
  it.each(versions)(
    'keeps the stream that is made anew, also through a restart: nats-server $version',
    async ({ path: executable }) => {
      const directory = await resources.directory();
      const folder = path.join(directory, 'jetstream/jetstream/$G/streams', INGEST_STREAM.name);
      await mkdir(path.join(folder, 'msgs'), { recursive: true });
      for (const file of ['meta.inf', 'meta.sum', 'msgs/1.blk']) await writeFile(path.join(folder, file), '');
      const nats = await resources.nats({ directory, path: executable });

      const connection = await connect({ servers: nats.url });
      const made = await ensureIngestStream(await jetstreamManager(connection), LIMITS);
      await connection.close();
      await nats.stop();
      await nats.start();

      const again = await connect({ servers: nats.url });
      resources.defer(async () => again.close());
      const found = await ensureIngestStream(await jetstreamManager(again), LIMITS);
      expect(found.created).toBe(made.created);
    },
  );
});
