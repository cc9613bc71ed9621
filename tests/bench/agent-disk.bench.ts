import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import { startGateway } from './gateway.ts';
import { publish } from './report.ts';

const DAY_S = 86_400;
const folder = path.dirname(fileURLToPath(import.meta.url));
const resources = resourcesPerTest();
const rows: string[][] = [];

/** Bytes that a process has caused to be written to disks so far. Linux only. */
const writtenBytes = (pid: number): number =>
  Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);

it.each([
  { profile: 'standard', perSecond: 5_000, sensors: 1_000, seconds: 40 },
  { profile: 'sd-card', perSecond: 10, sensors: 10, seconds: 100 },
])('bytes written to disk ($profile, $perSecond readings/s)', async ({ profile, perSecond, sensors, seconds }) => {
  const { mqttPort, pid, accepted } = await startGateway(resources, { storage: { profile } });
  const [before, start] = [writtenBytes(pid), performance.now()];
  const parameters = [mqttPort, 1, perSecond * seconds, sensors, 1, 100, perSecond].map(String);
  const [code] = (await once(fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true }), 'exit')) as [
    number,
  ];
  expect(code).toBe(0);
  await waitFor('the agent has accepted all readings', async () => (await accepted()) === perSecond * seconds);
  const bytes = writtenBytes(pid) - before;
  const elapsed = (performance.now() - start) / 1_000;
  expect(bytes).toBeGreaterThan(0);
  rows.push([
    profile,
    String(perSecond),
    (bytes / (perSecond * seconds)).toFixed(0),
    `${Math.round(((bytes / elapsed) * DAY_S) / 1e6).toLocaleString('en')} MB`,
  ]);
  if (rows.length === 2) {
    publish({ name: 'agent-disk', columns: ['profile', 'readings/s', 'bytes per reading', 'per day'], rows });
  }
});
