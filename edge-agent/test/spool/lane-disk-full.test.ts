import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { skippedIf } from '../../../tests/support/index.ts';
import { DiskLaneSpool, type DiskLaneSpoolOptions } from '../../src/spool/disk-lane-spool.ts';
import { rollupItem, startItem } from './spooled-items.ts';

const MIB = 1024 * 1024;

const disk = mkdtempSync(path.join(tmpdir(), 'floorwatch-full-disk-'));

const mounted = ((): boolean => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    rmSync(disk, { recursive: true });
    return false;
  }
})();

const open = async (more: Partial<DiskLaneSpoolOptions>): Promise<DiskLaneSpool> =>
  (
    await DiskLaneSpool.open({
      directory: path.join(disk, 'lane'),
      lane: 'telemetry',
      durability: 'power',
      bytesMax: 64 * MIB,
      segmentBytesMax: MIB,
      whenFull: 'drop-unsent',
      ...more,
    })
  ).spool;

const begin = async (spool: DiskLaneSpool): Promise<void> => {
  const { epoch, lastNumber: last } = spool;
  const name = `${Number.parseInt(epoch ?? '0', 10) + 1}-abcdef0123456789`;
  await spool.append([startItem(name, epoch === undefined ? null : { epoch, last })], { epoch: name });
};

/** About 100 KiB. */
const block = async (spool: DiskLaneSpool): Promise<void> =>
  spool.append(Array.from({ length: 10 }, (_, index) => rollupItem(spool.lastNumber + 1 + index, 3, 0, 10_000)));

/** Reads everything; returns how many items are there and how many gaps stand for. */
async function accounts(spool: DiskLaneSpool): Promise<{ readonly held: number; readonly missing: number }> {
  const counts = { held: 0, missing: 0 };
  let next = 1;
  for (let part = await spool.read(1, MIB, 1_000); part !== undefined; part = await spool.read(next, MIB, 1_000)) {
    expect(part.from).toBe(next);
    counts[part.kind === 'records' ? 'held' : 'missing'] += part.to - part.from + 1;
    next = part.to + 1;
  }
  expect(next).toBe(spool.next);
  return counts;
}

const why = skippedIf(!mounted, 'mounting a small disk needs root');

describe.skipIf(!mounted)(`a lane on a full disk of 16 MiB${why}`, () => {
  afterAll(() => {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  });

  it('drops what was not sent, so that gaps equal the drops exactly, also after a restart', async () => {
    const { blocks, bsize } = statfsSync(disk);
    expect(blocks * bsize).toBe(16 * MIB);
    let spool = await open({});
    await begin(spool);
    for (let index = 0; index < 5; index++) await block(spool);
    expect(await spool.markSent(spool.next - 1)).toBe(true);
    // 25 MB into 16 MiB.
    for (let index = 0; index < 250; index++) await block(spool);
    expect(spool.dropped).toBeGreaterThan(700);
    const { dropped } = spool;
    const before = await accounts(spool);
    expect(before).toEqual({ held: spool.next - 1 - dropped, missing: dropped });
    await spool.saveSentThrough(spool.next);
    await spool.close();
    // Nothing is free: a start, its record and more must find their place all the same.
    spool = await open({});
    expect(await accounts(spool)).toEqual(before);
    await begin(spool);
    for (let index = 0; index < 20; index++) await block(spool);
    expect((await accounts(spool)).missing).toBe(dropped + spool.dropped);
    await spool.release(spool.next - 1);
    await spool.close();
    rmSync(path.join(disk, 'lane'), { recursive: true });
  });

  it('refuses where nothing may be dropped, and goes on by itself when there is space again', async () => {
    const spool = await open({ whenFull: 'refuse' });
    await begin(spool);
    const ballast = path.join(disk, 'ballast');
    writeFileSync(ballast, Buffer.alloc(8 * MIB));
    let refused: unknown;
    while (refused === undefined) await block(spool).catch((error: unknown) => (refused = error));
    expect(refused).toMatchObject({ code: 'disk-full', retryable: true });
    const { next } = spool;
    // What makes room needs none.
    expect(await spool.markSent(next - 1)).toBe(true);
    await spool.saveSentThrough(next);
    await expect(block(spool)).rejects.toMatchObject({ code: 'disk-full' });
    expect(await accounts(spool)).toEqual({ held: next - 1, missing: 0 });
    rmSync(ballast);
    await block(spool);
    expect(await accounts(spool)).toEqual({ held: next + 9, missing: 0 });
    await spool.close();
  });
});
