import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { inspectLog, type PositionRange, SegmentLog, type SegmentLogOptions } from '../src/index.ts';
import { MemoryFileSystem, type Operation } from './memory-file-system.ts';

const resources = resourcesPerTest();
const SEGMENT = 64 * 1024;

const options = (fileSystem: MemoryFileSystem, more: Partial<SegmentLogOptions> = {}): SegmentLogOptions => ({
  directory: 'log',
  durability: 'power',
  bytesMax: 64 * 1024 * 1024,
  segmentBytesMax: SEGMENT,
  fileSystem,
  ...more,
});

/** Items of which one append fills most of a segment. */
const block = (): Buffer[] => Array.from({ length: 10 }, () => Buffer.alloc(5_000, 7));

async function positions(log: SegmentLog, from = 1): Promise<number[]> {
  const found: number[] = [];
  for await (const { first, items } of log.read(from)) found.push(...items.map((_, index) => first + index));
  return found;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Fails the operations of a kind while `on`. */
function failing(fileSystem: MemoryFileSystem, kind: Operation, code: string, only = ''): { on: boolean } {
  const control = { on: false };
  fileSystem.fault = (operation, file) => {
    if (control.on && operation === kind && file.includes(only)) throw Object.assign(new Error(code), { code });
  };
  return control;
}

describe('a log that is full', () => {
  it('drops the oldest segments that are not marked as sent, and tells exactly which positions went', async () => {
    const fileSystem = new MemoryFileSystem();
    const told: PositionRange[] = [];
    const { log } = await SegmentLog.open(
      options(fileSystem, {
        bytesMax: 5 * SEGMENT,
        whenFull: 'drop-unsent',
        async dropping(dropped, frames) {
          const seen: number[] = [];
          for await (const { first, items } of frames) seen.push(...items.map((_, index) => first + index));
          expect(seen).toEqual(range(dropped.from, dropped.to));
          told.push(dropped);
        },
      }),
    );
    await log.append(block());
    expect(await log.markSent(1)).toBe(true);
    for (let i = 1; i < 8; i++) await log.append(block());
    expect(told).toEqual([
      { from: 11, to: 20 },
      { from: 21, to: 30 },
      { from: 31, to: 40 },
    ]);
    expect(await positions(log)).toEqual([...range(1, 10), ...range(41, 80)]);
    expect(log.counts.dropped).toBe(30);
    expect(log.absences({ from: 5, to: 60 }).filter(({ why }) => why === 'dropped')).toEqual([
      { from: 11, to: 40, why: 'dropped' },
    ]);
    expect(await log.markSent(15)).toBe(false);

    // Another start knows it too, also one that finds a dropped file again because the power went.
    for (const after of [fileSystem.afterKill(), fileSystem.afterPowerCut(() => undefined)]) {
      const { log: again, recovery } = await SegmentLog.open(options(after));
      expect(recovery.damage).toEqual([]);
      expect(await positions(again)).toEqual([...range(1, 10), ...range(41, 80)]);
      expect(again.absences({ from: 11, to: 40 })).toEqual([{ from: 11, to: 40, why: 'dropped' }]);
      await again.trim(41);
      expect(again.absences({ from: 11, to: 40 })).toEqual([{ from: 11, to: 40, why: 'trimmed' }]);
    }
  });

  it('refuses when all it could drop is marked as sent, and a mark is safe before it counts', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem, { bytesMax: 4 * SEGMENT, whenFull: 'drop-unsent' }));
    for (let i = 0; i < 3; i++) await log.append(block());
    expect(await log.markSent(30)).toBe(true);
    const { log: again } = await SegmentLog.open(
      options(
        fileSystem.afterPowerCut(() => undefined),
        { bytesMax: 4 * SEGMENT, whenFull: 'drop-unsent' },
      ),
    );
    let error: unknown;
    for (let i = 0; i < 3 && error === undefined; i++)
      await again.append(block()).catch((why: unknown) => (error = why));
    expect(error).toMatchObject({ code: 'full' });
    expect((await positions(again)).slice(0, 30)).toEqual(range(1, 30));
  });

  it('a mark that can not be made safe forbids sending, and dropping too', async () => {
    const fileSystem = new MemoryFileSystem();
    const fault = failing(fileSystem, 'sync', 'EIO', 'state');
    const { log } = await SegmentLog.open(options(fileSystem, { bytesMax: 200 * 1024, whenFull: 'drop-unsent' }));
    for (let i = 0; i < 3; i++) await log.append(block());
    fault.on = true;
    await expect(log.markSent(5)).rejects.toMatchObject({ code: 'sync-failed' });
    await expect(log.append(block())).rejects.toMatchObject({ code: 'sync-failed' });
    expect(await positions(log)).toEqual(range(1, 30));
    fault.on = false;
    expect(await log.markSent(5)).toBe(true);
    await log.append(block());
    expect(await positions(log)).toEqual([...range(1, 10), ...range(21, 40)]);
  });

  /** A log on a disk that has no room for another file until one goes. */
  async function onFullDisk(whenFull: 'refuse' | 'drop-unsent'): Promise<SegmentLog> {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem, { whenFull }));
    for (let i = 0; i < 3; i++) await log.append(block());
    let room = false;
    fileSystem.fault = (operation) => {
      if (operation === 'remove') room = true;
      if (operation === 'create' && !room) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    return log;
  }

  it('makes room on a full disk by dropping', async () => {
    const log = await onFullDisk('drop-unsent');
    expect(await log.append(block())).toBe(31);
    expect(await positions(log)).toEqual(range(11, 40));
  });

  it('fails on a full disk where nothing may be dropped, and goes on when there is room', async () => {
    const log = await onFullDisk('refuse');
    await expect(log.append(block())).rejects.toMatchObject({ code: 'disk-full', retryable: true });
    await log.trim(11);
    expect(await log.append(block())).toBe(31);
    expect(await positions(log)).toEqual(range(11, 40));
  });

  it('keeps the reserve for those who ask for it', async () => {
    const { log } = await SegmentLog.open(
      options(new MemoryFileSystem(), { bytesMax: 3 * SEGMENT, reserveBytes: SEGMENT }),
    );
    for (let i = 0; i < 2; i++) await log.append(block());
    await expect(log.append(block())).rejects.toMatchObject({ code: 'full' });
    expect(await log.append(block(), { reserve: true })).toBe(21);
  });

  it('refuses appends when too much waits for the disk', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    const outcomes = await Promise.allSettled(Array.from({ length: 400 }, async () => log.append(block())));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(50);
    expect(refused[0]).toMatchObject({ reason: { code: 'overloaded', retryable: true } });
    expect(log.counts.items + log.counts.refused).toBe(4_000);
    expect(await log.append(block())).toBe(log.counts.items - 9);
  });
});

