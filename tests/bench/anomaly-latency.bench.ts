import { connectAsync } from 'mqtt';
import { build } from 'hdr-histogram-js';
import { expect, it } from 'vitest';

import { Floor } from '../e2e/floor.ts';
import { resourcesPerSuite, waitFor } from '../support/index.ts';
import { publish } from './report.ts';

const ANOMALIES = 200;
const BACKGROUND_SENSORS = 200;
const resources = resourcesPerSuite();

it.each(['duckdb'] as const)('from the MQTT publish to the anomaly in the store (%s)', async (store) => {
  const floor = await Floor.start(resources, { store });
  const client = await connectAsync(floor.mqttUrl);
  const send = async (device: string, value: number) =>
    client.publishAsync(`sensors/${device}/temperature`, JSON.stringify({ value }), { qos: 1 });
  // Every sensor learns what is normal for it; afterwards a spike on each is one anomaly.
  for (let i = 0; i < 64; i++) {
    await Promise.all(
      Array.from({ length: ANOMALIES }, async (_, n) => send(`victim-${n}`, 20 + Math.sin(i * 1.7) * 0.3)),
    );
  }
  let running = true;
  const background = (async () => {
    for (let i = 0; running; i++) {
      await send(`background-${i % BACKGROUND_SENSORS}`, 20 + Math.sin(i) * 0.3);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  const latencies = build();
  for (let n = 0; n < ANOMALIES; n++) {
    const sensor = floor.sensor(`victim-${n}`, 'temperature');
    const query = { sensor: `${sensor.site}/${sensor.gateway}/${sensor.device}/${sensor.metric}`, from: '0' };
    const start = performance.now();
    await send(sensor.device, 90);
    await waitFor('the anomaly is stored', async () => (await floor.list('anomalies', query)).length > 0, {
      intervalMs: 1,
    });
    latencies.recordValue(Math.round((performance.now() - start) * 1_000));
  }
  running = false;
  await background;
  await client.endAsync();
  expect(latencies.totalCount).toBe(ANOMALIES);
  const ms = (percentile: number): string => `${(latencies.getValueAtPercentile(percentile) / 1_000).toFixed(1)} ms`;
  publish({
    name: `anomaly-latency-${store}`,
    columns: ['store', 'anomalies', 'p50', 'p90', 'p99', 'largest'],
    rows: [[store, String(ANOMALIES), ms(50), ms(90), ms(99), `${(latencies.maxValue / 1_000).toFixed(1)} ms`]],
  });
});
