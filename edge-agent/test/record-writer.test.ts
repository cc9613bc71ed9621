import { aggregateOf, epochMs, type FloorRecord, type Lane, rollupAggregate, rollupStart } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { limits } from '../src/limits.ts';
import { RecordWriter } from '../src/record-writer.ts';
import type { EpisodeEvent } from '../src/sensor-engine.ts';
import { MemoryLaneLog } from '../src/spool/memory-lane-log.ts';
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

function setUp() {
  const logs = { anomaly: new MemoryLaneLog(1e9), telemetry: new MemoryLaneLog(1e9) };
  const writer = new RecordWriter(logs, { now: at, quality: 'unknown' });
  const spooled = (lane: Lane): SpooledRecord[] =>
    logs[lane].read(1, 1e9, 1e9).map(({ bytes }) => decodeSpooled(bytes));
  const records = (lane: Lane): FloorRecord[] => spooled(lane).map(({ record }) => record);
  return { logs, writer, spooled, records };
}

describe('the writer of records', () => {
  it('numbers each lane from 1 without holes, over many steps', async () => {
    const { writer, records } = setUp();
    for (let step = 0; step < 3; step++) {
      writer.emit({ kind: 'episode', episode: episode(`${step}`, 'opened') });
      writer.emit({ kind: 'tick', watermark: at });
      writer.emit({ kind: 'tick', watermark: at });
      await writer.commit();
    }
    await writer.commit();
    expect(records('anomaly').map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(records('telemetry').map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('puts nothing into the spool before the step ends', async () => {
    const { writer, logs } = setUp();
    writer.emit({ kind: 'tick', watermark: at });
    expect(logs.telemetry.next).toBe(1);
    await writer.commit();
    expect(logs.telemetry.next).toBe(2);
  });

  it('says of an episode to its end when it was detected, and counts it once', async () => {
    const { writer, records } = setUp();
    for (const [phase, now, quality] of [
      ['opened', 1_000, 'unsynchronised'],
      ['updated', 2_000, 'synchronised'],
      ['closed', 3_000, 'synchronised'],
      ['opened', 4_000, 'synchronised'],
    ] as const) {
      writer.begin({ now: epochMs(now), quality });
      writer.emit({ kind: 'episode', episode: episode('a', phase) });
    }
    await writer.commit();
    const seen = records('anomaly').map((record) => record.kind === 'anomaly' && [record.detectedAt, record.clock]);
    const first = [1_000, 'unsynchronised'];
    expect(seen).toEqual([first, first, first, [4_000, 'synchronised']]);
    expect(writer.episodes).toEqual({ opened: 2, closed: 1 });
  });

  it('splits rollups whose names do not fit into one record, and keeps every one with its sensor', async () => {
    const { writer, spooled } = setUp();
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
    const records = spooled('telemetry');
    expect(records.length).toBeGreaterThan(1);
    expect(records.map(({ record }) => record.number)).toEqual(records.map((_, i) => i + 1));
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
