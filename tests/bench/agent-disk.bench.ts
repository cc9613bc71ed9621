import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { canMount, DiskImage } from '../chaos/harness/disk-image.ts';
import { resourcesPerTest, waitFor } from '../support/index.ts';
import { startGateway } from './gateway.ts';
import { publish } from './report.ts';

const DAY_S = 86_400;
/** Until what a start writes is written. */
const SETTLE_MS = 7_000;
const IMAGE_MIB = 1_024;
const folder = path.dirname(fileURLToPath(import.meta.url));
const resources = resourcesPerTest();
const rows: string[][] = [];

/** Bytes that a process has caused to be written to disks so far, as the system counts them. Linux only. */
const writtenBytes = (pid: number): number =>
  Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);

it.each([
  { profile: 'standard', perSecond: 5_000, sensors: 1_000, seconds: 40 },
  { profile: 'sd-card', perSecond: 10, sensors: 10, seconds: 100 },
])('bytes written to disk ($profile, $perSecond readings/s)', async ({ profile, perSecond, sensors, seconds }) => {
  const image = (await canMount()) ? await DiskImage.create(resources, IMAGE_MIB) : undefined;
  const dataDir = image === undefined ? {} : { dataDir: path.join(image.directory, 'agent') };
  const { agent, mqttPort, pid, accepted } = await startGateway(resources, { storage: { profile, ...dataDir } });
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const look = async () => ({ disk: (await image?.writtenBytes()) ?? NaN, counted: writtenBytes(pid) });
  const [before, start] = [await look(), performance.now()];
  const parameters = [mqttPort, 1, perSecond * seconds, sensors, 1, 100, perSecond].map(String);
  const [code] = (await once(fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true }), 'exit')) as [
    number,
  ];
  expect(code).toBe(0);
  await waitFor('the agent has accepted all readings', async () => (await accepted()) === perSecond * seconds);
  const after = await look();
  const elapsed = (performance.now() - start) / 1_000;
  expect(after.counted).toBeGreaterThan(before.counted);
  const perDay = (bytes: number): string =>
    Number.isNaN(bytes) ? 'not measured' : `${Math.round(((bytes / elapsed) * DAY_S) / 1e6).toLocaleString('en')} MB`;
  const disk = after.disk - before.disk;
  rows.push([
    profile,
    String(perSecond),
    Number.isNaN(disk) ? 'not measured' : (disk / (perSecond * seconds)).toFixed(0),
    perDay(disk),
    perDay(after.counted - before.counted),
  ]);
  await agent.stop();
  if (rows.length === 2) {
    const columns = ['profile', 'readings/s', 'bytes on the disk per reading', 'per day', '`write_bytes` per day'];
    publish({ name: 'agent-disk', columns, rows });
  }
});
