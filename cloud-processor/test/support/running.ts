import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { type Batch, encodeBatch, INGEST_STREAM, ingestSubject } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { jetstream, type JetStreamClient, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

import { type Resources, waitFor } from '../../../tests/support/index.ts';
import { type ProcessorConfig, processorConfigSchema } from '../../src/config.ts';
import { Pipeline } from '../../src/pipeline.ts';
import type { Store } from '../../src/write/store.ts';
import { deaf, GATEWAY } from './floor.ts';

/** A configuration file of the program, with a store in a folder of its own and any free port. */
export async function configFile(resources: Resources, url: string, more: object = {}): Promise<string> {
  const folder = await resources.directory();
  const file = path.join(folder, 'config.yaml');
  const config = {
    nats: { servers: [url] },
    dataDir: path.join(folder, 'data'),
    checkpoint: { intervalSeconds: 0.2 },
    store: { kind: 'duckdb', file: path.join(folder, 'floorwatch.duckdb'), retentionDays: 0 },
    http: { port: 0 },
    ...more,
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}

/** A pipeline that runs in the test's process. */
export interface RunningPipeline {
  readonly pipeline: Pipeline;
  /** Applied messages, rows and rejects, of the partition of {@link GATEWAY}. */
  readonly partition: () => Pipeline['lanes'][number]['runner']['partition'];
  /** Ends as on Ctrl-C, and reports what `run` threw. */
  stop(): Promise<void>;
  readonly ended: Promise<void>;
}

/** Starts a pipeline on one partition, the one of the test's gateway, with checkpoints and floor messages every 100 ms. */
export async function startPipeline(
  resources: Resources,
  options: { readonly url: string; readonly dataDir: string; readonly store: Store; readonly partitions?: number[] },
): Promise<RunningPipeline> {
  const config: ProcessorConfig = processorConfigSchema.parse({
    nats: { servers: [options.url] },
    stream: { sizeMaxMb: 64 },
    partitions: options.partitions ?? [partitionOfGateway],
    dataDir: options.dataDir,
    checkpoint: { intervalSeconds: 0.1 },
    floors: { intervalSeconds: 0.1 },
    live: { intervalSeconds: 0.1 },
    store: { kind: 'duckdb', file: 'not used' },
    logLevel: 'silent',
  });
  const logger = createLogger('test', process.env['FLOORWATCH_TEST_LOG'] === undefined ? 'silent' : 'debug');
  const pipeline = new Pipeline({ config, store: options.store, observer: deaf, logger });
  const stopping = new AbortController();
  await pipeline.open();
  const ended = (async () => {
    try {
      await pipeline.run(stopping.signal);
    } finally {
      await pipeline.close();
    }
  })();
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  resources.defer(async () => {
    await stop().catch(() => undefined);
  });
  const partition = () =>
    pipeline.lanes.find(({ runner }) => runner.partition.number === partitionOfGateway)!.runner.partition;
  return { pipeline, partition, stop, ended };
}

const partitionOfGateway = Number(ingestSubject({ ...GATEWAY, lane: 'telemetry' }).split('.')[2]);

/** Publishes batches as an agent does. */
export interface Publisher {
  readonly manager: JetStreamManager;
  readonly client: JetStreamClient;
  publish(...batches: readonly Batch[]): Promise<void>;
}

export async function connectPublisher(resources: Resources, url: string): Promise<Publisher> {
  const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  resources.defer(() => connection.close());
  const client = jetstream(connection);
  const manager = await jetstreamManager(connection, { checkAPI: false });
  return {
    manager,
    client,
    async publish(...batches) {
      for (const batch of batches) await publishUntilAcknowledged(client, batch);
    },
  };
}

/** An outcome that is not known means the same batch again, as agents do it; it may then be in the stream twice. */
async function publishUntilAcknowledged(client: JetStreamClient, batch: Batch): Promise<void> {
  const send = async (): Promise<boolean> => {
    await client.publish(ingestSubject(batch), encodeBatch(batch), { timeout: 1_000 });
    return true;
  };
  await waitFor('the batch is acknowledged', send, { timeoutMs: 30_000 });
}

/** Whether the stream exists. */
export const hasStream = async ({ manager }: Publisher): Promise<boolean> => {
  try {
    await manager.streams.info(INGEST_STREAM.name);
    return true;
  } catch {
    return false;
  }
};
