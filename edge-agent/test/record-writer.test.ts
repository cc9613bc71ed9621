import { join } from 'node:path';

import {
  aggregateOf,
  type ClockQuality,
  epochMs,
  type FloorRecord,
  type Lane,
  rollupAggregate,
  rollupStart,
} from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import type { LaneSpool } from '../src/lane-spool.ts';
import { limits } from '../src/limits.ts';
import { RecordWriter } from '../src/record-writer.ts';
import type { EpisodeEvent } from '../src/sensor-engine.ts';
import { DiskLaneSpool } from '../src/spool/disk-lane-spool.ts';
import { decodeSpooled, type SpooledRecord } from '../src/spooled-record.ts';

const moving = { countMean: 1, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null };
const at = epochMs(1_700_000_000_000);

const episode = (id: string, phase: EpisodeEvent['phase']): EpisodeEvent => ({
  phase,
  id,
  device: 'press',
  metric: 'temp',
  detector: 'z-score',
  detectorVersion: 1,
  anomalyKind: 'spike',
  severity: 'warning',
  openedAt: at,
  eventTime: at,
  value: 9,
  worst: { value: 9, at, score: 7 },
  expected: { low: 1, high: 2 },
  score: 7,
  moving,
  readings: 1,
  before: [],
  explanation: 'too hot',
});

const resources = resourcesPerTest();

async function openLanes(directory: string): Promise<Record<Lane, DiskLaneSpool>> {
  const open = async (lane: Lane): Promise<DiskLaneSpool> => {
    const { spool } = await DiskLaneSpool.open({
      lane,
      directory: join(directory, lane),
      durability: 'process',
      bytesMax: 64 * 1024 * 1024,
      whenFull: 'refuse',
    });
    resources.defer(async () => spool.close());
    return spool;
  };
  return { anomaly: await open('anomaly'), telemetry: await open('telemetry') };
}

/** Everything in a lane. */
async function recordsOf(lane: LaneSpool): Promise<SpooledRecord[]> {
  const records: SpooledRecord[] = [];
  for (let next = lane.first; next < lane.next;) {
    const part = await lane.read(next, 1e9, 1e9);
    if (part?.kind !== 'records') throw new Error('something is missing');
    records.push(...part.items.map(decodeSpooled));
    next = part.to + 1;
  }
  return records;
}

async function setUp(directory?: string) {
  const lanes = await openLanes(directory ?? (await resources.directory()));
  const writer = await RecordWriter.open(lanes);
  const spooled = async (lane: Lane): Promise<SpooledRecord[]> => recordsOf(lanes[lane]);
  const records = async (lane: Lane): Promise<FloorRecord[]> => (await spooled(lane)).map(({ record }) => record);
  let position = 0;
  const begin = (now = at, quality: ClockQuality = 'unknown'): void =>
    writer.begin({ position: ++position, now, quality });
  const start = async (epoch: string): Promise<void> => {
    begin();
    writer.addStart(epoch);
    await writer.commit();
  };
  return { lanes, writer, spooled, records, begin, start };
}

const [FIRST, SECOND] = ['1-00000000aaaaaaaa', '2-00000000bbbbbbbb'];

