import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Durability, SegmentLog, type SegmentLogOptions } from '../src/index.ts';
import { MemoryFileSystem, type Survival } from './memory-file-system.ts';

const DIRECTORY = 'log';
const options = (fileSystem: MemoryFileSystem, more: Partial<SegmentLogOptions> = {}): SegmentLogOptions => ({
  directory: DIRECTORY,
  durability: 'power',
  bytesMax: 64 * 1024 * 1024,
  segmentBytesMax: 64 * 1024,
  fileSystem,
  ...more,
});

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
    const [, second = ''] = fileSystem.names();
    const secondFirst = Number(/(\d+)\.seg/.exec(second)?.[1]);
    expect(await log.trim(secondFirst - 1)).toBe(0);
    expect(await log.trim(secondFirst)).toBeGreaterThan(0);
    expect(log.first).toBe(secondFirst);
    expect(await readable(log)).toEqual(range(secondFirst, 5_000));
    await log.trim(Infinity);
    expect(fileSystem.names()).toHaveLength(1);
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
    expect(await log.append([item(4)])).toBe(4);
    expect(fileSystem.names()).toEqual(['log/0000000000000001.seg', 'log/0000000000000004.seg']);
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
  it('names exactly the positions that are missing in the middle', async () => {
    const fileSystem = new MemoryFileSystem();
    await filled(fileSystem, [10, 20, 30]);
    const name = fileSystem.names()[0] ?? '';
    const bytes = fileSystem.bytes(name);
    bytes[4_096 * 2 + 100] = (bytes[4_096 * 2 + 100] ?? 0) ^ 1;
    const { log, recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(recovery.damage).toMatchObject([{ segment: '0000000000000001.seg', from: 11, to: 30 }]);
    expect(await readable(log)).toEqual([...range(1, 10), ...range(31, 60)]);
    expect(await log.append([item(61)])).toBe(61);
  });

  it('names the positions of a segment that is gone, and of one whose header is damaged', async () => {
    const fileSystem = new MemoryFileSystem();
    await filled(
      fileSystem,
      Array.from({ length: 6 }, () => 600),
    );
    const [first = '', second = '', third = ''] = fileSystem.names();
    const firstOf = (name: string): number => Number(/(\d+)\.seg/.exec(name)?.[1]);
    fileSystem.bytes(first)[9] = 77;
    fileSystem.drop(second);
    const { log, recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(recovery.damage.map(({ from, to }) => [from, to])).toEqual([[1, firstOf(third) - 1]]);
    expect((await readable(log))[0]).toBe(firstOf(third));
  });

  it('a frame inside an item is data and not a frame', async () => {
    const inner = new MemoryFileSystem();
    await filled(inner, [5]);
    const forged = inner.bytes('log/0000000000000001.seg').subarray(4_096);
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.append([item(1), forged]);
    await log.append([item(3)]);
    const bytes = fileSystem.bytes('log/0000000000000001.seg');
    bytes[4_096 + 30] = (bytes[4_096 + 30] ?? 0) ^ 1;
    const { recovery } = await SegmentLog.open(options(fileSystem.afterKill()));
    expect(recovery.damage).toMatchObject([{ from: 1, to: 2 }]);
  });
});

/** How a power cut treats what was not synced. */
const survivals: Record<string, (random: () => number) => Survival> = {
  'all of it': () => (change) => change,
  'none of it': () => () => undefined,
  'some writes and not others': (random) => (change) => (random() < 0.5 ? change : undefined),
  'the first bytes of a write': (random) => torn(() => [0, random()]),
  'whole sectors in any order': (random) => sectors(random, 512),
  'whole pages in any order': (random) => sectors(random, 4_096),
  'bytes that were never written': (random) => (change) => {
    if (change.kind !== 'write') return change;
    const bytes = Buffer.from(change.bytes);
    for (let i = 0; i < 3; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    return { ...change, bytes };
  },
};

const torn =
  (part: () => [number, number]): Survival =>
  (change) => {
    if (change.kind !== 'write') return change;
    const [from, to] = part();
    const start = Math.floor(from * change.bytes.length);
    return {
      ...change,
      offset: change.offset + start,
      bytes: change.bytes.subarray(start, Math.ceil(to * change.bytes.length)),
    };
  };

const sectors =
  (random: () => number, size: number): Survival =>
  (change) => {
    if (change.kind !== 'write') return change;
    const bytes = Buffer.from(change.bytes);
    // A sector that did not make it holds what the disk held: zeros, behind the end of the file.
    for (let at = -(change.offset % size); at < bytes.length; at += size) {
      if (random() < 0.5) bytes.fill(0, Math.max(0, at), Math.min(bytes.length, at + size));
    }
    return { ...change, bytes };
  };

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('segment log after a power cut', () => {
  it.each(Object.keys(survivals))('has everything that was acknowledged when the disk got %s', async (kind) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 0, max: 3_000 }),
        fc.integer(),
        async (counts, cutAfter, seed) => {
          const random = randomFrom(seed);
          const fileSystem = new MemoryFileSystem();
          let operations = 0;
          let cut: MemoryFileSystem | undefined;
          const survives = survivals[kind]?.(random) ?? (() => undefined);
          // The power goes at some operation; what comes after it happens to nobody.
          fileSystem.fault = () => {
            operations += 1;
            if (operations > cutAfter % (counts.length * 3 + 4)) {
              cut ??= fileSystem.afterPowerCut(survives);
              throw new Error('power cut');
            }
          };
          let acknowledged = 0;
          try {
            const { log } = await SegmentLog.open(options(fileSystem));
            for (const count of counts) {
              await log.append(itemsFrom(log.next, count));
              acknowledged = log.next - 1;
            }
          } catch {
            // The log is dead; only the disk counts.
          }
          const { log, recovery } = await SegmentLog.open(options(cut ?? fileSystem.afterPowerCut(survives)));
          const found = await readable(log);
          expect(recovery.damage).toEqual([]);
          expect(found).toEqual(range(1, log.next - 1));
          expect(log.next - 1).toBeGreaterThanOrEqual(acknowledged);
          expect(await log.append([item(log.next)])).toBe(found.length + 1);
        },
      ),
      { numRuns: 500 },
    );
  });
});

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
