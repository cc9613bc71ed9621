import type { DurationMs, RefusedItem, Row } from '@floorwatch/contracts';

import { rowKey } from './row-key.ts';
import { StoreError } from './store.ts';
import { tableOf } from './tables.ts';

/**
 * How long rows are kept. A row older than that is refused, because a store would drop it at once or soon after. 0: for ever.
 */
export interface Retention {
  readonly main: DurationMs;
  /** Of `window_live`. */
  readonly live: DurationMs;
}

/** A row that a store may write, with its exact text. */
export interface StoredRow {
  /** Its place in the batch that was given. */
  readonly index: number;
  readonly row: Row;
  /** The whole row as JSON. Every number comes back bit for bit. */
  readonly text: string;
}

/** What a batch comes down to: of rows with the same key only the last is written. */
export interface PreparedBatch {
  readonly rows: readonly StoredRow[];
  readonly refused: readonly RefusedItem[];
}

/** Whether a row is too old to be written. */
export type IsExpired = (table: Row['table'], time: number) => boolean;

/** By the age alone. */
export const olderThan =
  ({ main, live }: Retention, now: number): IsExpired =>
  (table, time) => {
    const kept = table === 'window_live' ? live : main;
    return kept > 0 && time < now - kept;
  };

/** Checks a batch and encodes its rows, in the order given. */
export function prepareBatch(batch: readonly Row[], isExpired: IsExpired): PreparedBatch {
  const byKey = new Map<string, StoredRow>();
  const refused: RefusedItem[] = [];
  for (const [index, row] of batch.entries()) {
    const time = tableOf(row).time(row);
    if (!Number.isSafeInteger(time)) {
      refused.push({ index, code: 'unfit', reason: `its time is ${time}, must be whole milliseconds` });
    } else if (isExpired(row.table, time)) {
      refused.push({ index, code: 'expired', reason: 'older than the store keeps rows' });
    } else {
      try {
        const text = exactJson(row);
        const key = rowKey(row);
        // A later row with the same key also takes the later place.
        byKey.delete(key);
        byKey.set(key, { index, row, text });
      } catch (error) {
        if (!(error instanceof NotFiniteError)) throw error;
        refused.push({ index, code: 'unfit', reason: error.message });
      }
    }
  }
  return { rows: [...byKey.values()], refused };
}

/** The row that {@link StoredRow.text} was made of. */
export function decodeRow<T extends Row['table']>(table: T, text: string): Extract<Row, { table: T }> {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (error) {
    throw new StoreError('damaged', `a row of ${table} in the store can't be read: ${text.slice(0, 80)}`, {
      cause: error,
    });
  }
  if (typeof row !== 'object' || row === null || !('table' in row) || row.table !== table) {
    throw new StoreError('damaged', `a row of ${table} in the store is something else: ${text.slice(0, 80)}`);
  }
  return row as Extract<Row, { table: T }>;
}

class NotFiniteError extends Error {}

/**
 * JSON that keeps −0, which `JSON.stringify` writes as 0, and that refuses NaN and infinities, which it writes as null.
 * Finite numbers are written with the fewest digits that read back as the same bits (ECMA-262, Number::toString).
 */
export function exactJson(value: unknown, path = ''): string {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new NotFiniteError(`${path} is ${value}, must be a finite number`);
    return Object.is(value, -0) ? '-0' : String(value);
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => exactJson(item, `${path}[${i}]`)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields: string[] = [];
    for (const [name, item] of Object.entries(value)) {
      if (item === undefined) continue;
      fields.push(`${JSON.stringify(name)}:${exactJson(item, path === '' ? name : `${path}.${name}`)}`);
    }
    return `{${fields.join(',')}}`;
  }
  return JSON.stringify(value);
}
