import { type DuckDBAppender, type DuckDBConnection, DuckDBTimestampValue, type DuckDBValue } from '@duckdb/node-api';
import type { Row } from '@floorwatch/contracts';

import type { StoredRow } from './stored-row.ts';
import { type Column, readColumn, type Table, TABLE_NAMES, tableOf, TABLES } from './tables.ts';

/** Up to so many rows, such as an anomaly that must not wait, each is looked for by itself: a third of the time of a join. */
const ROWS_ONE_BY_ONE = 4;

/** Epoch milliseconds as a TIMESTAMP in UTC. */
export const timestamp = (ms: number): DuckDBTimestampValue => new DuckDBTimestampValue(BigInt(ms) * 1_000n);

const addedTo = ({ added }: Table): readonly Column<Row>[] => added ?? [];

const declare = <R>({ name, type }: Column<R>): string => `${name} ${type === 'number' ? 'DOUBLE' : 'VARCHAR'}`;

/** As the first release made the table; `ALTER TABLE` puts what came later behind it, so that new files and old ones are alike. */
const declarations = ({ tags, columns }: Table): string[] => [
  ...tags.map((tag) => `${tag.name} VARCHAR NOT NULL`),
  'time TIMESTAMP NOT NULL',
  ...columns.map(declare),
  'row VARCHAR NOT NULL',
];

/** The tables, and for each a temporary one that holds the rows of the transaction in hand. */
export const CREATE_TABLES = TABLE_NAMES.flatMap((name) => {
  const added = addedTo(TABLES[name]).map(declare);
  return [
    `CREATE TABLE IF NOT EXISTS "${name}" (${declarations(TABLES[name]).join(', ')})`,
    added.map((column) => `ALTER TABLE "${name}" ADD COLUMN IF NOT EXISTS ${column}`),
    `CREATE TEMPORARY TABLE IF NOT EXISTS "new_${name}" AS FROM "${name}" LIMIT 0`,
  ].flat();
});

/**
 * Replaces rows by key in one transaction.
 *
 * @param rows of the table `name`, no two with the same key.
 */
export async function replaceRows(
  writer: DuckDBConnection,
  name: Row['table'],
  rows: readonly StoredRow[],
): Promise<void> {
  await writer.run('BEGIN');
  try {
    if (rows.length <= ROWS_ONE_BY_ONE) {
      for (const row of rows) await deleteRow(writer, name, row);
      await appendRows(writer, name, rows);
    } else {
      await appendRows(writer, `new_${name}`, rows);
      const sameKey = keyColumns(name).map((column) => `old.${column} = new.${column}`);
      await writer.run(`DELETE FROM "${name}" AS old USING "new_${name}" AS new WHERE ${sameKey.join(' AND ')}`);
      await writer.run(`INSERT INTO "${name}" FROM "new_${name}"`);
      await writer.run(`DELETE FROM "new_${name}"`);
    }
    await writer.run('COMMIT');
  } catch (error) {
    // If even this fails, the first error is the one that tells why.
    await writer.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** The columns whose values together are a row's key: the tags, the time, and the id if there is one. */
function keyColumns(name: Row['table']): string[] {
  const table: Table = TABLES[name];
  return [...table.tags.map((tag) => tag.name), 'time', ...(table.id === undefined ? [] : ['id'])];
}

async function deleteRow(writer: DuckDBConnection, name: Row['table'], { row }: StoredRow): Promise<void> {
  const table = tableOf(row);
  const key: DuckDBValue[] = [...table.tags.map((tag) => tag.read(row)), timestamp(table.time(row))];
  if (table.id !== undefined) key.push(table.id(row));
  const where = keyColumns(name).map((column, i) => `${column} = $${i + 1}`);
  await writer.run(`DELETE FROM "${name}" WHERE ${where.join(' AND ')}`, key);
}

async function appendRows(writer: DuckDBConnection, table: string, rows: readonly StoredRow[]): Promise<void> {
  const appender = await writer.createAppender(table);
  for (const row of rows) append(appender, row);
  appender.closeSync();
}

function append(appender: DuckDBAppender, { row, text }: StoredRow): void {
  const table = tableOf(row);
  for (const tag of table.tags) appender.appendVarchar(tag.read(row));
  appender.appendTimestamp(timestamp(table.time(row)));
  for (const column of table.columns) appendValue(appender, readColumn(column, row));
  appender.appendVarchar(text);
  for (const column of addedTo(table)) appendValue(appender, readColumn(column, row));
  appender.endRow();
}

function appendValue(appender: DuckDBAppender, value: number | string | null): void {
  if (typeof value === 'number') appender.appendDouble(value);
  else if (value === null) appender.appendNull();
  else appender.appendVarchar(value);
}
