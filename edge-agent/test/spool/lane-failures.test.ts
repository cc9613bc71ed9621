import { describe, expect, it } from 'vitest';

import { MemoryFileSystem } from '../../../segment-log/test/memory-file-system.ts';
import type { LanePart } from '../../src/lane-spool.ts';
import { DiskLaneSpool, type DiskLaneSpoolOptions } from '../../src/spool/disk-lane-spool.ts';
import { decodeSpooled } from '../../src/spooled-record.ts';
import { rollupItem, startItem } from './spooled-items.ts';

const KIB = 1024;
const EPOCHS = ['1-aaaaaaaa', '2-bbbbbbbb', '3-cccccccc'] as const;

const options = (fileSystem: MemoryFileSystem, more: Partial<DiskLaneSpoolOptions> = {}): DiskLaneSpoolOptions => ({
  directory: 'lane',
  lane: 'telemetry',
  durability: 'power',
  bytesMax: 256 * KIB,
  segmentBytesMax: 32 * KIB,
  whenFull: 'drop-unsent',
  fileSystem,
  ...more,
});

const open = async (disk: MemoryFileSystem, more?: Partial<DiskLaneSpoolOptions>): Promise<DiskLaneSpool> =>
  (await DiskLaneSpool.open(options(disk, more))).spool;

const begin = async (spool: DiskLaneSpool, epoch: string): Promise<void> => {
  const { epoch: before, lastNumber: last } = spool;
  await spool.append([startItem(epoch, before === undefined ? null : { epoch: before, last })], { epoch });
};

/** One append of rollups, about 20 KiB: one segment takes one. */
const block = async (spool: DiskLaneSpool, items = 4): Promise<void> =>
  spool.append(
    Array.from({ length: items }, (_, index) =>
      rollupItem(spool.lastNumber + 1 + index, 10, 10_000 * spool.next, 5_000),
    ),
  );

async function parts(spool: DiskLaneSpool): Promise<LanePart[]> {
  const found: LanePart[] = [];
  for (let part = await spool.read(1, 1e9, 1e9); part !== undefined; part = await spool.read(part.to + 1, 1e9, 1e9))
    found.push(part);
  return found;
}

const shape = (part: LanePart): unknown[] => [
  part.epoch,
  part.kind === 'gap' ? part.gap.reason : 'records',
  part.number,
  part.number + part.to - part.from,
];

describe('what is not safe', () => {
  it('is not shown to a reader: nothing can be published before it is synced', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk);
    await begin(spool, EPOCHS[0]);
    const seen: Promise<unknown>[] = [];
    const nexts = new Set<number>();
    disk.fault = (operation) => {
      if (operation === 'read') return;
      seen.push(spool.read(2, 1e9, 1e9));
      nexts.add(spool.next);
    };
    await block(spool);
    disk.fault = () => {};
    expect(seen.length).toBeGreaterThan(1);
    expect([...nexts]).toEqual([2]);
    expect((await Promise.all(seen)).every((part) => part === undefined)).toBe(true);
    expect(await spool.read(2, 1e9, 1e9)).toMatchObject({ kind: 'records', from: 2, to: 5 });
  });

  it('goes with a power cut at any moment, and all that one append took is there or none of it', async () => {
    for (let operations = 0; operations < 12; operations++) {
      const disk = new MemoryFileSystem();
      const spool = await open(disk);
      await begin(spool, EPOCHS[0]);
      await block(spool);
      let left = operations;
      const cuts: MemoryFileSystem[] = [];
      disk.fault = (operation) => {
        if (operation === 'read' || left-- !== 0) return;
        cuts.push(
          disk.afterPowerCut(() => undefined),
          disk.afterPowerCut((change) => change),
          disk.afterKill(),
        );
        for (const bytes of [10, 4_200, 12_288]) {
          const prefix = (written: Buffer): Buffer => written.subarray(0, bytes);
          // The length of a file may be safe before its contents.
          const padded = (written: Buffer): Buffer => Buffer.concat([prefix(written)], written.length);
          for (const torn of [prefix, padded]) {
            const part = disk.afterPowerCut((change) =>
              change.kind === 'write' ? { ...change, bytes: torn(change.bytes) } : change,
            );
            cuts.push(part);
          }
        }
      };
      await block(spool);
      for (const cut of cuts) {
        const again = await open(cut);
        expect([6, 10]).toContain(again.next);
        const found = await parts(again);
        const numbers = found.map((part) =>
          part.kind === 'records' ? part.items.map((item) => decodeSpooled(item).record.number) : [],
        );
        expect(numbers.flat()).toEqual(Array.from({ length: again.next - 1 }, (_, index) => index + 1));
        // What a start has found is safe: it may be sent at once.
        expect((await open(cut.afterPowerCut(() => undefined))).next).toBe(again.next);
      }
    }
  }, 60_000);
});

