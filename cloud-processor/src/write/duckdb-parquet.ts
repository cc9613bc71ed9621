import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';

import type { ParquetLimits, ParquetOutcome } from './store.ts';
import { columnsOf, type Table, TABLES } from './tables.ts';

/** Rows that are put together before they are written: a quarter of DuckDB's own, because what waits counts as memory of the store. */
const ROWS_PER_GROUP = 30_720;

/**
 * Writes rows as a Parquet file, in no particular order: sorting them would need room in the memory that the writer needs, too. The
 * columns are those of `docs/store.md` but for `row`.
 *
 * @param reader a connection of its own.
 * @param where the condition on the rows, with `$1`, `$2`… for `values`.
 * @param file an absolute path; replaced if it is there.
 * @throws what DuckDB throws; the reason of `signal` if it aborts, and then a part of the file may be left.
 */
export async function writeParquet(
  reader: DuckDBConnection,
  name: 'window' | 'anomaly',
  where: string,
  values: DuckDBValue[],
  file: string,
  { rowsMax }: ParquetLimits,
  signal: AbortSignal,
): Promise<ParquetOutcome> {
  signal.throwIfAborted();
  const interrupt = (): void => reader.interrupt();
  signal.addEventListener('abort', interrupt);
  try {
    const counted = await reader.runAndReadAll(`SELECT count(*) FROM "${name}" WHERE ${where}`, values);
    const rows = Number(counted.getRows()[0]?.[0]);
    if (rows > rowsMax) return { kind: 'too-many', rows };
    signal.throwIfAborted();
    const table: Table = TABLES[name];
    const columns = [...table.tags.map((tag) => tag.name), 'time', ...columnsOf(table).map((column) => column.name)];
    const written = await reader.runAndReadAll(
      `COPY (SELECT ${columns.map((column) => `"${column}"`).join(', ')} FROM "${name}" WHERE ${where})
       TO '${file.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROWS_PER_GROUP})`,
      values,
    );
    return { kind: 'written', rows: Number(written.getRows()[0]?.[0]) };
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
