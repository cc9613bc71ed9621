import { z } from 'zod';

import type { Aggregate } from './aggregate.ts';
import { fields } from './fields.ts';
import { limits } from './limits.ts';
import { isName, NAME_RULE } from './names.ts';
import { MOVING_STATISTICS, type MovingStatistics } from './moving-statistics.ts';
import { type HashSum, isHashes } from './reading-hash.ts';
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
  /** The sum of each rollup's reading hashes (see `encodeHashes`). Absent where one is unknown: earlier releases had none. */
  readonly hash?: string;
}

/** The columns that must hold numbers, and so everything except `moving`. */
const NUMBER_COLUMNS = [
  'sensor',
  'bucket',
  'n',
  'reference',
  'mean',
  'm2',
  'min',
  'max',
  'last',
  'lastAt',
  'anomalous',
  'uncertain',
] as const satisfies readonly (keyof RollupColumns)[];

export const rollupsSchema = z
  .object({
    kind: z.literal('rollups'),
    number: fields.number,
    bucketMs: z
      .number()
      .int()
      .min(1)
      .max(limits.bucketMsMax)
      .transform((ms) => durationMs(ms)),
    /** Epoch milliseconds, a multiple of `bucketMs`. */
    base: fields.instant,
    // Checked below by hand: this stands on the processor's hot path, and a schema per entry costs more than the parsing.
    columns: z.custom<RollupColumns>((columns) => findWrongColumn(columns) === undefined, {
      error: ({ input }) => findWrongColumn(input) ?? 'is not valid',
    }),
  })
  .superRefine(({ columns, bucketMs, base }, context) => {
    const wrong = findWrongRollup(columns, base, bucketMs);
    if (wrong !== undefined) context.addIssue({ code: 'custom', path: ['columns'], message: wrong });
    if (base % bucketMs !== 0) {
      context.addIssue({ code: 'custom', path: ['base'], message: `must be a multiple of bucketMs (${bucketMs})` });
    }
  });

/** Rollups under one number. `sensor` indexes into the list of the batch (see `Batch.sensors`). */
export type RollupsRecord = z.infer<typeof rollupsSchema>;

/** What is wrong about the sensors of a batch, or undefined. By hand like the columns: a batch has as many sensors as rollups. */
export function findWrongSensor(sensors: unknown): string | undefined {
  if (!Array.isArray(sensors)) return 'must be a list of sensors';
  if (faultless.has(sensors)) return undefined;
  for (let i = 0; i < sensors.length; i++) {
    const sensor: unknown = sensors[i];
    if (!isRecord(sensor)) return `sensor ${i} must hold device and metric`;
    for (const field of ['device', 'metric'] as const) {
      const name = sensor[field];
      if (typeof name !== 'string' || !isName(name)) return `sensor ${i}: ${field} ${NAME_RULE}`;
    }
    const { unit } = sensor;
    if (unit === undefined) continue;
    if (typeof unit !== 'string' || unit.length < 1 || unit.length > limits.unitLengthMax) {
      return `sensor ${i}: unit must be a text of 1 to ${limits.unitLengthMax} characters`;
    }
  }
  if (Object.isFrozen(sensors) && sensors.every(Object.isFrozen)) faultless.add(sensors);
  return undefined;
}

/** Lists that were checked and can't change: gateways send the same ones again and again, see `JsonReader`. */
const faultless = new WeakSet<readonly unknown[]>();

/** What is wrong about the columns as lists of finite numbers of one length, or undefined. */
function findWrongColumn(columns: unknown): string | undefined {
  if (!isRecord(columns)) return 'must hold one list per field';
  const length = Array.isArray(columns['sensor']) ? columns['sensor'].length : 0;
  if (length < 1 || length > limits.rollupsPerRecordMax) {
    return `column sensor must have 1 to ${limits.rollupsPerRecordMax} entries, has ${length}`;
  }
  for (const name of NUMBER_COLUMNS) {
    const wrong = findWrongEntry(columns[name], length, false);
    if (wrong !== undefined) return `column ${name} ${wrong}`;
  }
  const { moving } = columns;
  if (!isRecord(moving)) return 'moving must hold one list per statistic';
  for (const name of MOVING_STATISTICS) {
    const wrong = findWrongEntry(moving[name], length, true);
    if (wrong !== undefined) return `column moving.${name} ${wrong}`;
  }
  const { hash } = columns;
  if (hash !== undefined && !isHashes(hash, length)) return `column hash must hold 8 bytes per rollup in base64`;
  return undefined;
}

