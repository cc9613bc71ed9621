import {
  type Batch,
  decodeBatch,
  type FloorRecord,
  INGEST_STREAM,
  type Lane,
  lastNumber,
  meanOf,
  parseIngestSubject,
  rollupAggregate,
} from '@floorwatch/contracts';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { z } from 'zod';

import type { Resources } from '../../../tests/support/index.ts';
import { agentConfigSchema } from '../../src/config.ts';
import { Pipeline } from '../../src/pipeline.ts';
import type { AgentView } from '../../src/status/agent-view.ts';
import { silentLogger } from './devices.ts';

export const gateway = { site: 'Leipzig', gateway: 'hall 1' };

/** A running pipeline with ports of its own. */
export interface RunningAgent {
  readonly pipeline: Pipeline;
  readonly mqttPort: number;
  get(path: string): Promise<Response>;
  status(): Promise<AgentView & { readonly lastRejects: readonly Record<string, unknown>[] }>;
}

export async function startAgent(
  resources: Resources,
  natsUrl: string,
  options: Partial<z.input<typeof agentConfigSchema>> = {},
): Promise<RunningAgent> {
  const config = agentConfigSchema.parse({
    ...gateway,
    broker: { kind: 'embedded', port: 0 },
    nats: { servers: [natsUrl] },
    http: { port: 0 },
    ...options,
  });
  const pipeline = new Pipeline(config, silentLogger);
  await pipeline.start();
  resources.defer(async () => pipeline.stop());
  const get = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${pipeline.ports.http}${path}`);
  return {
    pipeline,
    mqttPort: pipeline.ports.mqtt ?? 0,
    get,
    status: async () => (await get('/status')).json() as ReturnType<RunningAgent['status']>,
  };
}

/** Makes the stream as the processor does. */
export async function createStream(natsUrl: string, user?: { user: string; pass: string }): Promise<void> {
  const connection = await connect({ servers: natsUrl, ...user });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: INGEST_STREAM.name, subjects: [...INGEST_STREAM.subjects] });
  await connection.close();
}

/** What a processor makes of the stream: the records of each lane, repeats left out. */
export interface Received {
  readonly batches: readonly Batch[];
  readonly records: Readonly<Record<Lane, readonly FloorRecord[]>>;
  /** Messages whose records had all come before. */
  readonly repeats: number;
}

/** @throws Error if a number is missing, or a message is not a batch of the gateway. */
export async function readStream(natsUrl: string, user?: { user: string; pass: string }): Promise<Received> {
  const connection = await connect({ servers: natsUrl, ...user });
  try {
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(INGEST_STREAM.name);
    const batches: Batch[] = [];
    const records: Record<Lane, FloorRecord[]> = { anomaly: [], telemetry: [] };
    let repeats = 0;
    for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++) {
      const message = await manager.streams.getMessage(INGEST_STREAM.name, { seq });
      if (message === null) throw new Error(`message ${seq} is gone`);
      const decoded = decodeBatch(message.data);
      if (!decoded.ok) throw new Error(`message ${seq} is no batch: ${decoded.fault.message}`);
      const { batch } = decoded;
      const address = parseIngestSubject(message.subject);
      if (address?.lane !== batch.lane || address.gateway !== batch.gateway)
        throw new Error(`wrong subject ${message.subject}`);
      batches.push(batch);
      const lane = records[batch.lane];
      const last = lane.at(-1);
      const next = last === undefined ? 1 : lastNumber(last) + 1;
      const fresh = batch.records.filter(({ number }) => number >= next);
      if (fresh[0] !== undefined && fresh[0].number !== next)
        throw new Error(`number ${next} of ${batch.lane} is missing`);
      if (fresh.length === 0) repeats += 1;
      lane.push(...fresh);
    }
    return { batches, records, repeats };
  } finally {
    await connection.close();
  }
}

/** Count and sum of all readings of each sensor, from the rollups that came. */
export function readingsBySensor({ batches }: Received): Map<string, { n: number; sum: number }> {
  const bySensor = new Map<string, { n: number; sum: number }>();
  let floor = 0;
  for (const batch of batches) {
    if (batch.lane !== 'telemetry') continue;
    for (const record of batch.records) {
      if (record.number <= floor) continue;
      floor = record.number;
      if (record.kind !== 'rollups') continue;
      record.columns.sensor.forEach((index, i) => {
        const sensor = batch.sensors[index];
        const key = `${sensor?.device}/${sensor?.metric}`;
        const aggregate = rollupAggregate(record, i);
        const known = bySensor.get(key) ?? { n: 0, sum: 0 };
        bySensor.set(key, { n: known.n + aggregate.n, sum: known.sum + aggregate.n * meanOf(aggregate) });
      });
    }
  }
  return bySensor;
}

/** Whether what was received is what became of it, number by number. */
export const addsUp = ({ readings }: AgentView): boolean =>
  readings.received === readings.accepted + readings.rejected + readings.retainedCopies &&
  readings.rejected === Object.values(readings.rejectedByReason).reduce((sum, n) => sum + n, 0);