describe('the writer of records', () => {
  it('numbers each lane from 1 without holes, over many steps', async () => {
    const { writer, records, begin, start } = await setUp();
    await start(FIRST);
    for (let step = 0; step < 3; step++) {
      begin();
      writer.emit({ kind: 'episode', episode: episode(`${step}`, 'opened') });
      writer.emit({ kind: 'tick', watermark: at });
      writer.emit({ kind: 'tick', watermark: at });
      await writer.commit();
    }
    await writer.commit();
    expect((await records('anomaly')).map(({ number }) => number)).toEqual([1, 2, 3, 4]);
    expect((await records('telemetry')).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('begins each epoch with a start that names the one before and its last number', async () => {
    const { writer, records, begin, start } = await setUp();
    await start(FIRST);
    begin();
    writer.emit({ kind: 'tick', watermark: at });
    await writer.commit();
    await start(SECOND);
    expect((await records('telemetry')).filter(({ kind }) => kind === 'start')).toMatchObject([
      { number: 1, predecessor: null },
      { number: 1, predecessor: { epoch: FIRST, last: 2 } },
    ]);
    expect(await records('anomaly')).toMatchObject([
      { number: 1, predecessor: null },
      { number: 1, predecessor: { epoch: FIRST, last: 1 } },
    ]);
  });

  it('puts nothing into the spool before the step ends', async () => {
    const { writer, lanes, begin, start } = await setUp();
    await start(FIRST);
    begin();
    writer.emit({ kind: 'tick', watermark: at });
    expect(lanes.telemetry.next).toBe(2);
    await writer.commit();
    expect(lanes.telemetry.next).toBe(3);
  });

  it('gives each lane only what lies behind the position of its newest record', async () => {
    const directory = await resources.directory();
    const first = await setUp(directory);
    await first.start(FIRST);
    first.begin();
    first.writer.emit({ kind: 'tick', watermark: at });
    first.begin();
    first.writer.emit({ kind: 'episode', episode: episode('a', 'opened') });
    await first.writer.commit();
    for (const lane of Object.values(first.lanes)) await lane.close();

    const { writer, records } = await setUp(directory);
    expect([writer.through('anomaly'), writer.through('telemetry')]).toEqual([3, 2]);
    for (const position of [2, 3, 4]) {
      writer.begin({ position, now: at, quality: 'unknown' });
      writer.emit({ kind: 'tick', watermark: at });
      writer.emit({ kind: 'episode', episode: episode(`of ${position}`, 'opened') });
    }
    await writer.commit();
    expect((await records('telemetry')).map(({ number }) => number)).toEqual([1, 2, 3, 4]);
    expect((await records('anomaly')).map((record) => record.kind === 'anomaly' && record.id)).toEqual([
      false,
      'a',
      'of 4',
    ]);
    expect(writer.episodes).toEqual({ opened: 1, closed: 0 });
  });

  it('says of an episode to its end when it was detected, and counts it once', async () => {
    const { writer, records, begin, start } = await setUp();
    await start(FIRST);
    for (const [phase, now, quality] of [
      ['opened', 1_000, 'unsynchronised'],
      ['updated', 2_000, 'synchronised'],
      ['closed', 3_000, 'synchronised'],
      ['opened', 4_000, 'synchronised'],
    ] as const) {
      begin(epochMs(now), quality);
      writer.emit({ kind: 'episode', episode: episode('a', phase) });
    }
    await writer.commit();
    const seen = (await records('anomaly')).flatMap((record) =>
      record.kind === 'anomaly' ? [[record.detectedAt, record.clock]] : [],
    );
    const first = [1_000, 'unsynchronised'];
    expect(seen).toEqual([first, first, first, [4_000, 'synchronised']]);
    expect(writer.episodes).toEqual({ opened: 2, closed: 1 });
  });

  it('knows after a restore when the episodes that are open were detected', async () => {
    const before = await setUp();
    await before.start(FIRST);
    before.begin(epochMs(1_000), 'unsynchronised');
    before.writer.emit({ kind: 'episode', episode: episode('a', 'opened') });
    const { writer, records, start, begin } = await setUp();
    writer.told.restore([before.writer.told.snapshot()]);
    await start(FIRST);
    begin(epochMs(9_000), 'synchronised');
    writer.emit({ kind: 'episode', episode: episode('a', 'closed') });
    await writer.commit();
    expect((await records('anomaly'))[1]).toMatchObject({ detectedAt: 1_000, clock: 'unsynchronised' });
    expect(writer.told.open.size).toBe(0);
  });

  it('puts what comes from one item and is larger than a segment into several frames, once, also if it is cut short', async () => {
    const directory = await resources.directory();
    const { lanes, writer, begin, start } = await setUp(directory);
    await start(FIRST);
    const sensors = [{ device: 'press', metric: 'temp' }];
    const many = 80;
    const emitAll = (to: RecordWriter): void => {
      for (let i = 0; i < many; i++) {
        const rollups = Array.from({ length: 1_000 }, (_, n) => ({
          sensor: 0,
          start: epochMs(at + 10_000 * n),
          aggregate: aggregateOf(i + n / 7, epochMs(at + 10_000 * n), false, false),
          moving,
        }));
        to.emit({ kind: 'rollups', rollups, sensors });
      }
    };
    begin();
    emitAll(writer);
    let appends = 0;
    const append = lanes.telemetry.append.bind(lanes.telemetry);
    lanes.telemetry.append = async (...items) => {
      if (++appends === 3) throw new Error('killed');
      await append(...items);
    };
    await expect(writer.commit()).rejects.toThrow('killed');
    const there = lanes.telemetry.lastNumber;
    expect(there).toBeGreaterThan(1);
    expect(there).toBeLessThan(many);
    const again = await RecordWriter.open(lanes);
    again.begin({ position: 2, now: at, quality: 'unknown' });
    emitAll(again);
    await again.commit();
    const records = await recordsOf(lanes.telemetry);
    expect(records.map(({ record }) => record.number)).toEqual(Array.from({ length: many + 1 }, (_, i) => i + 1));
    expect(records.map(({ record }) => record.kind)).toEqual([
      'start',
      ...Array.from({ length: many }, () => 'rollups'),
    ]);
  });

  it('splits rollups whose names do not fit into one record, and keeps every one with its sensor', async () => {
    const { writer, spooled, begin, start } = await setUp();
    await start(FIRST);
    begin();
    const sensors = Array.from({ length: 1_000 }, (_, i) => ({
      device: `${i}`.padEnd(128, 'ß'),
      metric: 'ß'.repeat(128),
      unit: '°'.repeat(32),
    }));
    const rollups = sensors.map((_, sensor) => ({
      sensor,
      start: 1_700_000_000_000,
      aggregate: aggregateOf(sensor, 1_700_000_000_000 + sensor, false, false),
      moving,
    }));
    writer.emit({ kind: 'rollups', rollups, sensors });
    await writer.commit();
    const records = (await spooled('telemetry')).slice(1);
    expect(records.length).toBeGreaterThan(1);
    expect(records.map(({ record }) => record.number)).toEqual(records.map((_, i) => i + 2));
    const values: [string, number][] = [];
    for (const one of records) {
      expect(Buffer.byteLength(JSON.stringify(one))).toBeLessThanOrEqual(limits.recordBytesMax);
      const { record } = one;
      if (record.kind !== 'rollups') continue;
      record.columns.sensor.forEach((sensor, i) => {
        expect(rollupStart(record, i)).toBe(1_700_000_000_000);
        values.push([one.sensors[sensor]?.device.replaceAll('ß', '') ?? '', rollupAggregate(record, i).last]);
      });
    }
    expect(values).toEqual(sensors.map((_, i) => [`${i}`, i]));
  });
});
