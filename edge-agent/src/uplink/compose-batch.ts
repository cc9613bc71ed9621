import {
  type Batch,
  encodeBatch,
  type FloorRecord,
  limits as contractLimits,
  type RollupSensor,
  type RollupsRecord,
  SCHEMA_VERSION,
  sensorKey,
} from '@floorwatch/contracts';

import type { LaneItem } from '../lane-log.ts';
import { decodeSpooled } from '../spooled-record.ts';

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
    const bytes = encodeBatch(merge(head, part));
    // Numbers that point into a longer list have more digits, so the sum of the parts may be passed by a little.
    if (bytes.length <= contractLimits.batchBytesMax || count <= 1) {
      return { bytes, from: part[0]?.number ?? 0, to: part.at(-1)?.number ?? 0 };
    }
  }
}

function merge(head: BatchHead, items: readonly LaneItem[]): Batch {
  const sensors: RollupSensor[] = [];
  const indexes = new Map<string, number>();
  const indexOf = (sensor: RollupSensor): number => {
    const key = `${sensorKey(sensor)}/${sensor.unit ?? ''}`;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    indexes.set(key, sensors.length);
    return sensors.push(sensor) - 1;
  };
  const records = items.map(({ bytes }): FloorRecord => {
    const spooled = decodeSpooled(bytes);
    if (spooled.record.kind !== 'rollups') return spooled.record;
    return repoint(spooled.record, spooled.sensors.map(indexOf));
  });
  return { schema: SCHEMA_VERSION, ...head, sensors: [...sensors], records };
}

function repoint(record: RollupsRecord, indexes: readonly number[]): RollupsRecord {
  const sensor = record.columns.sensor.map((index) => indexes[index] ?? index);
  return { ...record, columns: { ...record.columns, sensor } };
}
