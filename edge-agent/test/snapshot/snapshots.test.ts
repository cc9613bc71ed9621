import { expect, it } from 'vitest';

import { MemoryFileSystem } from '../../../segment-log/test/memory-file-system.ts';
import { SnapshotFile } from '../../src/snapshot/snapshot-file.ts';
import { type SnapshotHeader, Snapshots } from '../../src/snapshots.ts';
import { silentLogger } from '../support/devices.ts';

const headerOf = (position: number): SnapshotHeader => ({
  site: 'a',
  gateway: 'b',
  position,
  ordinal: 1,
  outputHash: 'c',
  lanes: { anomaly: 1, telemetry: 1 },
  at: 0,
});

it('lets go only of what the older of the two kept snapshots does not need', async () => {
  const covered: number[] = [];
  let position = 0;
  const parts = {
    file: new SnapshotFile('folder', new MemoryFileSystem()),
    capture: () => ({ header: headerOf(position), sections: [], release: () => {} }),
    readings: () => 0,
    isPressing: () => false,
    covered: async (before: SnapshotHeader) => void covered.push(before.position),
    failed: () => {},
    logger: silentLogger,
  };
  const snapshots = new Snapshots(parts, { snapshotMs: 1, snapshotReadings: 1 }, undefined);
  for (position of [10, 20, 30]) await snapshots.takeLast();
  expect(covered).toEqual([10, 20]);
});

it('are on the disk when they are saved: a power cut that takes all that was not synced takes nothing of them', async () => {
  const disk = new MemoryFileSystem();
  const file = new SnapshotFile('folder', disk);
  for (const position of [1, 2]) await file.save(headerOf(position), []);
  const { snapshot, problems } = await new SnapshotFile(
    'folder',
    disk.afterPowerCut(() => undefined),
  ).load();
  expect([snapshot?.header, problems]).toEqual([headerOf(2), []]);
});
