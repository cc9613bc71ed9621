import {
  type Batch,
  encodeBatch,
  type EpochMs,
  epochMs,
  type FloorRecord,
  limits as contractLimits,
  type RollupSensor,
  type RollupsRecord,
  SCHEMA_VERSION,
  sensorKey,
} from '@floorwatch/contracts';

import type { LaneItem } from '../lane-log.ts';
import { limits } from '../limits.ts';
import { decodeSpooled, type SpooledRecord } from '../spooled-record.ts';

/** What every batch of a lane begins with. */
export type BatchHead = Pick<Batch, 'site' | 'gateway' | 'lane' | 'epoch'>;

/** A batch ready to send, and the numbers that it carries. */
export interface ComposedBatch {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/**
 * Puts consecutive records into one batch: as many of `items` as fit into `limits.batchBytesMax`, at least the first.
 *
 * Every spooled record has a list of sensors of its own; the batch has one for all, and the records' `sensor` columns are
 * rewritten to point into it. A sensor whose unit changed in between stands in it twice.
 */
export function composeBatch(head: BatchHead, items: readonly LaneItem[]): ComposedBatch {
  for (let count = items.length; ; count = Math.ceil(count / 2)) {
    const part = items.slice(0, count);
    const { bytes } = composeItems(
      head,
      part.map((item) => item.bytes),
      epochMs(Date.now()),
    );
    // Numbers that point into a longer list have more digits, so the sum of the parts may be passed by a little.
    if (bytes.length <= contractLimits.batchBytesMax || count <= 1) {
      return { bytes, from: part[0]?.number ?? 0, to: part.at(-1)?.number ?? 0 };
    }
  }
}

/** Several items of a lane as the bytes of one batch. */
export interface ComposedItems {
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
export function composeItems(head: BatchHead, items: readonly Uint8Array[], now: EpochMs): ComposedItems {
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
