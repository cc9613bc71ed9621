import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { rollupItem, startItem } from './spooled-items.ts';

const KIB = 1024;
const resources = resourcesPerTest();

async function open(whenFull: 'refuse' | 'drop-unsent'): Promise<DiskLaneSpool> {
  const { spool } = await DiskLaneSpool.open({
    directory: await resources.directory(),
    lane: 'telemetry',
    durability: 'process',
    bytesMax: 1024 * KIB,
    segmentBytesMax: 128 * KIB,
    whenFull,
  });
  resources.defer(async () => spool.close());
  const epoch = '1-abcdef0123456789';
  await spool.append([startItem(epoch, null)], { epoch });
  return spool;
}

/** Appends blocks of about 50 KiB. */
async function fill(spool: DiskLaneSpool, blocks: number): Promise<void> {
  for (let block = 0; block < blocks; block++) {
    await spool.append(Array.from({ length: 5 }, (_, i) => rollupItem(spool.lastNumber + 1 + i, 1, 0, 10_000)));
  }
}

/** A lane of which a processor has everything, and a start may have to look at all of it. */
async function openKept(whenFull: 'refuse' | 'drop-unsent'): Promise<DiskLaneSpool> {
  const spool = await open(whenFull);
  await fill(spool, 10);
  spool.keepFrom = 1;
  await spool.markSent(spool.next - 1);
  await spool.release(spool.next - 1);
  expect(spool.first).toBe(1);
  return spool;
}

describe('what a lane keeps only for the next start', () => {
  it('goes before anything is refused', async () => {
    const spool = await openKept('refuse');
    await fill(spool, 12);
    expect(spool.first).toBeGreaterThan(1);
  });

  it('goes before anything is dropped that was never sent', async () => {
    const spool = await openKept('drop-unsent');
    await fill(spool, 12);
    expect(spool.dropped).toBe(0);
    expect(spool.first).toBeGreaterThan(1);
  });

  it('goes first when somebody else needs space', async () => {
    const spool = await openKept('drop-unsent');
    await fill(spool, 5);
    expect(await spool.dropOldest()).toBeGreaterThan(0);
    expect(spool.dropped).toBe(0);
    expect(await spool.dropOldest()).toBeGreaterThan(0);
    expect(spool.dropped).toBeGreaterThan(0);
  });
});