describe('group commit', () => {
  it('gathers appends for the delay, and commits at once when one asks to or enough has come', async () => {
    const sizes: number[] = [];
    const { log } = await SegmentLog.open(
      options(new MemoryFileSystem(), {
        commitDelayMs: 60_000,
        segmentBytesMax: 4 * 1024 * 1024,
        committed: ({ items }) => sizes.push(items),
      }),
    );
    const first = log.append([Buffer.alloc(10)]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sizes).toEqual([]);
    await log.append([Buffer.alloc(10)], { now: true });
    expect(await first).toBe(1);
    expect(sizes).toEqual([2]);
    // 30 × 50,000 bytes: full groups go without being asked.
    const many = Promise.all(Array.from({ length: 30 }, async () => log.append(block())));
    const last = log.append([Buffer.alloc(1)], { now: true });
    await Promise.all([many, last]);
    expect(sizes.length).toBeGreaterThan(3);
    const waiting = log.append([Buffer.alloc(10)]);
    await log.close();
    await waiting;
  });

  it('commits when the delay is over', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem(), { commitDelayMs: 20 }));
    const begun = performance.now();
    await Promise.all([log.append([Buffer.alloc(1)]), log.append([Buffer.alloc(1)])]);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(18);
    expect(log.counts.commits).toBe(1);
  });
});

describe('cursors', () => {
  it('survive kills and power cuts, and a write that is cut off leaves the value before', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.setCursor('uplink', 5);
    await log.setCursor('uplink', 9);
    for (const after of [fileSystem.afterKill(), fileSystem.afterPowerCut(() => undefined)])
      expect((await SegmentLog.open(options(after))).log.cursor('uplink')).toBe(9);
    for (let torn = 0; torn < 64; torn++) {
      let cut: MemoryFileSystem | undefined;
      fileSystem.fault = (operation) => {
        if (operation !== 'sync') return;
        cut = fileSystem.afterPowerCut((change) =>
          change.kind === 'write' ? { ...change, bytes: change.bytes.subarray(0, torn * 3) } : change,
        );
        throw new Error('power cut');
      };
      const before = log.cursor('uplink') ?? 0;
      await expect(log.setCursor('uplink', 10 + torn)).rejects.toMatchObject({ code: 'sync-failed' });
      const found = (await SegmentLog.open(options(cut ?? fileSystem))).log.cursor('uplink');
      expect([before, 9, 10 + torn]).toContain(found);
    }
  });

  it('are limited in number and form', async () => {
    const { log } = await SegmentLog.open(options(new MemoryFileSystem()));
    for (let i = 0; i < 16; i++) await log.setCursor(`reader-${i}`, 2 ** 53 - 1);
    await expect(log.setCursor('one-more', 1)).rejects.toMatchObject({ code: 'format' });
    await expect(log.setCursor('No', 1)).rejects.toMatchObject({ code: 'format' });
    await expect(log.setCursor('reader-1', 0)).rejects.toMatchObject({ code: 'format' });
    await log.setCursor('reader-1', undefined);
    await log.setCursor('one-more', 1);
  });

  it('a state that is lost is told, and nothing is dropped that may have been sent', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    for (let i = 0; i < 3; i++) await log.append(block());
    fileSystem.drop('log/state');
    const after = await SegmentLog.open(
      options(fileSystem.afterKill(), { whenFull: 'drop-unsent', bytesMax: 200 * 1024 }),
    );
    expect(after.recovery.stateLost).toBe(true);
    await expect(after.log.append(block())).rejects.toMatchObject({ code: 'full' });
  });
});