describe('an epoch', () => {
  it('that could not begin has left no trace, and begins at the next attempt', async () => {
    for (let operations = 0; operations < 8; operations++) {
      const disk = new MemoryFileSystem();
      let spool = await open(disk);
      await begin(spool, EPOCHS[0]);
      let left = operations;
      disk.fault = (operation) => {
        if (operation !== 'read' && left-- <= 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      };
      await begin(spool, EPOCHS[1]).catch(() => {});
      disk.fault = () => {};
      if (spool.epoch === EPOCHS[1]) continue;
      expect([spool.epoch, spool.lastNumber, spool.locate(EPOCHS[1], 1)]).toEqual([EPOCHS[0], 1, undefined]);
      // A process that ends here has no such epoch, and another one takes its place.
      await spool.close();
      spool = await open(disk.afterPowerCut(() => undefined));
      await begin(spool, EPOCHS[2]);
      await spool.close();
      spool = await open(disk.afterKill());
      if (spool.epoch === EPOCHS[0]) await begin(spool, EPOCHS[1]);
      expect((await parts(spool)).map(shape)).toEqual([
        [EPOCHS[0], 'records', 1, 1],
        [EPOCHS[1], 'records', 1, 1],
      ]);
    }
  });

  it('keeps appends that come at the same time in their places', async () => {
    const spool = await open(new MemoryFileSystem());
    await begin(spool, EPOCHS[0]);
    const item = (number: number): Uint8Array[] => [rollupItem(number, 1, 0)];
    await Promise.all([
      spool.append(item(2)),
      spool.append([startItem(EPOCHS[1], { epoch: EPOCHS[0], last: 2 })], { epoch: EPOCHS[1] }),
      spool.append(item(2)),
      spool.append(item(3)),
    ]);
    expect((await parts(spool)).map(shape)).toEqual([
      [EPOCHS[0], 'records', 1, 2],
      [EPOCHS[1], 'records', 1, 3],
    ]);
  });

  it('that is old is forgotten only when its successor is not needed either, and one too many is refused', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk, { bytesMax: 64 * 1024 * KIB, segmentBytesMax: 64 * KIB, durability: 'process' });
    const name = (index: number): string => `${index}-abcdef0123456789`;
    for (let index = 1; index <= 700; index++) {
      await begin(spool, name(index));
      await spool.append([rollupItem(2, 1, 0, 200)]);
    }
    await expect(begin(spool, name(701))).rejects.toMatchObject({ code: 'full', retryable: true });
    expect([spool.epoch, spool.lastNumber]).toEqual([name(700), 2]);
    await spool.release(spool.next - 1);
    await begin(spool, name(701));
    expect([spool.locate(name(1), 1), spool.locate(name(2), 1)]).toEqual([undefined, 3]);
    expect(await spool.read(1, 1e9, 1e9)).toMatchObject({
      from: 3,
      to: 4,
      gap: { number: 1, to: 2, reason: 'trimmed', predecessor: { epoch: name(1), last: 2 } },
    });
    const beginning = await spool.read(spool.beginning, 1e9, 1e9);
    expect(beginning).toMatchObject({ kind: 'gap', number: 1, gap: { reason: 'trimmed' } });
    await spool.close();
    const again = await open(disk.afterKill(), { bytesMax: 64 * 1024 * KIB, segmentBytesMax: 64 * KIB });
    expect([again.epoch, again.locate(name(2), 1), again.beginning]).toEqual([name(701), 3, spool.beginning]);
  }, 60_000);
});

describe('damage', () => {
  it('gives an exact gap, also in place of a start record', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk);
    for (const epoch of EPOCHS) {
      await begin(spool, epoch);
      await block(spool);
      await block(spool);
    }
    await spool.close();
    const segments = disk.names().filter((file) => file.endsWith('.seg'));
    expect(segments.length).toBeGreaterThan(5);
    // The frames of the second epoch's start and of its first block.
    disk.drop(segments[2]!);
    const again = await open(disk);
    const found = (await parts(again)).map(shape);
    expect(found).toContainEqual([EPOCHS[1], 'damage', 2, 5]);
    const damaged = await again.read(again.locate(EPOCHS[1], 2)!, 1e9, 1e9);
    expect(damaged).toMatchObject({ gap: { number: 2, to: 5, reason: 'damage', frames: [] } });
  });

  it('to one slot of the table costs nothing', async () => {
    for (const offset of [40, 160 * KIB + 40]) {
      const disk = new MemoryFileSystem();
      const spool = await open(disk);
      for (const epoch of EPOCHS) await begin(spool, epoch);
      disk.flip('lane/epochs', offset);
      const again = await open(disk.afterKill());
      expect((await parts(again)).map(({ epoch }) => epoch)).toEqual(EPOCHS);
    }
  });
});

