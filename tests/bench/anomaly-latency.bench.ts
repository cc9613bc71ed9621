import { fork } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { AnomalyRow } from '@floorwatch/contracts';
import { build } from 'hdr-histogram-js';
import { connectAsync } from 'mqtt';
import { expect, it } from 'vitest';

import { Floor } from '../e2e/floor.ts';
import { resourcesPerTest, waitFor } from '../support/index.ts';
import { publish } from './report.ts';

const ANOMALIES = 300;
const LEARNED = 64;
const SPIKE = 90;
const RATES = [1_000, 12_000];

const folder = path.dirname(fileURLToPath(import.meta.url));
const resources = resourcesPerTest();
const rows: string[][] = [];

it.each(RATES)('from the MQTT publish to the anomaly in the store, at %i readings a second', async (rate) => {
  const floor = await Floor.start(resources, {
    store: 'duckdb',
    agent: { storage: { dataDir: path.join(await resources.directory(), 'agent'), durability: 'power' } },
  });
  const client = await connectAsync(floor.mqttUrl);
  resources.defer(async () => client.endAsync(true));
  const send = async (device: string, value: number) =>
    client.publishAsync(`sensors/${device}/temperature`, JSON.stringify({ value }), { qos: 1 });
  // Every sensor learns what is normal for it; afterwards a spike on each is one anomaly.
  for (let i = 0; i < LEARNED; i++) {
    await Promise.all(
      Array.from({ length: ANOMALIES }, async (_, n) => send(`victim-${n}`, 20 + Math.sin(i * 1.7) * 0.3)),
    );
  }
  const parameters = [new URL(floor.mqttUrl).port, 1, 1e9, 1_000, 4, 100, rate].map(String);
  const background = fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true });
  resources.defer(() => background.kill());
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const latencies = build();
  for (let n = 0; n < ANOMALIES; n++) {
    const { site, gateway, device, metric } = floor.sensor(`victim-${n}`, 'temperature');
    const query = { sensor: `${site}/${gateway}/${device}/${metric}`, from: '0' };
    const isStored = async (): Promise<boolean> =>
      (await floor.list<AnomalyRow>('anomalies', query)).some(({ value }) => value === SPIKE);
    const start = performance.now();
    await send(device, SPIKE);
    await waitFor('the anomaly is stored', isStored, { intervalMs: 2, timeoutMs: 60_000 });
    latencies.recordValue(Math.round((performance.now() - start) * 1_000));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  }
  expect(latencies.totalCount).toBe(ANOMALIES);
  const ms = (percentile: number): string => `${(latencies.getValueAtPercentile(percentile) / 1_000).toFixed(1)} ms`;
  const largest = `${(latencies.maxValue / 1_000).toFixed(1)} ms`;
  rows.push([rate.toLocaleString('en'), String(ANOMALIES), ms(50), ms(90), ms(99), largest]);
  if (rows.length < RATES.length) return;
  publish({
    name: 'anomaly-latency-duckdb',
    columns: ['readings/s', 'anomalies', 'p50', 'p90', 'p99', 'largest'],
    rows,
  });
});