describe('a log on a real disk', () => {
  const onDisk = (directory: string, more: Partial<SegmentLogOptions> = {}): SegmentLogOptions => ({
    directory,
    durability: 'process',
    bytesMax: 64 * 1024 * 1024,
    segmentBytesMax: SEGMENT,
    ...more,
  });

  it('is open once at a time, and says by whom', async () => {
    const directory = path.join(await resources.directory(), 'log');
    const { log } = await SegmentLog.open(onDisk(directory));
    await expect(SegmentLog.open(onDisk(directory))).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`in use by process ${process.pid}; stop that one first`) as string,
    });
    await log.close();
    await (await SegmentLog.open(onDisk(directory))).log.close();
  });

  it('can be read while it is trimmed', async () => {
    const { log } = await SegmentLog.open(onDisk(await resources.directory()));
    for (let i = 0; i < 6; i++) await log.append(block());
    const reader = log.read(1);
    expect((await reader.next()).value).toMatchObject({ first: 1 });
    await log.trim(41);
    const rest: number[] = [];
    for await (const { first } of reader) rest.push(first);
    expect(rest).toEqual([41, 51]);
    expect(log.absences({ from: 11, to: 40 })).toEqual([{ from: 11, to: 40, why: 'trimmed' }]);
    await log.close();
  });

  it('can be inspected while it is written to, and is not changed by that', async () => {
    const directory = await resources.directory();
    const { log } = await SegmentLog.open(onDisk(directory));
    for (let i = 0; i < 3; i++) await log.append(block());
    await log.setCursor('uplink', 12);
    await log.markSent(12);
    const before = await Promise.all((await readdir(directory)).map(async (name) => stat(path.join(directory, name))));
    const report = await inspectLog(directory);
    expect(report).toMatchObject({
      first: 1,
      next: 31,
      damage: [],
      state: 'whole',
      cursors: { uplink: 12 },
      segments: [
        { first: 1, next: 11, items: 10, frames: 1, header: 'whole', sent: true, tornBytes: 0 },
        { first: 11, next: 21, sent: true },
        { first: 21, next: 31, sent: false },
      ],
    });
    const after = await Promise.all((await readdir(directory)).map(async (name) => stat(path.join(directory, name))));
    expect(after.map(({ mtimeMs, size }) => [mtimeMs, size])).toEqual(
      before.map(({ mtimeMs, size }) => [mtimeMs, size]),
    );
    await log.close();
  });

  it('is inspected without harm while segments come and go', async () => {
    const directory = await resources.directory();
    const { log } = await SegmentLog.open(onDisk(directory));
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < 60; i++) {
        await log.append(block());
        if (log.segments > 4) await log.trim(log.next - 20);
      }
      writing = false;
    })();
    let looks = 0;
    for (; writing; looks++) expect((await inspectLog(directory)).damage).toEqual([]);
    await writer;
    expect(looks).toBeGreaterThan(3);
    await log.close();
  });

  it('begins another segment when its file was removed by somebody', async () => {
    const directory = await resources.directory();
    const { log } = await SegmentLog.open(onDisk(directory));
    await log.append([Buffer.alloc(100)]);
    const name = (await readdir(directory)).find((file) => file.endsWith('.seg'));
    await rm(path.join(directory, name ?? ''));
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await log.append([Buffer.alloc(100)]);
    expect(await positions(log)).toEqual([2]);
    expect(log.absences({ from: 1, to: 1 })).toEqual([{ from: 1, to: 1, why: 'damaged' }]);
    await log.close();
    const { log: again, recovery } = await SegmentLog.open(onDisk(directory));
    expect(recovery.damage).toMatchObject([{ from: 1, to: 1 }]);
    await again.close();
  });

  it('fails with the reason, and keeps on failing, when its folder was removed', async () => {
    const directory = path.join(await resources.directory(), 'log');
    const { log } = await SegmentLog.open(onDisk(directory));
    await log.append(block());
    await rm(directory, { recursive: true });
    await expect(log.append(block())).rejects.toMatchObject({ code: 'write-failed' });
    await mkdir(directory);
    expect(await log.append(block())).toBe(11);
    await log.close();
  });
});

