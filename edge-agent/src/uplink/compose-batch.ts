import {
  type Batch,
  encodeBatch,
  type EpochMs,
  type FloorRecord,
  type RollupSensor,
  type RollupsRecord,
  SCHEMA_VERSION,
  sensorKey,
} from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import { decodeSpooled, type SpooledRecord } from '../spooled-record.ts';

/** What every batch of a lane begins with. */
export type BatchHead = Pick<Batch, 'site' | 'gateway' | 'lane' | 'epoch'>;

/** Several items of a lane as the bytes of one batch. */
export interface ComposedBatch {
  readonly bytes: Uint8Array;
  /** When the first of them was made. */
  readonly at: EpochMs;
}

/**
 * Puts consecutive items into one batch. Every spooled record has a list of sensors of its own; the batch has one for all, and the records'
 * `sensor` columns are rewritten to point into it. A sensor whose unit changed in between stands in it twice. Anomalies that waited longer
 * than `limits.liveMsMax` are marked as backlog, so that nobody is paged for them.
 *
 * @param items at least one.
 * @param now the gateway's clock, which also gave each record its time.
 */
export function composeBatch(head: BatchHead, items: readonly Uint8Array[], now: EpochMs): ComposedBatch {
  const spooled = items.map(decodeSpooled);
  return { bytes: encodeBatch(merge(head, spooled, now)), at: spooled[0]?.at ?? now };
}

function merge(head: BatchHead, items: readonly SpooledRecord[], now: EpochMs): Batch {
  const sensors: RollupSensor[] = [];
  const indexes = new Map<string, number>();
  const indexOf = (sensor: RollupSensor): number => {
    const key = `${sensorKey(sensor)}/${sensor.unit ?? ''}`;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    indexes.set(key, sensors.length);
    return sensors.push(sensor) - 1;
  };
  const records = items.map(({ record, sensors: own, at }): FloorRecord => {
    if (record.kind === 'rollups') return repoint(record, own.map(indexOf));
    if (record.kind === 'anomaly' && now - at > limits.liveMsMax) return { ...record, provenance: 'backlog' };
    return record;
  });
  return { schema: SCHEMA_VERSION, ...head, sensors, records };
}

function repoint(record: RollupsRecord, indexes: readonly number[]): RollupsRecord {
  const sensor = record.columns.sensor.map((index) => indexes[index] ?? index);
  return { ...record, columns: { ...record.columns, sensor } };
}
