import path from 'node:path';
import { crc32 } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { type Durability, type FileSystem, SegmentLog, type SegmentLogOptions } from '../src/index.ts';
import { MemoryFileSystem } from './memory-file-system.ts';

const DIRECTORY = 'log';
const options = (fileSystem: MemoryFileSystem, more: Partial<SegmentLogOptions> = {}): SegmentLogOptions => ({
  directory: DIRECTORY,
  durability: 'power',
  bytesMax: 64 * 1024 * 1024,
  segmentBytesMax: 64 * 1024,
  fileSystem,
  ...more,
});

const segmentsOf = (fileSystem: MemoryFileSystem): string[] =>
  fileSystem.names().filter((name) => name.endsWith('.seg'));
const firstOf = (name: string): number => Number(/(\d+)-[0-9a-f]+\.seg/.exec(name)?.[1]);

const item = (position: number, size = 60): Buffer => {
  const bytes = Buffer.alloc(size, position % 251);
  bytes.writeUInt32LE(position);
  return bytes;
};
const itemsFrom = (first: number, count: number, size?: number): Buffer[] =>
  Array.from({ length: count }, (_, i) => item(first + i, size));

/** Every position that can be read, with a check that each holds what was appended as that position. */
async function readable(log: SegmentLog, from = 1): Promise<number[]> {
  const positions: number[] = [];
  for await (const { first, items } of log.read(from)) {
    for (const [i, bytes] of items.entries()) {
      expect(Buffer.from(bytes).readUInt32LE(0)).toBe(first + i);
      positions.push(first + i);
    }
  }
  return positions;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);

/** Appends `groups` frames of the given item counts; returns the acknowledged positions' end. */
async function filled(
  fileSystem: MemoryFileSystem,
  counts: readonly number[],
  more: Partial<SegmentLogOptions> = {},
): Promise<SegmentLog> {
  const { log } = await SegmentLog.open(options(fileSystem, more));
  for (const count of counts) await log.append(itemsFrom(log.next, count));
  return log;
}

describe('segment log', () => {
  it('gives back every item in order, from any position on', async () => {
    const log = await filled(new MemoryFileSystem(), [1, 2, 3, 400, 500, 800]);
    expect(log.next).toBe(1_707);
    expect(await readable(log)).toEqual(range(1, 1_706));
    for (const from of [2, 3, 4, 6, 7, 406, 407, 905, 906, 907, 1_706, 1_707])
      expect(await readable(log, from)).toEqual(range(from, 1_706));
  });

  it('reads from far behind without an index of every frame, and frames larger than what is read at once', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem, { segmentBytesMax: 4 * 1024 * 1024 }));
    for (let i = 0; i < 60; i++) await log.append(itemsFrom(log.next, 1, i % 10 === 0 ? 600_000 : 5_000));
    for (const from of [1, 10, 11, 12, 30, 59, 60]) expect(await readable(log, from)).toEqual(range(from, 60));
  });

  it('appends that come together share one frame and one sync', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.append([item(1)]);
    const before = fileSystem.syncs;
    const firsts = await Promise.all([log.append(itemsFrom(2, 3)), log.append([item(5)]), log.append(itemsFrom(6, 2))]);
    expect(firsts).toEqual([2, 5, 6]);
    expect(fileSystem.syncs - before).toBe(1);
  });

  it('goes on after a clean stop where it ended', async () => {
    const fileSystem = new MemoryFileSystem();
    await (await filled(fileSystem, [3, 4])).close();
    const { log, recovery } = await SegmentLog.open(options(fileSystem));
    expect(recovery).toMatchObject({ segments: 1, tornBytes: 0, damage: [] });
    await log.append([item(8)]);
    expect(await readable(log)).toEqual(range(1, 8));
  });

  it('deletes whole segments only, and never the newest', async () => {
    const fileSystem = new MemoryFileSystem();
    const log = await filled(
      fileSystem,
      Array.from({ length: 10 }, () => 500),
    );
    const [, second = ''] = segmentsOf(fileSystem);
    const secondFirst = firstOf(second);
    expect(await log.trim(secondFirst - 1)).toBe(0);
    expect(await log.trim(secondFirst)).toBeGreaterThan(0);
    expect(log.first).toBe(secondFirst);
    expect(await readable(log)).toEqual(range(secondFirst, 5_000));
    await log.trim(Infinity);
    expect(segmentsOf(fileSystem)).toHaveLength(1);
    await log.append([item(5_001)]);
    expect(await readable(log, 5_001)).toEqual([5_001]);
  });

  it('refuses appends at its limit, keeps what it has, and takes more when it was trimmed', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem, { bytesMax: 200 * 1024 }));
    let refused: unknown;
    while (refused === undefined)
      await log.append(itemsFrom(log.next, 100)).catch((error: unknown) => (refused = error));
    expect(refused).toMatchObject({ code: 'full', retryable: true });
    const { next } = log;
    expect(await readable(log)).toEqual(range(1, next - 1));
    await log.trim(next);
    expect(await log.append([item(next)])).toBe(next);
  });

  it('refuses an append that no segment can hold', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    await expect(log.append([Buffer.alloc(64 * 1024)])).rejects.toMatchObject({ code: 'too-large', retryable: false });
  });

  it('refuses appends after it was closed', async () => {
    const log = await filled(new MemoryFileSystem(), [1]);
    await log.close();
    await expect(log.append([item(2)])).rejects.toMatchObject({ code: 'closed' });
  });
});

