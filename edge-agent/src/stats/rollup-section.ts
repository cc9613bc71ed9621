import { epochMs, MOVING_STATISTICS, ROLLUP_MS } from '@floorwatch/contracts';

import { type CapturedSection, numbersOf, requireSection, StateError, type StateSection } from '../state-section.ts';
import { type PastBuckets, SUMS } from './bucket-rows.ts';
import type { RollupBucket } from './rollup-buckets.ts';

/** Readings that no rollup has told of yet: every later release must be able to read them (docs/agent-snapshot-format.md). */
const SECTION = 'rollups';
const VERSION = 1;

/** A bucket of a snapshot. */
export interface SavedBucket {
  readonly bucket: RollupBucket;
  /** It holds its sensor's newest reading. */
  readonly newest: boolean;
}

/** The section of the open buckets, whose columns are still to be copied. */
export const rollupsSection = (buckets: PastBuckets): CapturedSection => ({
  name: SECTION,
  version: VERSION,
  values: { bucketMs: ROLLUP_MS },
  arrays: buckets.columns(),
});

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
  const hash = numbersOf(section, 'hash', newest.length * 2);
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
