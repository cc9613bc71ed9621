import { fork } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { startGateway } from './gateway.ts';
import { publish } from './report.ts';

const SENSORS = 10_000;
const READINGS_PER_SENSOR = 30;
const PER_SECOND = 5_000;
/** Far more often than any configuration would have it, so that there are enough to compare. */
const SNAPSHOT_MS = 2_000;
const SNAPSHOTS_MIN = 10;

const folder = path.dirname(fileURLToPath(import.meta.url));
const resources = resourcesPerTest();

it(`how long a snapshot of ${SENSORS} sensors keeps the processing waiting`, async () => {
  const { mqttPort, metric } = await startGateway(resources, { storage: { snapshotMs: SNAPSHOT_MS } });
  const readings = SENSORS * READINGS_PER_SENSOR;
  const parameters = [mqttPort, 1, readings, SENSORS, 4, 50, PER_SECOND].map(String);
  const generator = fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true });
  const pauses = new Set<number>();
  let bytes = 0;
  while (generator.exitCode === null) {
    const pause = await metric('snapshot_pause_seconds');
    if (pause > 0) pauses.add(pause);
    bytes = await metric('snapshot_bytes');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(generator.exitCode).toBe(0);
  expect(pauses.size).toBeGreaterThanOrEqual(SNAPSHOTS_MIN);
  const sorted = [...pauses].sort((a, b) => a - b);
  const ms = (seconds: number | undefined): string => `${((seconds ?? 0) * 1_000).toFixed(1)} ms`;
  publish({
    name: 'snapshot-pause',
    columns: ['sensors', 'size', 'snapshots', 'median pause', 'longest pause'],
    rows: [
      [
        SENSORS.toLocaleString('en'),
        `${(bytes / 1e6).toFixed(0)} MB`,
        String(sorted.length),
        ms(sorted[sorted.length >> 1]),
        ms(sorted.at(-1)),
      ],
    ],
  });
});