describe('a table that is lost', () => {
  it('is found again in the records, with the numbers that were', async () => {
    for (const trimmed of [0, 1, 4, 6, 9, 13]) {
      const disk = new MemoryFileSystem();
      const spool = await open(disk);
      for (const epoch of EPOCHS) {
        await begin(spool, epoch);
        await block(spool);
      }
      await spool.release(trimmed);
      const before = await parts(spool);
      disk.drop('lane/epochs');
      const again = await open(disk.afterKill());
      const found = await parts(again);
      // What is gone with all that names it is gone.
      expect(found.map(shape)).toEqual(before.slice(-found.length).map(shape));
      expect([again.first, again.epoch, again.lastNumber]).toEqual([spool.first, EPOCHS[2], 5]);
      expect(found.some(({ from }) => from === again.first)).toBe(true);
      await begin(again, '4-dddddddd');
      expect([again.lastNumber, again.locate('4-dddddddd', 1)]).toEqual([1, 16]);
    }
  });

  it('and can not be found again ends the start with the reason', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk);
    await begin(spool, EPOCHS[0]);
    for (let index = 0; index < 3; index++) await block(spool);
    await spool.release(spool.next - 1);
    disk.drop('lane/epochs');
    const found = open(disk.afterKill());
    await expect(found).rejects.toMatchObject({ code: 'format', message: /the table of epochs in lane is damaged/ });
  });
});

describe('a disk that is full', () => {
  it('takes the table, the mark and the cursor still, and drops what was not sent', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk, { bytesMax: 4096 * KIB });
    await begin(spool, EPOCHS[0]);
    for (let index = 0; index < 6; index++) await block(spool);
    expect(await spool.markSent(5)).toBe(true);
    // No file may grow or be made until one goes.
    let room = 0;
    disk.fault = (operation) => {
      if (operation === 'remove') room += 1;
      if (operation === 'create' && room-- <= 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    for (let index = 0; index < 3; index++) await block(spool);
    await spool.saveSentThrough(6);
    expect(spool.dropped).toBeGreaterThan(0);
    const gaps = (await parts(spool)).filter(({ kind }) => kind === 'gap');
    expect(gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)).toBe(spool.dropped);
    expect(gaps).toMatchObject([{ gap: { reason: 'cap' } }]);
    expect(gaps[0]!.from).toBeGreaterThan(5);
  });

  it('refuses where nothing may be dropped, keeps what it has, and takes the same again when there is room', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk, { whenFull: 'refuse' });
    await begin(spool, EPOCHS[0]);
    disk.fault = (operation, file) => {
      if (operation === 'write' && file.endsWith('.seg')) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    await expect(block(spool)).rejects.toMatchObject({ code: 'disk-full', retryable: true });
    expect([spool.next, await spool.dropOldest(), spool.dropped]).toEqual([2, 0, 0]);
    disk.fault = () => {};
    await block(spool);
    expect((await parts(spool)).map(shape)).toEqual([[EPOCHS[0], 'records', 1, 5]]);
  });

  it('takes the beginning of an epoch all the same: room may depend on what the cloud processor says of it', async () => {
    const spool = await open(new MemoryFileSystem(), { whenFull: 'refuse', reserveBytes: 32 * KIB });
    await begin(spool, EPOCHS[0]);
    const filled = async (): Promise<void> => {
      for (;;) await block(spool);
    };
    await expect(filled()).rejects.toMatchObject({ code: 'full' });
    await begin(spool, EPOCHS[1]);
    expect(spool.epoch).toBe(EPOCHS[1]);
    await expect(block(spool)).rejects.toMatchObject({ code: 'full' });
    await spool.close();
  });

  it('does not lose what could not be dropped because the disk failed', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk);
    await begin(spool, EPOCHS[0]);
    while (spool.dropped === 0) await block(spool);
    const before = (await parts(spool)).map(shape);
    for (const file of ['epochs', 'state']) {
      disk.fault = (operation, path) => {
        if (operation === 'sync' && path.endsWith(file)) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      };
      await expect(spool.dropOldest()).rejects.toMatchObject({ code: 'sync-failed' });
      expect((await parts(spool)).map(shape)).toEqual(before);
    }
    disk.fault = () => {};
    expect(await spool.dropOldest()).toBeGreaterThan(0);
  });
});

