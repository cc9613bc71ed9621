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

/** One column per field; a moving statistic that is null is NaN. */
export function rollupsSection(buckets: readonly SavedBucket[]): StateSection {
  const column = (value: (bucket: RollupBucket) => number): Float64Array => {
    const numbers = new Float64Array(buckets.length);
    for (let i = 0; i < numbers.length; i++) numbers[i] = value(buckets[i]!.bucket);
    return numbers;
  };
  const arrays: Record<string, StateArray> = {
    slot: column((bucket) => bucket.slot),
    start: column((bucket) => bucket.start),
    newest: Uint8Array.from(buckets, ({ newest }) => (newest ? 1 : 0)),
  };
  for (const field of SUMS) arrays[field] = column((bucket) => bucket.aggregate[field]);
  for (const field of MOVING_STATISTICS) arrays[field] = column((bucket) => bucket.moving[field] ?? NaN);
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
  const buckets = Array.from(newest, (flag, i): SavedBucket => ({
    newest: flag === 1,
    bucket: {
      slot: slot[i]!,
      start: epochMs(start[i]!),
      aggregate: fieldsOf(sums, (column) => column[i]!),
      moving: fieldsOf(moving, (column) => (Number.isNaN(column[i]!) ? null : column[i]!)),
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
