import { describe, expect, it } from 'vitest';

import { inspectLog, SegmentLog, type SegmentLogOptions } from '../src/index.ts';
import { MemoryFileSystem } from './memory-file-system.ts';

const options = (fileSystem: MemoryFileSystem): SegmentLogOptions => ({
  directory: 'log',
  durability: 'power',
  bytesMax: 1024 * 1024,
  segmentBytesMax: 64 * 1024,
  fileSystem,
});

const items = (count: number): Buffer[] => Array.from({ length: count }, () => Buffer.from('item'));

async function positions(log: SegmentLog): Promise<number[]> {
  const found: number[] = [];
  for await (const frame of log.read(1)) found.push(...frame.items.map((_, index) => frame.first + index));
  return found;
}

describe('a log that is advanced', () => {
  it('gives the next item the position, and says that nothing ever had those before it', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.append(items(3));
    await log.advanceTo(10);
    expect(log.next).toBe(10);
    expect(await log.append(items(2))).toBe(10);
    for (const disk of [undefined, fileSystem.afterKill(), fileSystem.afterPowerCut(() => undefined)]) {
      const found = disk === undefined ? { log, recovery: undefined } : await SegmentLog.open(options(disk));
      expect(found.recovery?.damage ?? []).toEqual([]);
      expect(await positions(found.log)).toEqual([1, 2, 3, 10, 11]);
      expect(found.log.absences({ from: 4, to: 9 })).toEqual([{ from: 4, to: 9, why: 'skipped' }]);
    }
    await log.close();
    expect(await inspectLog('log', fileSystem)).toMatchObject({ skipped: [{ from: 4, to: 9 }], damage: [], next: 12 });
  });

  it('is there also when nothing is appended before the power goes, and when nothing ever was', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.advanceTo(7);
    const { log: again, recovery } = await SegmentLog.open(options(fileSystem.afterPowerCut(() => undefined)));
    expect([again.next, recovery.damage]).toEqual([7, []]);
    expect(await again.append(items(1))).toBe(7);
  });

  it('stays where it is when it is behind the position already, and takes only what can be one', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    await log.append(items(5));
    for (const behind of [1, 5, 6]) await log.advanceTo(behind);
    expect([log.next, log.absences({ from: 1, to: 5 })]).toEqual([6, [{ from: 1, to: 5, why: 'damaged' }]]);
    for (const wrong of [0, -1, 1.5, NaN, 2 ** 53])
      await expect(log.advanceTo(wrong)).rejects.toMatchObject({ code: 'format' });
  });

  it('comes after the appends in hand and before those that follow', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    await log.append(items(1));
    const before = log.append(items(2), { now: true });
    await Promise.resolve();
    const advanced = log.advanceTo(100);
    const after = advanced.then(async () => log.append(items(1)));
    expect(await Promise.all([before, after])).toEqual([2, 100]);
    const [, during] = await Promise.all([log.advanceTo(200), log.append(items(1))]);
    expect([101, 200]).toContain(during);
    expect(await log.append(items(1))).toBeGreaterThanOrEqual(200);
  });

  it('does not move when the disk can not remember it', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.append(items(3));
    fileSystem.fault = (operation, file) => {
      if (operation === 'sync' && file.endsWith('state')) throw new Error('EIO');
    };
    await expect(log.advanceTo(50)).rejects.toMatchObject({ code: 'sync-failed' });
    fileSystem.fault = () => {};
    expect(await log.append(items(1))).toBe(4);
    // Also where the disk has got what the log took back.
    for (const disk of [fileSystem.afterPowerCut(() => undefined), fileSystem.afterPowerCut((change) => change)]) {
      const { log: again } = await SegmentLog.open(options(disk));
      expect(await positions(again)).toEqual([1, 2, 3, 4]);
    }
  });

  it('forgets what was skipped when it is trimmed, and refuses to skip more often than it can remember', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    const skip = async (): Promise<void> => {
      await log.append(items(1));
      await log.advanceTo(log.next + 2);
    };
    for (let i = 0; i < 100; i++) await skip();
    await expect(skip()).rejects.toMatchObject({ code: 'full' });
    await log.trim(log.next);
    await skip();
    expect(log.absences({ from: 2, to: 3 })).toEqual([{ from: 2, to: 3, why: 'trimmed' }]);
  });
});

describe('the newest item', () => {
  it('stays when a newer segment was begun and the disk was full, also after a restart', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open({ ...options(fileSystem), whenFull: 'drop-unsent' });
    for (let i = 0; i < 3; i++) await log.append([Buffer.alloc(60_000)]);
    let newest = '';
    fileSystem.fault = (operation, file) => {
      if (operation === 'create') newest = file;
      if (operation === 'write' && file === newest && fileSystem.bytes(file).length > 0)
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    await expect(log.append([Buffer.alloc(60_000)])).rejects.toMatchObject({ code: 'disk-full' });
    expect(await positions(log)).toEqual([3]);
    await log.trim(log.next);
    expect(await positions(log)).toEqual([3]);
    fileSystem.fault = () => {};
    const { log: again } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(await positions(again)).toEqual([3]);
    expect(await again.append(items(1))).toBe(4);
  });
});

describe('dropping by hand', () => {
  it('frees the oldest unsent segment, tells how many bytes, and 0 when there is none to drop', async () => {
    const { log } = await SegmentLog.open({ ...options(new MemoryFileSystem()), whenFull: 'drop-unsent' });
    for (let i = 0; i < 4; i++) await log.append([Buffer.alloc(60_000)]);
    await log.markSent(1);
    const before = log.bytes;
    const freed = await log.dropOldest();
    expect(freed).toBeGreaterThan(60_000);
    expect([log.bytes, await positions(log)]).toEqual([before - freed, [1, 3, 4]]);
    expect((await Promise.all([log.dropOldest(), log.dropOldest()])).every((bytes) => bytes > 0)).toBe(true);
    expect([await positions(log), log.counts.dropped, await log.dropOldest()]).toEqual([[1, 4], 2, 0]);
  });

  it('drops nothing from a log that refuses', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    for (let i = 0; i < 4; i++) await log.append([Buffer.alloc(60_000)]);
    expect(await log.dropOldest()).toBe(0);
  });

  it('forbids sending from the moment it is decided', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open({ ...options(fileSystem), whenFull: 'drop-unsent' });
    for (let i = 0; i < 3; i++) await log.append([Buffer.alloc(60_000)]);
    let marked: Promise<boolean> | undefined;
    fileSystem.fault = (operation, file) => {
      if (operation === 'sync' && file.endsWith('state')) marked ??= log.markSent(1);
    };
    await log.dropOldest();
    expect(await marked).toBe(false);
  });
});

describe('a segment that could not be begun', () => {
  it('leaves nothing behind that hides the one in its place', async () => {
    // Seeds are random, and with them the order of two files that begin at one position.
    for (let round = 0; round < 20; round++) {
      for (let after = 0; after < 4; after++) {
        const fileSystem = new MemoryFileSystem();
        const { log } = await SegmentLog.open(options(fileSystem));
        let left = after;
        fileSystem.fault = (operation) => {
          if (operation !== 'read' && left-- <= 0) throw new Error('EIO');
        };
        await expect(log.append(items(1))).rejects.toThrow('EIO');
        fileSystem.fault = () => {};
        await log.append(items(2));
        const { log: again } = await SegmentLog.open(options(fileSystem.afterPowerCut(() => undefined)));
        expect(await positions(again)).toEqual([1, 2]);
      }
    }
  });
});
