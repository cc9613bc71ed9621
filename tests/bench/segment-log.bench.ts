import { open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { SegmentLog, type SegmentLogOptions } from '@floorwatch/segment-log';
import { expect, it } from 'vitest';

import { resourcesPerSuite } from '../support/index.ts';
import { publish } from './report.ts';

const RECORD_BYTES = 60;
const ROUNDS = 3;
const MIB = 1024 * 1024;

const resources = resourcesPerSuite();
const record = Buffer.alloc(RECORD_BYTES, 7);

interface Figures {
  readonly perSecond: number;
  /** Of one core, in the whole process: the log's own work and what the system does for it. */
  readonly perCoreSecond: number;
}

const options = (directory: string, more: Partial<SegmentLogOptions> = {}): SegmentLogOptions => ({
  directory,
  durability: 'process',
  bytesMax: 4_096 * MIB,
  ...more,
});

/** Times `run`, which handles `records`. */
async function timed(records: number, run: () => Promise<void>): Promise<Figures> {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await run();
  const seconds = (performance.now() - begun) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: records / seconds, perCoreSecond: records / ((user + system) / 1e6) };
}

const best = (rounds: readonly Figures[], by: keyof Figures): number =>
  Math.max(...rounds.map((figures) => figures[by]));
const millions = (value: number): string => `${(value / 1e6).toFixed(2)} M`;

/** Appends `count` records, `perAppend` of them at a time, and lets `onTheWay` records be on the way at once. */
async function appendAll(log: SegmentLog, count: number, perAppend: number, onTheWay = 20_000): Promise<void> {
  const items = Array.from({ length: perAppend }, () => record);
  for (let done = 0; done < count;) {
    const appends: Promise<number>[] = [];
    for (; appends.length * perAppend < onTheWay && done < count; done += perAppend) appends.push(log.append(items));
    await Promise.all(appends);
  }
}

it('records per second and core with durability process', async () => {
  const rows: string[][] = [];
  for (const perAppend of [1, 10, 100]) {
    const rounds: Figures[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const directory = path.join(await resources.directory(), 'log');
      const { log } = await SegmentLog.open(options(directory));
      const count = 1_000_000;
      const figures = await timed(count, async () => appendAll(log, count, perAppend));
      await log.close();
      await rm(directory, { recursive: true });
      // The first round warms up.
      if (round > 0) rounds.push(figures);
    }
    rows.push([String(perAppend), millions(best(rounds, 'perSecond')), millions(best(rounds, 'perCoreSecond'))]);
  }
  expect(rows).toHaveLength(3);
  publish({ name: 'segment-log-process', columns: ['records per append', 'records/s', 'records/s and core'], rows });
});

it('groups per second with durability power, against the disk alone', async () => {
  const rows: string[][] = [];
  for (const records of [10, 100, 1_000]) {
    const turns = await measureDisk(records);
    // Of one turn each, because the disk's own speed changes from moment to moment; the first ones warm up.
    const counted = turns.slice(turns.length / 5);
    const shares = counted.map(({ disk, log }) => log / disk);
    rows.push([
      String(records),
      String(groupBytes(records)),
      median(counted.map(({ disk }) => disk)).toFixed(0),
      median(counted.map(({ log }) => log)).toFixed(0),
      `${(100 * median(shares)).toFixed(0)} %`,
    ]);
  }
  expect(rows).toHaveLength(3);
  const columns = ['records per group', 'bytes per group', 'fdatasync/s of the disk', 'groups/s of the log', 'share'];
  publish({ name: 'segment-log-power', columns, rows });
});

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
/** Bytes that a group takes on the disk: whole pages. */
const groupBytes = (records: number): number => Math.ceil((records * (RECORD_BYTES + 4) + 24) / 4_096) * 4_096;

/**
 * Groups per second, turn by turn: ten through the log, where the next group gathers while one is being synced, then ten written plainly
 * behind one another, each with an fdatasync.
 */
async function measureDisk(records: number): Promise<{ readonly disk: number; readonly log: number }[]> {
  const groups = 10;
  const directory = await resources.directory();
  let committed = (): void => {};
  const { log } = await SegmentLog.open(
    options(path.join(directory, 'log'), { durability: 'power', committed: () => committed() }),
  );
  const plain = await open(path.join(directory, 'plain'), 'w');
  const items = Array.from({ length: records }, () => record);
  const group = Buffer.alloc(groupBytes(records), 7);
  const turns: { readonly disk: number; readonly log: number }[] = [];
  let offset = 0;
  while (turns.length < 150) {
    const { commits } = log.counts;
    const begun = performance.now();
    let issued = 0;
    const appends: Promise<number>[] = [];
    const issue = (): void => {
      if (issued++ < groups) appends.push(log.append(items));
    };
    // The next group comes while one is on its way to the disk, and joins none.
    await new Promise<void>((resolve) => {
      committed = () => (log.counts.commits - commits === groups ? resolve() : void setImmediate(issue));
      issue();
      setImmediate(issue);
    });
    await Promise.all(appends);
    const between = performance.now();
    for (let i = 0; i < groups; i++) {
      await plain.write(group, 0, group.length, offset);
      await plain.datasync();
      offset += group.length;
    }
    expect(log.counts.commits - commits).toBe(groups);
    const perSecond = (ms: number): number => (groups * 1_000) / ms;
    turns.push({ log: perSecond(between - begun), disk: perSecond(performance.now() - between) });
  }
  await plain.close();
  await log.close();
  await rm(directory, { recursive: true });
  return turns;
}

it('recovery of 256 MiB', async () => {
  const rows: string[][] = [];
  // A busy gateway writes large groups, a quiet one some records at a time.
  for (const perGroup of [60, 20_000]) {
    const directory = path.join(await resources.directory(), 'log');
    const { log } = await SegmentLog.open(options(directory));
    while (log.bytes < 256 * MIB) await appendAll(log, 100_000, 20, perGroup);
    const { next } = log;
    await log.close();
    // As after a crash: the end is torn.
    const newest =
      (await readdir(directory))
        .filter((name) => name.endsWith('.seg'))
        .toSorted()
        .at(-1) ?? '';
    const { size } = await stat(path.join(directory, newest));
    await writeFile(path.join(directory, newest), Buffer.alloc(3_000, 7), { flag: 'a' });
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const begun = performance.now();
      const { log: again, recovery } = await SegmentLog.open(options(directory));
      rounds.push(performance.now() - begun);
      expect(again.next).toBe(next);
      expect(recovery.damage).toEqual([]);
      await again.close();
    }
    expect((await stat(path.join(directory, newest))).size).toBe(size);
    rows.push([
      String(log.counts.commits),
      (log.bytes / MIB).toFixed(0),
      `${(Math.max(...rounds) / 1_000).toFixed(2)} s`,
    ]);
  }
  publish({ name: 'segment-log-recovery', columns: ['frames', 'MiB', 'slowest of three'], rows });
});