describe('the end of a log', () => {
  it('is told when the last sync fails, and the log is closed all the same', async () => {
    const fileSystem = new MemoryFileSystem();
    const fault = failing(fileSystem, 'sync', 'EIO', '.seg');
    const { log } = await SegmentLog.open(options(fileSystem, { durability: 'process' }));
    await log.append(block());
    fault.on = true;
    await expect(log.close()).rejects.toMatchObject({ code: 'sync-failed' });
    fault.on = false;
    expect((await SegmentLog.open(options(fileSystem))).log.next).toBe(11);
  });

  it('in the middle of a failing sync rejects what waits and closes', async () => {
    const fileSystem = new MemoryFileSystem();
    const fault = failing(fileSystem, 'sync', 'EIO', '.seg');
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.append(block());
    fault.on = true;
    const appends = [log.append(block()), log.append(block())];
    const closing = log.close();
    const outcomes = await Promise.allSettled([...appends, closing]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    fault.on = false;
    const { log: again, recovery } = await SegmentLog.open(options(fileSystem));
    expect(recovery.damage).toEqual([]);
    expect(again.next).toBe(11);
  });

  it('of all positions is told, and they are exact up to there', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem));
    await log.setCursor('reader', 1);
    await log.close();
    // A state that remembers a position near the end takes the log there.
    const state = Buffer.from(fileSystem.bytes('log/state'));
    const near = Number.MAX_SAFE_INTEGER - 2;
    fileSystem.put('log/state', withNext(state, near));
    const { log: again } = await SegmentLog.open(options(fileSystem));
    expect(await again.append([Buffer.from('a')])).toBe(near);
    expect(await again.append([Buffer.from('b')])).toBe(near + 1);
    await expect(again.append([Buffer.from('c')])).rejects.toMatchObject({ code: 'format', retryable: false });
    await again.close();
    const { log: third, recovery } = await SegmentLog.open(options(fileSystem));
    expect(await positions(third)).toEqual([near, near + 1]);
    expect(recovery.damage).toMatchObject([{ from: 1, to: near - 1 }]);
  });
});

/** A state file whose newest slot names another next position. */
function withNext(state: Buffer, next: number): Buffer {
  const slots = [0, 16 * 1024].map((start) => state.subarray(start, start + 16 * 1024));
  const [newest = state] = slots.toSorted((a, b) => Number(b.readBigUInt64LE(8)) - Number(a.readBigUInt64LE(8)));
  const body = JSON.parse(newest.toString('utf8', 24, 24 + newest.readUInt32LE(16))) as Record<string, unknown>;
  const text = Buffer.from(JSON.stringify({ ...body, next }));
  text.copy(newest, 24);
  newest.writeUInt32LE(text.length, 16);
  newest.writeUInt32LE(crc32(text, crc32(newest.subarray(0, 20))), 20);
  return state;
}

describe('a drop that could not be remembered', () => {
  it('leaves its positions what they were: they can be sent, and nothing says that they are gone', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open(options(fileSystem, { whenFull: 'drop-unsent' }));
    for (let i = 0; i < 3; i++) await log.append(block());
    const disk = failing(fileSystem, 'sync', 'EIO', 'state');
    disk.on = true;
    await expect(log.dropOldest()).rejects.toMatchObject({ code: 'sync-failed' });
    disk.on = false;
    expect(log.counts.dropped).toBe(0);
    expect(await log.markSent(1)).toBe(true);
    expect(await positions(log)).toEqual(range(1, 30));
    await log.close();
  });
});

describe('the reserve', () => {
  it('is not for those who come together with one who may use it', async () => {
    const bytesMax = 4 * SEGMENT;
    const { log } = await SegmentLog.open(options(new MemoryFileSystem(), { bytesMax, reserveBytes: SEGMENT }));
    let isFull = false;
    while (!isFull)
      isFull = await log.append([Buffer.alloc(1_000)]).then(
        () => false,
        () => true,
      );
    const together = [true, false].map((reserve) => log.append([Buffer.alloc(1_000)], { reserve }));
    expect((await Promise.allSettled(together)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await log.close();
  });
});
