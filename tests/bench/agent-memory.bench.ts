import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import { startGateway } from './gateway.ts';
import { residentMb } from './process-cost.ts';
import { publish } from './report.ts';

const READINGS_PER_SENSOR = 30;
const PER_SECOND = 5_000;
const CONNECTIONS = 4;
const IN_FLIGHT = 50;

const folder = path.dirname(fileURLToPath(import.meta.url));
const resources = resourcesPerTest();
const rows: string[][] = [];

it.each([1_000, 10_000])('resident memory with %i sensors', async (sensors) => {
  const { mqttPort, pid, accepted } = await startGateway(resources);
  const atStart = residentMb(pid);
  const readings = sensors * READINGS_PER_SENSOR;
  const parameters = [mqttPort, 1, readings, sensors, CONNECTIONS, IN_FLIGHT, PER_SECOND].map(String);
  const generator = fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true });
  let largest = 0;
  const watch = setInterval(() => (largest = Math.max(largest, residentMb(pid))), 200);
  const [code] = (await once(generator, 'exit')) as [number];
  await waitFor('the agent has accepted all readings', async () => (await accepted()) === readings);
  clearInterval(watch);
  expect(code).toBe(0);
  rows.push([
    sensors.toLocaleString('en'),
    `${atStart.toFixed(0)} MB`,
    `${residentMb(pid).toFixed(0)} MB`,
    `${largest.toFixed(0)} MB`,
  ]);
  if (rows.length === 2)
    publish({ name: 'agent-memory', columns: ['sensors', 'at the start', 'afterwards', 'largest'], rows });
});
