import { fork } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { decodeBatch } from '@floorwatch/contracts';
import { connect } from '@nats-io/transport-node';
import { build } from 'hdr-histogram-js';
import { connectAsync } from 'mqtt';
import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import { startGateway } from './gateway.ts';
import { publish } from './report.ts';

const ANOMALIES = 400;
const LEARNED = 64;
const SPIKE = 90;
const PER_SECOND = 5_000;
/** What the configuration has by default for `power`; `process` is set to the same, so that the two differ in the disk alone. */
const COMMIT_MS = 5;

const folder = path.dirname(fileURLToPath(import.meta.url));
const resources = resourcesPerTest();
const rows: string[][] = [];

it.each(['process', 'power'] as const)('from the MQTT publish to the anomaly on NATS (%s)', async (durability) => {
  const { mqttPort, natsUrl } = await startGateway(resources, { storage: { durability, commitMs: COMMIT_MS } });
  const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`);
  resources.defer(async () => client.endAsync(true));
  const send = async (n: number, value: number) =>
    client.publishAsync(`sensors/victim-${n}/temperature`, JSON.stringify({ value }), { qos: 1 });
  for (let i = 0; i < LEARNED; i++) {
    await Promise.all(Array.from({ length: ANOMALIES }, async (_, n) => send(n, 20 + Math.sin(i * 1.7) * 0.3)));
  }
  const connection = await connect({ servers: natsUrl });
  resources.defer(async () => connection.close());
  const arrived = new Map<string, number>();
  connection.subscribe('ingest.v1.*.*.*.anomaly', {
    callback: (_error, message) => {
      const now = performance.now();
      const decoded = decodeBatch(message.data);
      if (!decoded.ok) return;
      for (const record of decoded.batch.records) {
        // Not that a sensor has been silent since it was learned.
        if (
          record.kind === 'anomaly' &&
          record.phase === 'opened' &&
          record.value === SPIKE &&
          !arrived.has(record.device)
        )
          arrived.set(record.device, now);
      }
    },
  });
  await connection.flush();
  const parameters = [mqttPort, 1, 1e9, 1_000, 4, 100, PER_SECOND].map(String);
  const background = fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true });
  resources.defer(() => background.kill());
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const latencies = build();
  for (let n = 0; n < ANOMALIES; n++) {
    const sent = performance.now();
    await send(n, SPIKE);
    await waitFor('the anomaly is on NATS', () => arrived.has(`victim-${n}`), { intervalMs: 1 });
    latencies.recordValue(Math.round(((arrived.get(`victim-${n}`) ?? Infinity) - sent) * 1_000));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  }
  expect(latencies.totalCount).toBe(ANOMALIES);
  const ms = (percentile: number): string => `${(latencies.getValueAtPercentile(percentile) / 1_000).toFixed(1)} ms`;
  rows.push([durability, `${COMMIT_MS} ms`, ms(50), ms(90), ms(99), `${(latencies.maxValue / 1_000).toFixed(1)} ms`]);
  if (rows.length === 2) {
    publish({ name: 'uplink-latency', columns: ['durability', 'commit delay', 'p50', 'p90', 'p99', 'largest'], rows });
  }
});
