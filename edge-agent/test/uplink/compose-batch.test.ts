import {
  aggregateOf,
  decodeBatch,
  epochMs,
  limits as contractLimits,
  rollupAggregate,
  type RollupSensor,
  rollupsRecord,
} from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeSpooled } from '../../src/spooled-record.ts';
import { type BatchHead, composeBatch, type LaneItem } from '../../src/uplink/compose-batch.ts';

const head: BatchHead = { site: 'Leipzig', gateway: 'hall-1', lane: 'telemetry', epoch: '1-0123456789abcdef' };
const moving = { countMean: null, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null };
const START = 1_700_000_000_000;

/** A spooled record with a rollup of each sensor; a rollup's value tells which sensor it is of. */
const rollups = (number: number, sensors: readonly RollupSensor[], values: readonly number[]): LaneItem => ({
  number,
  bytes: encodeSpooled({
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
  }),
});
const tick = (number: number): LaneItem => ({
  number,
  bytes: encodeSpooled({
    position: 1,
    at: epochMs(0),
    sensors: [],
    record: { kind: 'tick', number, watermark: epochMs(START), at: epochMs(START), clock: 'unknown' },
  }),
});
const sensor = (id: number, unit?: string): RollupSensor => ({
  device: `d${id}`,
  metric: 'm',
  ...(unit === undefined ? {} : { unit }),
});

describe('a composed batch', () => {
  it('is one that the processor reads, with its records in order', () => {
    const batch = composeBatch(head, [
      rollups(5, [sensor(1)], [1]),
      tick(6),
      rollups(7, [sensor(2), sensor(1)], [2, 1]),
    ]);
    const decoded = decodeBatch(batch.bytes);
    expect(decoded).toMatchObject({ ok: true, batch: { ...head, sensors: [sensor(1), sensor(2)] } });
    expect([batch.from, batch.to]).toEqual([5, 7]);
  });

  it('lists a sensor again when its unit is another', () => {
    const batch = composeBatch(head, [rollups(1, [sensor(1, 'C')], [1]), rollups(2, [sensor(1, 'F')], [1])]);
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
        const decoded = decodeBatch(composeBatch(head, items).bytes);
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

  it('never passes the limit, and takes at least one record', () => {
    const wide = (number: number): LaneItem => {
      const ids = Array.from({ length: 500 }, (_, i) => number * 500 + i);
      return rollups(
        number,
        ids.map((id) => ({ device: `device-${id}`.padEnd(60, 'x'), metric: 'm' })),
        ids.map((id) => id / 7),
      );
    };
    const items = Array.from({ length: 8 }, (_, i) => wide(i + 1));
    const sent: number[] = [];
    let rest: readonly LaneItem[] = items;
    while (rest.length > 0) {
      const batch = composeBatch(head, rest);
      expect(batch.bytes.length).toBeLessThanOrEqual(contractLimits.batchBytesMax);
      expect(decodeBatch(batch.bytes).ok).toBe(true);
      for (let number = batch.from; number <= batch.to; number++) sent.push(number);
      rest = rest.filter(({ number }) => number > batch.to);
    }
    expect(sent).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
