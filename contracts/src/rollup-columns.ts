import type { Aggregate } from './aggregate.ts';
import { MOVING_MEANS, type MOVING_STATISTICS, type MovingStatistics } from './moving-statistics.ts';
import { decodeHashes, encodeHashes } from './reading-hash.ts';
import { at, ROLLUP_MS, type Rollup, type RollupsRecord } from './rollup.ts';
import { type DurationMs, type EpochMs, epochMs } from './time.ts';

/** Six significant digits: what a person can read off a chart. */
const shown = (value: number): number => Number(value.toPrecision(6));

/**
 * Lays rollups out as a record of columns.
 *
 * @param number the record's number within its source and epoch.
 * @param rollups at least one, each start a multiple of `bucketMs`.
 * @param bucketMs width of the buckets: that of this release, but for what an earlier one has left open.
 */
export function rollupsRecord(
  number: number,
  rollups: readonly Rollup[],
  bucketMs: DurationMs = ROLLUP_MS,
): RollupsRecord {
  const base = rollups.reduce((first, rollup) => Math.min(first, rollup.start), Infinity);
  const column = (of: (rollup: Rollup) => number): number[] => rollups.map(of);
  const moving = (name: (typeof MOVING_STATISTICS)[number]): (number | null)[] =>
    rollups.map((rollup) => {
      const value = rollup.moving[name];
      if (value === null) return null;
      return shown(MOVING_MEANS.has(name) ? value - rollup.aggregate.reference : value);
    });
  const hash = encodeHashes(rollups.map((rollup) => rollup.hash));
  return {
    kind: 'rollups',
    number,
    bucketMs,
    base: epochMs(base),
    columns: {
      sensor: column((r) => r.sensor),
      bucket: column((r) => (r.start - base) / bucketMs),
      n: column((r) => r.aggregate.n),
      reference: column((r) => r.aggregate.reference),
      mean: column((r) => r.aggregate.mean),
      m2: column((r) => r.aggregate.m2),
      min: column((r) => r.aggregate.min),
      max: column((r) => r.aggregate.max),
      last: column((r) => r.aggregate.last),
      lastAt: column((r) => r.aggregate.lastAt - r.start),
      anomalous: column((r) => r.aggregate.anomalous),
      uncertain: column((r) => r.aggregate.uncertain),
      moving: {
        countMean: moving('countMean'),
        countSd: moving('countSd'),
        timeMean: moving('timeMean'),
        timeSd: moving('timeSd'),
        ewMean: moving('ewMean'),
        ewSd: moving('ewSd'),
      },
      ...(hash !== undefined && { hash }),
    },
  };
}

/** Epoch milliseconds of the start of rollup `index`'s bucket. */
export const rollupStart = (record: RollupsRecord, index: number): EpochMs =>
  epochMs(record.base + at(record.columns.bucket, index) * record.bucketMs);

/** Rollup `index` of a checked record as an {@link Aggregate}, `lastAt` in epoch milliseconds. */
export function rollupAggregate(record: RollupsRecord, index: number): Aggregate {
  const c = record.columns;
  return {
    n: at(c.n, index),
    reference: at(c.reference, index),
    mean: at(c.mean, index),
    m2: at(c.m2, index),
    min: at(c.min, index),
    max: at(c.max, index),
    last: at(c.last, index),
    lastAt: rollupStart(record, index) + at(c.lastAt, index),
    anomalous: at(c.anomalous, index),
    uncertain: at(c.uncertain, index),
  };
}

/** The moving statistics of rollup `index`, in the sensor's unit. */
export function rollupMoving(record: RollupsRecord, index: number): MovingStatistics {
  const { moving, reference } = record.columns;
  const offset = at(reference, index);
  const mean = (column: readonly (number | null)[]): number | null => {
    const value = column[index] ?? null;
    return value === null ? null : offset + value;
  };
  return {
    countMean: mean(moving.countMean),
    countSd: moving.countSd[index] ?? null,
    timeMean: mean(moving.timeMean),
    timeSd: moving.timeSd[index] ?? null,
    ewMean: mean(moving.ewMean),
    ewSd: moving.ewSd[index] ?? null,
  };
}

/** The sums of the reading hashes of a checked record, two words per rollup (see `decodeHashes`); undefined: unknown. */
export const rollupHashes = ({ columns: { hash } }: RollupsRecord): Uint32Array | undefined =>
  hash === undefined ? undefined : decodeHashes(hash);
