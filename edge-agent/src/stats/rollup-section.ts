import { type Aggregate, epochMs, MOVING_STATISTICS, ROLLUP_MS } from '@floorwatch/contracts';

import { numbersOf, requireSection, type StateArray, StateError, type StateSection } from '../state-section.ts';
import type { RollupBucket } from './rollup-buckets.ts';

/** Readings that no rollup has told of yet: every later release must be able to read them (docs/agent-snapshot-format.md). */
const SECTION = 'rollups';
const VERSION = 1;

const SUMS = [
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
] as const satisfies readonly (keyof Aggregate)[];

/** A bucket of a snapshot. */
export interface SavedBucket {
  readonly bucket: RollupBucket;
  /** It holds its sensor's newest reading. */
  readonly newest: boolean;
}

/**
 * One column per field. A moving statistic that is null is NaN, and so are those of a bucket that holds its sensor's newest reading:
 * they are what the statistics say.
 */
export function rollupsSection(buckets: readonly SavedBucket[]): StateSection {
  const { length } = buckets;
  const columnsOf = (fields: readonly string[]): Float64Array[] => fields.map(() => new Float64Array(length));
  const [slots, starts, newests] = [new Float64Array(length), new Float64Array(length), new Uint8Array(length)];
  const hash = new Float64Array(length * 2);
  const [sums, movings] = [columnsOf(SUMS), columnsOf(MOVING_STATISTICS)];
  // Bucket by bucket: they lie far apart in memory, and each is looked up once.
  for (const [i, { bucket, newest }] of buckets.entries()) {
    slots[i] = bucket.slot;
    starts[i] = bucket.start;
    newests[i] = newest ? 1 : 0;
    hash[2 * i] = bucket.hash.high;
    hash[2 * i + 1] = bucket.hash.low;
    for (let field = 0; field < SUMS.length; field++) sums[field]![i] = bucket.aggregate[SUMS[field]!];
    for (let field = 0; field < MOVING_STATISTICS.length; field++) {
      movings[field]![i] = newest ? NaN : (bucket.moving[MOVING_STATISTICS[field]!] ?? NaN);
    }
  }
  const arrays: Record<string, StateArray> = { slot: slots, start: starts, newest: newests, hash };
  for (const [place, field] of SUMS.entries()) arrays[field] = sums[place]!;
  for (const [place, field] of MOVING_STATISTICS.entries()) arrays[field] = movings[place]!;
  return { name: SECTION, version: VERSION, values: { bucketMs: ROLLUP_MS }, arrays };
}

/**
 * The buckets that a snapshot holds, in the order in which they would go out within one start.
 *
 * @throws StateError if there is no such section, a newer release wrote it, or its columns do not fit together.
 */
export function bucketsIn(sections: readonly StateSection[]): {
  readonly bucketMs: number;
  readonly buckets: readonly SavedBucket[];
} {
  const section = requireSection(sections, SECTION, VERSION);
  const { bucketMs } = (section.values ?? {}) as { readonly bucketMs?: unknown };
  const { newest } = section.arrays;
  if (typeof bucketMs !== 'number' || !(newest instanceof Uint8Array)) {
    throw new StateError('malformed', SECTION, 'does not say how wide its rollups are, or which are the newest');
  }
  const columnOf = (field: string): Float64Array => numbersOf(section, field, newest.length);
  const [slot, start] = [columnOf('slot'), columnOf('start')];
  const sums = SUMS.map((field) => [field, columnOf(field)] as const);
  const moving = MOVING_STATISTICS.map((field) => [field, columnOf(field)] as const);
  // Files of earlier releases say nothing of hashes.
  const hash =
    section.arrays['hash'] === undefined
      ? new Float64Array(newest.length * 2).fill(NaN)
      : numbersOf(section, 'hash', newest.length * 2);
  const buckets = Array.from(newest, (flag, i): SavedBucket => ({
    newest: flag === 1,
    bucket: {
      slot: slot[i]!,
      start: epochMs(start[i]!),
      aggregate: fieldsOf(sums, (column) => column[i]!),
      moving: fieldsOf(moving, (column) => (Number.isNaN(column[i]!) ? null : column[i]!)),
      hash: { high: hash[2 * i]!, low: hash[2 * i + 1]! },
    },
  }));
  return { bucketMs, buckets };
}

function fieldsOf<K extends string, V>(
  columns: readonly (readonly [K, Float64Array])[],
  value: (column: Float64Array) => V,
): Record<K, V> {
  const fields: Partial<Record<K, V>> = {};
  for (const [field, column] of columns) fields[field] = value(column);
  return fields as Record<K, V>;
}
