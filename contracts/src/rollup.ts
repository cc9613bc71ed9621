import { z } from 'zod';

import type { Aggregate } from './aggregate.ts';
import { fields } from './fields.ts';
import { limits } from './limits.ts';
import type { MOVING_STATISTICS, MovingStatistics } from './moving-statistics.ts';
import { durationMs, seconds } from './time.ts';

/** The length of event time that a rollup sums. Window sizes are multiples of it. */
export const ROLLUP_MS = seconds(10);

/** What a gateway knows of a sensor besides its readings. */
export interface RollupSensor {
  readonly device: string;
  readonly metric: string;
  readonly unit?: string;
}

/**
 * Many rollups, one array per field: entry i of every array belongs to rollup i. Half the bytes of a list of objects, and parsed
 * and merged three times as fast. A rollup is an {@link Aggregate} of one sensor's readings in one bucket of {@link ROLLUP_MS}.
 * Readings that come after their bucket was sent make another rollup of the same bucket.
 */
export interface RollupColumns {
  /** Index into the sensors that come with the columns. */
  readonly sensor: readonly number[];
  /** Start of the bucket, in steps of `bucketMs` after `base`. */
  readonly bucket: readonly number[];
  readonly n: readonly number[];
  readonly reference: readonly number[];
  /** Mean of value − reference. */
  readonly mean: readonly number[];
  readonly m2: readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly last: readonly number[];
  /** Event time of `last`, in milliseconds after the bucket's start. */
  readonly lastAt: readonly number[];
  readonly anomalous: readonly number[];
  readonly uncertain: readonly number[];
  /**
   * The sensor's moving statistics at the end of the bucket. Means are offsets from `reference`; all are rounded to six
   * significant digits, because they are shown and never merged.
   */
  readonly moving: { readonly [K in (typeof MOVING_STATISTICS)[number]]: readonly (number | null)[] };
}

const columns = z.array(z.number()).min(1).max(limits.rollupsPerRecordMax);
const nullableColumns = z.array(z.number().nullable()).min(1).max(limits.rollupsPerRecordMax);

export const rollupsSchema = z
  .object({
    kind: z.literal('rollups'),
    number: fields.number,
    bucketMs: z
      .number()
      .int()
      .min(1)
      .transform((ms) => durationMs(ms)),
    /** Epoch milliseconds, a multiple of `bucketMs`. */
    base: fields.instant,
    columns: z.object({
      sensor: columns,
      bucket: columns,
      n: columns,
      reference: columns,
      mean: columns,
      m2: columns,
      min: columns,
      max: columns,
      last: columns,
      lastAt: columns,
      anomalous: columns,
      uncertain: columns,
      moving: z.object({
        countMean: nullableColumns,
        countSd: nullableColumns,
        timeMean: nullableColumns,
        timeSd: nullableColumns,
        ewMean: nullableColumns,
        ewSd: nullableColumns,
      }),
    }),
  })
  .superRefine(({ columns: c, bucketMs, base }, context) => {
    const wrong = findWrongRollup(c, bucketMs);
    if (wrong !== undefined) context.addIssue({ code: 'custom', path: ['columns'], message: wrong });
    if (base % bucketMs !== 0) {
      context.addIssue({ code: 'custom', path: ['base'], message: `must be a multiple of bucketMs (${bucketMs})` });
    }
  });

/** Rollups under one number. `sensor` indexes into the list of the batch (see `Batch.sensors`). */
export type RollupsRecord = z.infer<typeof rollupsSchema>;

/** What is impossible about the columns, or undefined. One pass: this stands on the processor's hot path. */
function findWrongRollup(c: RollupColumns, bucketMs: number): string | undefined {
  const { length } = c.sensor;
  for (const [name, column] of [...Object.entries(c), ...Object.entries(c.moving)]) {
    if (Array.isArray(column) && column.length !== length) {
      return `column ${name} has ${column.length} entries, column sensor ${length}`;
    }
  }
  for (let i = 0; i < length; i++) {
    const [n, m2, min, max] = [c.n[i] ?? 0, c.m2[i] ?? -1, c.min[i] ?? 0, c.max[i] ?? 0];
    const [lastAt, anomalous, uncertain] = [c.lastAt[i] ?? -1, c.anomalous[i] ?? -1, c.uncertain[i] ?? -1];
    if (!isCount(c.sensor[i]) || !Number.isSafeInteger(c.bucket[i]))
      return `rollup ${i}: sensor and bucket must be whole numbers`;
    if (!isCount(n) || n < 1) return `rollup ${i}: n is ${n}, must be a whole number of at least 1`;
    if (!(m2 >= 0)) return `rollup ${i}: m2 is ${m2}, must not be negative`;
    if (min > max) return `rollup ${i}: min ${min} is above max ${max}`;
    if (!isCount(lastAt) || lastAt >= bucketMs) return `rollup ${i}: lastAt ${lastAt} lies outside its bucket`;
    if (!isCount(anomalous) || anomalous > n || !isCount(uncertain) || uncertain > n) {
      return `rollup ${i}: anomalous ${anomalous} and uncertain ${uncertain} must be counts of at most n (${n})`;
    }
  }
  return undefined;
}

const isCount = (value: number | undefined): boolean =>
  value !== undefined && Number.isSafeInteger(value) && value >= 0;

/** One rollup as an object: what is written to and read from columns where speed does not matter. */
export interface Rollup {
  /** Index into the sensors that come with the columns. */
  readonly sensor: number;
  /** Start of the bucket, epoch milliseconds. */
  readonly start: number;
  /** `lastAt` in epoch milliseconds. */
  readonly aggregate: Readonly<Aggregate>;
  /** Means and deviations in the sensor's unit. */
  readonly moving: MovingStatistics;
}