describe('segment log when the disk fails', () => {
  it('does not write to a file again after its sync failed, and counts the positions it shares with the next one only there', async () => {
    const fileSystem = new MemoryFileSystem();
    const log = await filled(fileSystem, [3]);
    let failing = true;
    fileSystem.fault = (operation) => {
      if (operation === 'sync' && failing) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    await expect(log.append(itemsFrom(4, 2))).rejects.toMatchObject({ code: 'sync-failed' });
    expect(await readable(log)).toEqual([1, 2, 3]);
    failing = false;
    // What is not safe must not look as if it were to a start that comes now: the system may never bring it to the disk.
    expect((await SegmentLog.open(options(fileSystem.afterKill()))).log.next).toBe(4);
    expect(await log.append([item(4)])).toBe(4);
    expect(segmentsOf(fileSystem).map(firstOf)).toEqual([1, 4]);
    for (const after of [
      fileSystem.afterKill(),
      fileSystem.afterPowerCut((change) => change),
      fileSystem.afterPowerCut(() => undefined),
    ]) {
      const { log: again, recovery } = await SegmentLog.open(options(after));
      expect(recovery.damage).toEqual([]);
      expect(await readable(again)).toEqual([1, 2, 3, 4]);
    }
  });

  it.each(['ENOSPC', 'EIO'])(
    'takes back a write that failed with %s, and goes on when there is room again',
    async (code) => {
      const fileSystem = new MemoryFileSystem();
      const log = await filled(fileSystem, [3]);
      let failing = true;
      fileSystem.fault = (operation) => {
        if (operation === 'write' && failing) throw Object.assign(new Error(code), { code });
      };
      await expect(log.append([item(4)])).rejects.toMatchObject({
        code: code === 'ENOSPC' ? 'disk-full' : 'write-failed',
      });
      failing = false;
      expect(await log.append([item(4)])).toBe(4);
      expect(await readable(log)).toEqual([1, 2, 3, 4]);
    },
  );

  it('a new segment that can not be made is tried again', async () => {
    const fileSystem = new MemoryFileSystem();
    const log = await filled(fileSystem, [900]);
    let failing = true;
    fileSystem.fault = (operation) => {
      if ((operation === 'create' || operation === 'sync-directory') && failing)
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    };
    await expect(log.append(itemsFrom(901, 900))).rejects.toMatchObject({ code: 'disk-full' });
    failing = false;
    await log.append(itemsFrom(901, 900));
    expect(await readable(log)).toEqual(range(1, 1_800));
  });
});

describe('segment log after damage', () => {
  it('names exactly the positions that are missing in the middle, and sets their bytes aside once', async () => {
    const fileSystem = new MemoryFileSystem();
    await filled(fileSystem, [10, 20, 30]);
    const [name = ''] = segmentsOf(fileSystem);
    const bytes = fileSystem.bytes(name).subarray(4_096 + 24 + 640, 4_096 * 3);
    fileSystem.flip(name, 4_096 * 2 + 100);
    const { log, recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(recovery.damage).toMatchObject([{ segment: path.basename(name), from: 11, to: 30 }]);
    expect(await readable(log)).toEqual([...range(1, 10), ...range(31, 60)]);
    expect(await log.append([item(61)])).toBe(61);
    expect(log.absences({ from: 11, to: 30 })).toEqual([{ from: 11, to: 30, why: 'damaged' }]);

    const after = fileSystem.afterKill();
    expect((await SegmentLog.open(options(after))).recovery.setAside).toHaveLength(1);
    const aside = after.names().find((file) => file.startsWith(`${DIRECTORY}/damaged/`));
    expect(after.bytes(aside ?? '')).toHaveLength(bytes.length);
    const { recovery: again } = await SegmentLog.open(options(after.afterKill()));
    expect(again.setAside).toEqual([]);
    expect(again.damage).toHaveLength(1);
  });

  it('names the positions of segments that are gone, the oldest and the newest included', async () => {
    const fileSystem = new MemoryFileSystem();
    const counts = Array.from({ length: 5 }, () => 600);
    await (await filled(fileSystem, counts)).close();
    const [first = '', second = '', third = '', fourth = '', newest = ''] = segmentsOf(fileSystem);
    for (const name of [first, third, newest]) fileSystem.drop(name);
    const { log, recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    const gone = [
      [1, firstOf(second) - 1],
      [firstOf(third), firstOf(fourth) - 1],
      [firstOf(newest), 3_000],
    ];
    expect(recovery.damage.map(({ from, to }) => [from, to])).toEqual(gone);
    expect(await log.append([item(3_001)])).toBe(3_001);
    expect((await readable(log)).length).toBe(3_001 - gone.reduce((sum, [from = 0, to = 0]) => sum + to - from + 1, 0));
  });

  it('a damaged header costs nothing, in the middle and at the end', async () => {
    const fileSystem = new MemoryFileSystem();
    await filled(
      fileSystem,
      Array.from({ length: 6 }, () => 600),
    );
    for (const name of segmentsOf(fileSystem)) fileSystem.flip(name, 9);
    const { log, recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(recovery.damage).toEqual([]);
    expect(await log.append([item(3_601)])).toBe(3_601);
    expect(await readable(log)).toEqual(range(1, 3_601));
  });

  it('a page that the disk can not give back costs its frame and nothing else', async () => {
    const fileSystem = new MemoryFileSystem();
    await filled(fileSystem, [10, 20, 30]);
    const [name = ''] = segmentsOf(fileSystem);
    const bad = fileSystem.bytes(name).readUInt32LE(4_096 * 2);
    const { log, recovery } = await SegmentLog.open({
      ...options(fileSystem),
      directory: DIRECTORY,
      fileSystem: withBadPage(fileSystem.afterKill(), name, 4_096 * 2),
    });
    expect(bad).not.toBe(0);
    expect(recovery.damage).toMatchObject([{ from: 11, to: 30 }]);
    expect(await readable(log)).toEqual([...range(1, 10), ...range(31, 60)]);
  });

  it('a frame inside an item is data and not a frame', async () => {
    const inner = new MemoryFileSystem();
    await filled(inner, [5]);
    const forged = inner.bytes(segmentsOf(inner)[0] ?? '').subarray(4_096);
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.append([item(1), forged]);
    await log.append([item(3)]);
    fileSystem.flip(segmentsOf(fileSystem)[0] ?? '', 4_096 + 30);
    const { recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(recovery.damage).toMatchObject([{ from: 1, to: 2 }]);
  });

  it('what a newer release wrote is refused and left alone', async () => {
    const fileSystem = new MemoryFileSystem();
    await (await filled(fileSystem, [5])).close();
    const [name = ''] = segmentsOf(fileSystem);
    const bytes = Buffer.from(fileSystem.bytes(name));
    bytes.write('FLWSEG02', 'latin1');
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 20)), 20);
    fileSystem.put(name, bytes);
    await expect(SegmentLog.open(options(fileSystem))).rejects.toMatchObject({
      code: 'format',
      message: expect.stringContaining('newer release') as string,
    });
    expect(fileSystem.bytes(name)).toEqual(bytes);
  });
});

/** A file of which one page can't be read. */
function withBadPage(inner: MemoryFileSystem, name: string, page: number): FileSystem {
  return {
    makeDirectory: async () => {},
    list: async (directory) => inner.list(directory),
    remove: async (file) => inner.remove(file),
    syncDirectory: async (directory) => inner.syncDirectory(directory),
    lock: async (directory) => inner.lock(directory),
    async open(file, mode) {
      const opened = await inner.open(file, mode);
      if (file !== name) return opened;
      return {
        ...opened,
        async read(offset, length) {
          if (offset < page + 4_096 && offset + length > page)
            throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
          return opened.read(offset, length);
        },
      };
    },
  };
}

describe.each(['power', 'process'] as Durability[])('segment log with durability %s', (durability) => {
  it('has everything that was acknowledged after a kill at any operation', async () => {
    const counts = [5, 300, 400, 1, 900, 50, 700];
    for (let killAt = 0; ; killAt++) {
      const fileSystem = new MemoryFileSystem();
      let operations = 0;
      let killed: MemoryFileSystem | undefined;
      fileSystem.fault = () => {
        if (operations++ >= killAt) {
          killed ??= fileSystem.afterKill();
          throw new Error('killed');
        }
      };
      let acknowledged = 0;
      try {
        const { log } = await SegmentLog.open(options(fileSystem, { durability }));
        for (const count of counts) {
          await log.append(itemsFrom(log.next, count));
          acknowledged = log.next - 1;
        }
      } catch {
        // Killed.
      }
      const { log } = await SegmentLog.open(options(killed ?? fileSystem.afterKill(), { durability }));
      expect((await readable(log)).length).toBeGreaterThanOrEqual(acknowledged);
      if (killed === undefined) return;
    }
  });
});
