import { appendFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { Intake } from '../../src/ingest/intake.ts';
import type { QuarantinedReading } from '../../src/ingest/quarantined-reading.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import { type HeldReading, Quarantine } from '../../src/quarantine/quarantine.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';

const NOW = epochMs(Date.UTC(2026, 0, 31, 12));
const YEAR = 365 * 86_400_000;
const MIB = 1024 * 1024;

function reading(
  value: number,
  { device = 'press', ahead = YEAR }: { device?: string; ahead?: number } = {},
): QuarantinedReading {
  return {
    reading: { device, metric: 'temp', eventTime: epochMs(NOW + ahead + value), value, quality: 'good' },
    receivedAt: epochMs(NOW + value),
    reason: 'time-in-future',
  };
}

const page = { limit: 1_000 };
const valuesOf = (items: readonly HeldReading[]): number[] => items.map((item) => item.reading.value);

/** Takes what is released as the agent does, and remembers it. */
class Taker {
  readonly taken: RawMessage[] = [];
  /** Refuses from this one on. */
  limit = Infinity;

  readonly submit = async (message: RawMessage): Promise<void> => {
    await Promise.resolve();
    if (this.taken.length >= this.limit) throw new Error('the disk is full');
    this.taken.push(message);
  };

  get times(): (number | undefined)[] {
    return this.taken.map(({ released }) => released?.eventTime);
  }
}

describe('the quarantine', () => {
  const resources = resourcesPerTest();

  async function open(dataDir?: string, bytesMax = MIB): Promise<{ quarantine: Quarantine; dataDir: string }> {
    const directory = dataDir ?? (await resources.directory());
    const quarantine = await Quarantine.open({ dataDir: directory, bytesMax, durability: 'process', inFlightMax: 8 });
    resources.defer(async () => quarantine.close());
    return { quarantine, dataDir: directory };
  }

  it('keeps readings over a restart, and knows them', async () => {
    const { quarantine, dataDir } = await open();
    const full: QuarantinedReading = {
      reading: { ...reading(1).reading, unit: '°C', quality: 'uncertain', seq: 7 },
      receivedAt: NOW,
      reason: 'time-before-2000',
    };
    await quarantine.append([reading(0), full]);
    await quarantine.append([]);
    await quarantine.close();
    const { quarantine: again } = await open(dataDir);
    expect(await again.list({}, page)).toEqual({
      items: [
        { id: 1, ...reading(0) },
        { id: 2, ...full },
      ],
      next: null,
    });
    expect(again.view()).toMatchObject({ items: 2, oldestAt: NOW, bytesMax: MIB });
    expect(again.claim(full, undefined)).toBe(true);
    expect(again.claim(reading(2), undefined)).toBe(false);
    expect(again.claim({ ...full, reading: { ...full.reading, seq: 8 } }, undefined)).toBe(false);
  });

  it('shows what is asked for, page by page', async () => {
    const { quarantine } = await open();
    await quarantine.append([0, 1, 2, 3].map((i) => reading(i, { device: i % 2 === 0 ? 'press' : 'oven' })));
    const first = await quarantine.list({}, { limit: 3 });
    expect(valuesOf(first.items)).toEqual([0, 1, 2]);
    expect(valuesOf((await quarantine.list({}, { limit: 3, after: first.next ?? 0 })).items)).toEqual([3]);
    expect(valuesOf((await quarantine.list({ device: 'oven' }, page)).items)).toEqual([1, 3]);
    expect(valuesOf((await quarantine.list({ ids: [2, 3], metric: 'temp' }, page)).items)).toEqual([1, 2]);
    expect((await quarantine.list({ reason: 'time-before-2000' }, page)).items).toEqual([]);
  });

  it('takes a whole delivery of the longest readings', async () => {
    const { quarantine, dataDir } = await open();
    const long = (i: number): QuarantinedReading => {
      const name = `${i}`.padEnd(128, '\u{2603}');
      return { ...reading(i), reading: { ...reading(i).reading, device: name, metric: name } };
    };
    await quarantine.append(Array.from({ length: 700 }, (_, i) => long(i)));
    await quarantine.close();
    expect((await open(dataDir)).quarantine.view().items).toBe(700);
  });

  it('drops the oldest when it is full, counts them, and takes them when they come again', async () => {
    const { quarantine, dataDir } = await open();
    for (let i = 0; i < 20; i++) await quarantine.append(Array.from({ length: 500 }, (_, k) => reading(500 * i + k)));
    const { items, bytes } = quarantine.view();
    expect(bytes).toBeLessThanOrEqual(MIB);
    expect(quarantine.dropped).toBeGreaterThan(0);
    expect(items + quarantine.dropped).toBe(10_000);
    expect([quarantine.claim(reading(0), undefined), quarantine.claim(reading(9_999), undefined)]).toEqual([
      false,
      true,
    ]);
    await quarantine.close();
    expect((await open(dataDir)).quarantine.view().items).toBe(items);
  });

  it('forgets what a person drops, and makes room', async () => {
    const { quarantine, dataDir } = await open();
    await quarantine.append([0, 1, 2].map((i) => reading(i)));
    expect(await quarantine.drop({ ids: [2, 9] }, page)).toEqual({
      settled: 1,
      next: null,
      problems: [{ id: 9, problem: expect.stringMatching('no such reading') }],
    });
    expect(await quarantine.drop({}, { limit: 1 })).toMatchObject({ settled: 1, next: 1 });
    // A repeat of what was dropped is still one.
    expect(quarantine.claim(reading(0), undefined)).toBe(true);
    await quarantine.close();
    const { quarantine: again } = await open(dataDir);
    expect(valuesOf((await again.list({}, page)).items)).toEqual([2]);
    expect(again.claim(reading(0), undefined)).toBe(true);
  });

  it('releases readings with the time that is chosen', async () => {
    const { quarantine } = await open();
    const taker = new Taker();
    await quarantine.append([0, 1, 2].map((i) => reading(i)));
    const how = { ...page, latest: NOW + 1_000, submit: taker.submit };
    expect(await quarantine.release({ ids: [1] }, 'as-received', how)).toEqual({
      settled: 1,
      next: null,
      problems: [],
    });
    await quarantine.release({ ids: [2] }, { shiftMs: -YEAR }, how);
    // A time that can't be right is not let through, however often a person asks.
    expect(await quarantine.release({}, 'as-sent', how)).toMatchObject({
      settled: 0,
      problems: [{ id: 3, problem: expect.stringMatching('time-in-future') }],
    });
    await quarantine.release({}, 'as-sent', { ...how, latest: NOW + 2 * YEAR });
    expect(taker.times).toEqual([NOW, NOW + 1, NOW + YEAR + 2]);
    expect(taker.taken[0]).toMatchObject({ released: { device: 'press', metric: 'temp', value: 0 }, retained: false });
    expect(quarantine.view().items).toBe(0);
  });

  it('keeps what the intake refuses, and the time that was chosen', async () => {
    const { quarantine } = await open();
    const taker = new Taker();
    taker.limit = 11;
    await quarantine.append(Array.from({ length: 20 }, (_, i) => reading(i)));
    const how = { ...page, latest: NOW + 1_000, submit: taker.submit };
    await expect(quarantine.release({}, 'as-received', how)).rejects.toThrow('the disk is full');
    expect(quarantine.view().items).toBe(9);
    expect((await quarantine.drop({}, page)).problems).toHaveLength(5);
    taker.limit = Infinity;
    await quarantine.release({}, { shiftMs: 5 - YEAR }, how);
    // Those that had begun keep their time, so that the ones that were taken already are known as repeats.
    expect(taker.times).toEqual(Array.from({ length: 16 }, (_, i) => NOW + i));
    expect(quarantine.view().items).toBe(0);
  });

  it('releases a reading once although it can not be written down that it was', async () => {
    const disk = new FaultyDisk();
    const dataDir = await resources.directory();
    const quarantine = await Quarantine.open({
      dataDir,
      bytesMax: MIB,
      durability: 'process',
      inFlightMax: 8,
      fileSystem: disk.fileSystem,
    });
    resources.defer(async () => quarantine.close());
    await quarantine.append([reading(0), reading(1)]);
    const taker = new Taker();
    let works: (() => void) | undefined;
    const submit = async (message: RawMessage): Promise<void> => {
      await taker.submit(message);
      works ??= disk.fail('write', 'ENOSPC', 'quarantine');
    };
    const how = { ...page, latest: NOW + 1_000, submit };
    await expect(quarantine.release({}, 'as-received', how)).rejects.toThrow('ENOSPC');
    works?.();
    expect(await quarantine.release({}, 'as-received', how)).toMatchObject({ settled: 2, problems: [] });
    expect(taker.times).toEqual([NOW, NOW + 1]);
    expect(quarantine.view().items).toBe(0);
  });

  it.each([0, 3, 8])(
    'releases exactly once although the process ends when %d of 8 readings have been journaled',
    async (journaled) => {
      const { quarantine, dataDir } = await open();
      const config = {
        topics: [],
        sensorsMax: 10,
        readings: { futureMsMax: 0, duplicatesRemembered: 16, perMessageMax: 100 },
        units: { rules: [], aliases: [] },
        valueAbsMax: 1e150,
      };
      const journal: unknown[] = [];
      const clock = { now: NOW, quality: 'synchronised' } as const;
      const submitTo =
        (intake: Intake, limit = Infinity) =>
        async (message: RawMessage): Promise<void> => {
          if (journal.length >= limit) return new Promise(() => undefined);
          const taken = intake.take([message], clock);
          journal.push(...taken.readings.map(({ reading: { value } }) => value));
          intake.settled(taken, true);
          // Other readings come in between.
          for (const item of taken.readings) intake.replay({ ...item, reading: { ...item.reading, value: -1 } });
        };
      await quarantine.append(Array.from({ length: 8 }, (_, i) => reading(i)));
      const first = new Intake(config, quarantine);
      const how = { ...page, latest: NOW + 1_000 };
      // Killed here: with 8 everything is journaled, and only the quarantine does not know.
      const submit = submitTo(first, journaled);
      void quarantine.release({}, 'as-received', {
        ...how,
        submit: async (message) =>
          journaled === 8 ? submit(message).then(async () => new Promise(() => undefined)) : submit(message),
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(journal).toHaveLength(journaled);
      await quarantine.close();

      const { quarantine: again } = await open(dataDir);
      const second = new Intake(config, again);
      second.restore(first.snapshot());
      await again.finishReleases(submitTo(second));
      expect(journal).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(again.view().items).toBe(0);
      await again.finishReleases(async () => Promise.reject(new Error('there is nothing left to do')));
    },
  );

  it('passes over what it cannot read', async () => {
    const { quarantine, dataDir } = await open();
    await quarantine.append([reading(1)]);
    await quarantine.close();
    const folder = path.join(dataDir, 'quarantine');
    const segment = (await readdir(folder)).find((name) => name.endsWith('.seg')) ?? (await readdir(folder))[0]!;
    await appendFile(path.join(folder, segment), Buffer.alloc(100, 7));
    expect((await open(dataDir)).quarantine.view().items).toBe(1);
  });
});