function findWrongEntry(column: unknown, length: number, nullable: boolean): string | undefined {
  if (!Array.isArray(column)) return 'is not a list';
  if (column.length !== length) return `has ${column.length} entries, column sensor ${length}`;
  for (let i = 0; i < length; i++) {
    const entry: unknown = column[i];
    // JSON has no NaN, but 1e999 reads as Infinity.
    if (!(Number.isFinite(entry) || (nullable && entry === null)))
      return `has the entry ${shown(entry)} at ${i}, must be finite`;
  }
  return undefined;
}

/** A foreign value for a message. Objects say themselves how they become texts, or are nested too deep to become one. */
const shown = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'that is no number' : String(value).slice(0, 40);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** What is impossible about one of the rollups, or undefined. The columns are lists of numbers of one length. */
function findWrongRollup(c: RollupColumns, base: number, bucketMs: number): string | undefined {
  for (let i = 0; i < c.sensor.length; i++) {
    const n = c.n[i]!;
    const bucket = c.bucket[i]!;
    if (!isCount(c.sensor[i]!) || !Number.isSafeInteger(bucket)) {
      return `rollup ${i}: sensor and bucket must be whole numbers`;
    }
    const start = base + bucket * bucketMs;
    if (!(start >= limits.instantMin && start + bucketMs - 1 <= limits.instantMax)) {
      return `rollup ${i}: its bucket begins at ${start}, not in the years 1900 to 2199`;
    }
    if (!isCount(n) || n < 1 || n > limits.readingsMax) {
      return `rollup ${i}: n is ${n}, must be a whole number from 1 to ${limits.readingsMax}`;
    }
    const min = c.min[i]!;
    const max = c.max[i]!;
    if (min > max) return `rollup ${i}: min ${min} is above max ${max}`;
    const last = c.last[i]!;
    if (last < min || last > max) return `rollup ${i}: last ${last} lies outside ${min} to ${max}`;
    const wrong = findWrongSpread(n, min - c.reference[i]!, max - c.reference[i]!, c.mean[i]!, c.m2[i]!);
    if (wrong !== undefined) return `rollup ${i}: ${wrong}`;
    if (!isCount(c.lastAt[i]!) || c.lastAt[i]! >= bucketMs) {
      return `rollup ${i}: lastAt ${c.lastAt[i]} lies outside its bucket`;
    }
    const anomalous = c.anomalous[i]!;
    const uncertain = c.uncertain[i]!;
    if (!isCount(anomalous) || anomalous > n || !isCount(uncertain) || uncertain > n) {
      return `rollup ${i}: anomalous ${anomalous} and uncertain ${uncertain} must be counts of at most n (${n})`;
    }
  }
  return undefined;
}

/**
 * What is impossible about mean and sum of squared distances of n values from `low` to `high`, all relative to the reference; or undefined.
 * The sum is greatest with half of the values at either end (Popoviciu 1935). Both may be off by what rounding does to values of that size.
 */
function findWrongSpread(n: number, low: number, high: number, mean: number, m2: number): string | undefined {
  if (m2 < 0) return `m2 is ${m2}, must not be negative`;
  const size = Math.max(-low, high, low, -high);
  if (mean < low - ROUNDING * size || mean > high + ROUNDING * size)
    return `mean ${mean} lies outside ${low} to ${high}`;
  const half = (high - low) / 2 + ROUNDING * size;
  return m2 > n * half * half * (1 + ROUNDING) + UNDERFLOW
    ? `m2 is ${m2}, more than ${n} values from ${low} to ${high} can have`
    : undefined;
}

/** Far more than adding 10^8 doubles one after the other can be off by, relative to the largest of them. */
const ROUNDING = 1e-6;
/** Squares below it have lost digits, or all of them. */
const UNDERFLOW = 1e-300;

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** The number at `index` of a checked column. */
export function at(column: readonly number[], index: number): number {
  const value = column[index];
  if (value === undefined) throw new RangeError(`column has ${column.length} entries, asked for entry ${index}`);
  return value;
}

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
  /** The sum of the hashes of its readings; absent: unknown. */
  readonly hash?: Readonly<HashSum> | undefined;
}
