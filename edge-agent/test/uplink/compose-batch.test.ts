import {
  aggregateOf,
  decodeBatch,
  type EpochMs,
  epochMs,
  rollupAggregate,
  type RollupSensor,
  rollupsRecord,
} from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { limits } from '../../src/limits.ts';
import { encodeSpooled } from '../../src/spooled-record.ts';
import { type BatchHead, composeBatch } from '../../src/uplink/compose-batch.ts';

const head: BatchHead = { site: 'Leipzig', gateway: 'hall-1', lane: 'telemetry', epoch: '1-0123456789abcdef' };
const moving = { countMean: null, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null };
const START = 1_700_000_000_000;

/** A spooled record with a rollup of each sensor; a rollup's value tells which sensor it is of. */
const rollups = (number: number, sensors: readonly RollupSensor[], values: readonly number[]): Uint8Array =>
  encodeSpooled({
    position: 1,
    at: epochMs(0),
    sensors,
    record: rollupsRecord(
      number,
      values.map((value, sensor) => ({
        sensor,
        start: START,
        aggregate: aggregateOf(value, START, false, false),
        moving,
      })),
    ),
  });
const tick = (number: number): Uint8Array =>
  encodeSpooled({
    position: 1,
    at: epochMs(0),
    sensors: [],
    record: { kind: 'tick', number, watermark: epochMs(START), at: epochMs(START), clock: 'unknown' },
  });
const anomaly = (number: number, at: EpochMs): Uint8Array =>
  encodeSpooled({
    position: 1,
    at,
    sensors: [],
    record: {
      kind: 'anomaly',
      number,
      phase: 'opened',
      id: number.toString(16).padStart(32, '0'),
      device: 'press',
      metric: 'temp',
      detector: 'limit',
      detectorVersion: 1,
      anomalyKind: 'above-limit',
      severity: 'critical',
      openedAt: at,
      eventTime: at,
      detectedAt: at,
      clock: 'synchronised',
      provenance: 'live',
      value: 2,
      worst: { value: 2, at, score: 300 },
      expected: { low: null, high: 1 },
      score: 300,
      moving,
      readings: 1,
      before: [],
      explanation: 'It was 2, and 1 is the limit.',
    },
  });
const sensor = (id: number, unit?: string): RollupSensor => ({
  device: `d${id}`,
  metric: 'm',
  ...(unit === undefined ? {} : { unit }),
});

describe('a composed batch', () => {
  it('is one that the processor reads, with its records in order', () => {
    const items = [rollups(5, [sensor(1)], [1]), tick(6), rollups(7, [sensor(2), sensor(1)], [2, 1])];
    const batch = composeBatch(head, items, epochMs(START));
    const decoded = decodeBatch(batch.bytes);
    expect(decoded).toMatchObject({ ok: true, batch: { ...head, sensors: [sensor(1), sensor(2)] } });
    expect(batch.at).toBe(0);
    expect(decoded.ok && decoded.batch.records.map(({ number }) => number)).toEqual([5, 6, 7]);
  });

  it('lists a sensor again when its unit is another', () => {
    const items = [rollups(1, [sensor(1, 'C')], [1]), rollups(2, [sensor(1, 'F')], [1])];
    const batch = composeBatch(head, items, epochMs(START));
    expect(decodeBatch(batch.bytes)).toMatchObject({ ok: true, batch: { sensors: [sensor(1, 'C'), sensor(1, 'F')] } });
  });

  it('keeps every rollup with its sensor, whatever is put together', () => {
    const record = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 10 }), (records) => {
        const items = records.map((ids, i) =>
          rollups(
            i + 1,
            ids.map((id) => sensor(id)),
            ids,
          ),
        );
        const decoded = decodeBatch(composeBatch(head, items, epochMs(START)).bytes);
        expect(decoded.ok).toBe(true);
        const { batch } = decoded as Extract<typeof decoded, { ok: true }>;
        const seen = batch.records.map((one) =>
          one.kind === 'rollups'
            ? one.columns.sensor.map((index, i) => [batch.sensors[index]?.device, rollupAggregate(one, i).last])
            : [],
        );
        expect(seen).toEqual(records.map((ids) => ids.map((id) => [`d${id}`, id])));
      }),
    );
  });

  it('marks anomalies as backlog from the moment that they are too old to page somebody', () => {
    const now = epochMs(START);
    const ages = [0, limits.liveMsMax - 1, limits.liveMsMax, limits.liveMsMax + 1, 86_400_000];
    const items = ages.map((age, i) => anomaly(i + 1, epochMs(now - age)));
    const decoded = decodeBatch(composeBatch({ ...head, lane: 'anomaly' }, items, now).bytes);
    const found = decoded.ok
      ? decoded.batch.records.map((record) => record.kind === 'anomaly' && record.provenance)
      : [];
    expect(found).toEqual(['live', 'live', 'live', 'backlog', 'backlog']);
  });
});
