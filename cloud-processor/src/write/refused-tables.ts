import type { RefusedItem, Row } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';

/** A table of which the store has refused every row for a while. */
export interface RefusedTable {
  readonly table: Row['table'];
  readonly rows: number;
  /** What the store said of the last one. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly at: number;
}

/**
 * Tells a store that takes nothing of a table from one that refuses a row now and then. The first is the store's fault, as when a foreign program has
 * given a field another type; the second is the row's.
 */
export class RefusedTables {
  readonly #tables = new Map<Row['table'], RefusedTable>();

  /** @param refused the rows of `batch` that the store did not take. One that is too old was not tried, and tells nothing about its table. */
  note(batch: readonly Row[], refused: readonly RefusedItem[], now: number): void {
    const untaken = new Set(refused.map(({ index }) => index));
    const taken = new Set(batch.flatMap((row, index) => (untaken.has(index) ? [] : [row.table])));
    for (const table of taken) this.#tables.delete(table);
    for (const { index, code, reason } of refused) {
      const { table } = batch[index]!;
      if (code === 'expired' || taken.has(table)) continue;
      const { rows = 0, since = now } = this.#tables.get(table) ?? {};
      this.#tables.set(table, { table, rows: rows + 1, reason, since, at: now });
    }
  }

  /** Those of which enough rows were refused in a row, and one lately. */
  at(now: number): readonly RefusedTable[] {
    const { refusedRowsTold, refusedToldMs } = processorLimits;
    return [...this.#tables.values()].filter(({ rows, at }) => rows >= refusedRowsTold && now - at < refusedToldMs);
  }
}

/** A refused table in words, with what to do. */
export function describeRefused({ table, rows, reason, since }: RefusedTable, now: number): string {
  const minutes = Math.max(1, Math.round((now - since) / 60_000));
  const remedy = /field type conflict/.test(reason)
    ? 'another program has written this field into the bucket with another type, and InfluxDB keeps that type for a week of data or longer; ' +
      'find that program, give floorwatch a bucket of its own (store.bucket, "floorwatch-processor set-up")'
    : 'mend what the store says';
  return (
    `refuses every row of "${table}" (${rows} in ${minutes} min, dead letters now): ${reason}. What to do: ${remedy}; then make the rows again with ` +
    '"floorwatch-processor reprocess" (docs/runbooks/processor.md)'
  );
}