describe('dropped frames', () => {
  it('are told one by one with readings and event times, and more coarsely when they are too many', async () => {
    const disk = new MemoryFileSystem();
    const spool = await open(disk, { bytesMax: 8 * 1024 * KIB, segmentBytesMax: 704 * KIB, durability: 'process' });
    await begin(spool, EPOCHS[0]);
    // More than a thousand frames in a segment, the first ones each of two rollups.
    for (let index = 0; spool.segments < 2; index++) {
      const rollups = index < 50 ? [0, 1] : [0];
      await spool.append(
        rollups.map((more) => rollupItem(spool.lastNumber + 1 + more, 7, 10_000 * (2 * index + more))),
      );
    }
    await spool.dropOldest();
    const part = await spool.read(1, 1e9, 1e9);
    expect(part?.kind).toBe('gap');
    const gap = part?.kind === 'gap' ? part.gap : undefined;
    expect(gap).toMatchObject({ number: 1, reason: 'cap', predecessor: null });
    expect(gap!.frames).toHaveLength(1_000);
    expect(gap!.frames[0]).toMatchObject({ number: 1, to: 3, readings: 14, eventTimes: { from: 0, to: 19_999 } });
    expect(gap!.frames.reduce((sum, { readings }) => sum + readings, 0)).toBe(7 * (gap!.to - 1));
    expect(gap!.frames.at(-1)!.to).toBe(gap!.to);
    // Frames that were told are not joined with those that come later.
    const { to } = part!;
    while (spool.segments < 2) await spool.append([rollupItem(spool.lastNumber + 1, 7, 0, 900)]);
    await spool.dropOldest();
    const rest = await spool.read(to + 1, 1e9, 1e9);
    expect(rest).toMatchObject({ from: to + 1, gap: { number: to + 1, reason: 'cap' } });
    const told = rest?.kind === 'gap' ? rest.gap : undefined;
    expect(told!.frames[0]!.number).toBe(to + 1);
    expect(told!.frames.reduce((sum, { readings }) => sum + readings, 0)).toBe(7 * (told!.to - to));
  }, 60_000);

  it('are told exactly behind a gap that was told before, also after a kill', async () => {
    const disk = new MemoryFileSystem();
    const more = { bytesMax: 8 * 1024 * KIB, segmentBytesMax: 704 * KIB, durability: 'process' } as const;
    const spool = await open(disk, more);
    await begin(spool, EPOCHS[0]);
    const fill = async (lane: DiskLaneSpool): Promise<void> => {
      while (lane.segments < 2) await lane.append([rollupItem(lane.lastNumber + 1, 7, 0, 480)]);
      await lane.dropOldest();
    };
    await fill(spool);
    const told = await spool.read(1, 1e9, 1e9);
    const frames = told?.kind === 'gap' ? told.gap.frames : [];
    // An odd number, so that joining two by two would join the last one with the first of the next drop.
    expect([frames.length < 1_000, frames.length % 2]).toEqual([true, 1]);
    const { spool: again } = await DiskLaneSpool.open(options(disk.afterKill(), more));
    await fill(again);
    const rest = await again.read(told!.to + 1, 1e9, 1e9);
    const next = rest?.kind === 'gap' ? rest.gap : undefined;
    expect(next!.frames[0]!.number).toBe(told!.to + 1);
    expect(next!.frames.reduce((sum, { readings }) => sum + readings, 0)).toBe(7 * (rest!.to - told!.to));
  });

  it('of two epochs are never told together', async () => {
    const spool = await open(new MemoryFileSystem(), {
      bytesMax: 8 * 1024 * KIB,
      segmentBytesMax: 704 * KIB,
      durability: 'process',
    });
    await begin(spool, EPOCHS[0]);
    // With its start an odd number of frames, so that joining two by two would join the last one with the next epoch.
    for (let i = 0; i < 100; i++) await spool.append([rollupItem(spool.lastNumber + 1, 7, 0)]);
    await begin(spool, EPOCHS[1]);
    while (spool.segments < 2) await spool.append([rollupItem(spool.lastNumber + 1, 7, 0)]);
    await spool.dropOldest();
    const [first, second] = await parts(spool);
    const readings = (part: LanePart | undefined): number[] =>
      part?.kind === 'gap'
        ? [part.gap.frames.length, part.gap.frames.reduce((sum, frame) => sum + frame.readings, 0)]
        : [];
    expect(readings(first)[1]).toBe(7 * 100);
    expect(readings(second)[1]).toBe(7 * (second!.to - second!.from));
    expect(readings(first)[0]! + readings(second)[0]!).toBe(1_000);
  });
});
