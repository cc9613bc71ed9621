// What benchmarks of the processor run in processes of their own, over built code: the test runner's module loader would slow every call.
// Prints one JSON object as its last line.
//
//   node processor-load.mjs fill <nats url> <gateways> <sensors> <buckets>
//       publishes batches of rollups: { messages, bytes, rollups }
//   node processor-load.mjs bare <nats url> <rollups>
//       an ordered consumer that parses every message and adds up one column: { rollups, cpuSeconds, seconds, sum }
//   node processor-load.mjs pipeline <nats url> <rollups> <store as JSON> <folder>
//       the processor's pipeline with everything on: { rollups, rows, cpuSeconds, seconds, checkpoints, … }
//
// `bare` and `pipeline` leave out the first quarter of the rollups, in which a process warms up, and stop after <rollups>.
import path from 'node:path';

import { INGEST_STREAM } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

import { createStore, Pipeline, processorConfigSchema } from '@floorwatch/cloud-processor';
import { FloorView } from '../../cloud-processor/dist/serve/floor-view.js';
import { rollupBatches } from './rollup-batches.mjs';

const WARM_UP = 0.25;
const LOOK_EVERY_MS = 2;
const PUBLISHED_AT_ONCE = 32;
const SILENT_AFTER_MS = 30_000;

const [job, url, ...parameters] = process.argv.slice(2);
const jobs = { fill, bare, pipeline };

async function fill(gateways, sensors, buckets) {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  const { name, subjects, bytesMaxDefault } = INGEST_STREAM;
  await manager.streams.add({ name, subjects: [...subjects], max_bytes: bytesMaxDefault });
  const client = jetstream(connection);
  const total = { messages: 0, bytes: 0, rollups: 0 };
  let waiting = [];
  const batches = rollupBatches({ gateways: Number(gateways), sensors: Number(sensors), buckets: Number(buckets) });
  for (const { subject, data, rollups } of batches) {
    total.messages += 1;
    total.bytes += data.length;
    total.rollups += rollups;
    waiting.push(client.publish(subject, data, { timeout: 60_000 }));
    if (waiting.length < PUBLISHED_AT_ONCE) continue;
    await Promise.all(waiting);
    waiting = [];
  }
  await Promise.all(waiting);
  await connection.close();
  return total;
}

/** Processor time and time of this process from the moment that so many rollups were through until all are. */
class Measurement {
  #rollups;
  #from;
  #begun;

  constructor(rollups) {
    this.#rollups = Number(rollups);
  }

  /** Returns the figures once `rollups` have come through. */
  reached(rollups) {
    if (this.#begun === undefined && rollups >= this.#rollups * WARM_UP) {
      this.#from = rollups;
      this.#begun = { cpu: process.cpuUsage(), at: performance.now() };
    }
    if (rollups < this.#rollups) return undefined;
    const { user, system } = process.cpuUsage(this.#begun.cpu);
    const seconds = (performance.now() - this.#begun.at) / 1_000;
    return { rollups: rollups - this.#from, cpuSeconds: (user + system) / 1e6, seconds };
  }
}

async function bare(rollups) {
  const connection = await connect({ servers: url });
  const consumer = await jetstream(connection).consumers.get(INGEST_STREAM.name);
  const measurement = new Measurement(rollups);
  let [through, sum] = [0, 0];
  for await (const message of await consumer.consume({ max_messages: 48 })) {
    for (const { kind, columns } of JSON.parse(message.string()).records) {
      if (kind !== 'rollups') continue;
      for (const n of columns.n) sum += n;
      through += columns.n.length;
    }
    const figures = measurement.reached(through);
    if (figures !== undefined) {
      await connection.close();
      return { ...figures, sum };
    }
  }
  throw new Error('the consumer has ended');
}

async function pipeline(rollups, storeOptions, folder) {
  const { kind, ...options } = JSON.parse(storeOptions);
  const config = processorConfigSchema.parse({
    nats: { servers: [url] },
    dataDir: path.join(folder, `data-${process.pid}`),
    checkpoint: { intervalSeconds: 1 },
    live: { intervalSeconds: kind === 'counting' ? 5 : 0 },
    store: kind === 'counting' ? { kind: 'duckdb', file: 'not used' } : { kind, ...options },
    logLevel: 'warn',
  });
  const logger = createLogger('processor', config.logLevel);
  const store = kind === 'counting' ? new CountingStore() : createStore(config.store, logger);
  const running = new Pipeline({ config, store, observer: new FloorView({ silentAfterMs: SILENT_AFTER_MS }), logger });
  await running.open();
  const stopping = new AbortController();
  const ended = running.run(stopping.signal);
  ended.catch(() => undefined);
  const sum = (of) => running.lanes.reduce((total, lane) => total + of(lane), 0);
  const measurement = new Measurement(rollups);
  const memory = { largest: 0 };
  let figures;
  while (figures === undefined) {
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))]);
    memory.largest = Math.max(memory.largest, process.memoryUsage.rss());
    figures = measurement.reached(sum(({ runner }) => runner.partition.counts.rollups));
  }
  const rows = sum(({ writer }) => writer.written);
  const checkpoints = sum(({ runner }) => runner.checkpoints.saved);
  const openWindows = sum(({ runner }) => runner.partition.windows.openWindows);
  stopping.abort();
  await ended;
  await running.close();
  return { ...figures, rows, checkpoints, openWindows, residentMb: memory.largest / 1e6 };
}

/** Takes everything and keeps nothing. */
class CountingStore {
  lingerMs = 0;
  rows = 0;

  async connect() {}

  async close() {}

  async write(batch) {
    this.rows += batch.length;
    return { kind: 'written' };
  }
}

process.stdout.write(JSON.stringify(await jobs[job](...parameters)));
