import { isDeepStrictEqual } from 'node:util';

import {
  type Batch,
  decodeBatch,
  encodeFloorMessage,
  FLOOR_VERSION,
  type FloorMessage,
  type FloorRecord,
  floorSubject,
  INGEST_STREAM,
  type Lane,
  type LaneFloor,
  lastNumber,
  meanOf,
  parseIngestSubject,
  rollupAggregate,
} from '@floorwatch/contracts';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { z } from 'zod';

import { type Resources, waitFor } from '../../../tests/support/index.ts';
import { type AgentConfig, agentConfigSchema } from '../../src/config.ts';
import { Pipeline, type PipelineSurroundings } from '../../src/pipeline.ts';
import type { AgentView } from '../../src/status/agent-view.ts';
import { connectDevice, silentLogger } from './devices.ts';

export const gateway = { site: 'Leipzig', gateway: 'hall 1' };

/** A running pipeline with ports of its own. */
export interface RunningAgent {
  readonly config: AgentConfig;
  readonly pipeline: Pipeline;
  readonly mqttPort: number;
  get(path: string): Promise<Response>;
  status(): Promise<AgentView & { readonly lastRejects: readonly Record<string, unknown>[] }>;
}

export async function startAgent(
  resources: Resources,
  natsUrl: string,
  options: Partial<z.input<typeof agentConfigSchema>> = {},
  surroundings: PipelineSurroundings = {},
): Promise<RunningAgent> {
  const config = agentConfigSchema.parse({
    ...gateway,
    broker: { kind: 'embedded', port: 0 },
    storage: { dataDir: await resources.directory() },
    nats: { servers: [natsUrl] },
    http: { port: 0 },
    ...options,
  });
  const pipeline = await Pipeline.open(config, silentLogger, { tickMs: 100, ...surroundings });
  await pipeline.start();
  resources.defer(async () => pipeline.stop());
  const get = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${pipeline.ports.http}${path}`);
  return {
    config,
    pipeline,
    mqttPort: pipeline.ports.mqtt ?? 0,
    get,
    status: async () => (await get('/status')).json() as ReturnType<RunningAgent['status']>,
  };
}

/** How long ago devices of these tests measure what they send, so that its rollups are over as soon as something newer comes. */
const LONG_AGO_MS = 3_600_000;

/** An instant of `seconds` after one hour ago. */
export const hourAgo = (seconds = 0): number =>
  Math.floor(Date.now() / 10_000) * 10_000 - LONG_AGO_MS + seconds * 1_000;

/** Has the rollups of an hour ago go out, and waits until the stream has `readings` of them. */
export async function closeRollups(
  resources: Resources,
  agent: { readonly mqttPort: number },
  natsUrl: string,
  readings: number,
  user?: { user: string; pass: string },
): Promise<Received> {
  const device = await connectDevice(resources, agent.mqttPort);
  const payload = JSON.stringify({ value: 0, ts: Date.now() - 60_000 });
  await device.publishAsync('sensors/closing/time', payload, { qos: 1 });
  let received: Received | undefined;
  await waitFor(`${readings} readings are in the stream`, async () => {
    received = await readStream(natsUrl, user);
    const counts = [...readingsBySensor(received)].filter(([sensor]) => sensor !== 'closing/time');
    return counts.reduce((sum, [, { n }]) => sum + n, 0) >= readings;
  });
  return received!;
}

/** Makes the stream as the processor does. */
export async function createStream(natsUrl: string, user?: { user: string; pass: string }): Promise<void> {
  const connection = await connect({ servers: natsUrl, ...user });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: INGEST_STREAM.name, subjects: [...INGEST_STREAM.subjects] });
  await connection.close();
}

/** Tells the agent what a processor tells that has everything of the stream so far. */
export async function tellFloors(natsUrl: string): Promise<void> {
  const connection = await connect({ servers: natsUrl });
  const { batches, position, created } = await readStream(natsUrl);
  const floorOf = (lane: Lane): LaneFloor => {
    const last = batches.findLast((batch) => batch.lane === lane);
    const floor = last === undefined ? 0 : lastNumber(last.records.at(-1)!);
    return { epoch: last?.epoch ?? null, floor, highest: floor };
  };
  const message: FloorMessage = {
    schema: FLOOR_VERSION,
    ...gateway,
    checkpoints: '0123456789abcdef',
    ordinal: Date.now(),
    stream: { created, position },
    lanes: { anomaly: floorOf('anomaly'), telemetry: floorOf('telemetry') },
  };
  connection.publish(floorSubject(gateway), encodeFloorMessage(message));
  await connection.drain();
}

/** What a processor makes of the stream: the records of each lane, repeats left out. */
export interface Received {
  readonly batches: readonly Batch[];
  readonly records: Readonly<Record<Lane, readonly FloorRecord[]>>;
  /** Messages whose records had all come before. */
  readonly repeats: number;
  /** When the stream was created, and the sequence of its last message. */
  readonly created: string;
  readonly position: number;
}

/** @throws Error if a number is missing, or a message is not a batch of the gateway. */
export async function readStream(natsUrl: string, user?: { user: string; pass: string }): Promise<Received> {
  const connection = await connect({ servers: natsUrl, ...user });
  try {
    const manager = await jetstreamManager(connection);
    const { state, created } = await manager.streams.info(INGEST_STREAM.name);
    const batches: Batch[] = [];
    const records: Record<Lane, FloorRecord[]> = { anomaly: [], telemetry: [] };
    const newest: Record<Lane, { epoch: string; last: number } | null> = { anomaly: null, telemetry: null };
    const ended = new Map<string, number>();
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
      const before = newest[batch.lane];
      const last = before?.epoch === batch.epoch ? before.last : ended.get(`${batch.lane} ${batch.epoch}`);
      const next = (last ?? 0) + 1;
      const fresh = batch.records.filter(({ number }) => number >= next);
      if (fresh[0] !== undefined && fresh[0].number !== next)
        throw new Error(`number ${next} of ${batch.lane} in ${batch.epoch} is missing`);
      if (fresh[0] !== undefined) {
        const [first] = fresh;
        if (next === 1 && (first.kind !== 'start' || !isDeepStrictEqual(first.predecessor, before)))
          throw new Error(`${batch.epoch} does not begin behind ${JSON.stringify(before)}: ${JSON.stringify(first)}`);
        if (before !== null) ended.set(`${batch.lane} ${before.epoch}`, before.last);
        newest[batch.lane] = { epoch: batch.epoch, last: lastNumber(fresh.at(-1)!) };
      }
      if (fresh.length === 0) repeats += 1;
      lane.push(...fresh);
    }
    return { batches, records, repeats, created, position: state.last_seq };
  } finally {
    await connection.close();
  }
}

/** Count and sum of all readings of each sensor, from the rollups that came. */
export function readingsBySensor({ batches }: Received): Map<string, { n: number; sum: number }> {
  const bySensor = new Map<string, { n: number; sum: number }>();
  const floors = new Map<string, number>();
  for (const batch of batches) {
    if (batch.lane !== 'telemetry') continue;
    for (const record of batch.records) {
      if (record.number <= (floors.get(batch.epoch) ?? 0)) continue;
      floors.set(batch.epoch, record.number);
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
  readings.received ===
    readings.accepted +
      readings.rejected +
      readings.retainedCopies +
      (readings.duplicates ?? 0) +
      (readings.quarantined ?? 0) &&
  readings.rejected === Object.values(readings.rejectedByReason).reduce((sum, n) => sum + n, 0);
