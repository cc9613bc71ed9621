import { escape } from '@influxdata/influxdb-client';

import type { StoredRow } from './stored-row.ts';
import { columnsOf, readColumn, tableOf } from './tables.ts';

/** The instants that fit into InfluxDB's 64-bit nanoseconds, epoch milliseconds, with room for {@link nanosOf}. */
export const INFLUX_MS_MIN = -9_223_372_036_000;
export const INFLUX_MS_MAX = 9_223_372_036_000;

/**
 * A row as a line of InfluxDB's line protocol with its time in nanoseconds, or undefined if its time does not fit.
 *
 * Fields that are null are left out, and InfluxDB then keeps what an earlier write of the same point said of them. That touches
 * only what is shown; floorwatch itself reads the field `row`, which is always replaced whole.
 */
export function lineOf({ row, text }: StoredRow): string | undefined {
  const table = tableOf(row);
  const time = table.time(row);
  if (time < INFLUX_MS_MIN || time > INFLUX_MS_MAX) return undefined;
  const tags = table.tags.map((tag) => `,${tag.name}=${escape.tag(tagValue(tag.read(row)))}`).join('');
  const fields = [`row=${quoted(text)}`];
  for (const column of columnsOf(table)) {
    const value = readColumn(column, row);
    if (value !== null) fields.push(`${column.name}=${typeof value === 'number' ? String(value) : quoted(value)}`);
  }
  for (const [name, value] of table.more?.(row) ?? []) fields.push(`${name}=${value}`);
  return `${row.table}${tags} ${fields.join(',')} ${nanosOf(time, table.id?.(row))}`;
}

/** A text as the value of a field. The client's `Point` does the same character by character: three times the time per window. */
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

/**
 * A name as a tag. Line protocol can't say a backslash at the end of a tag or before a comma, an equals sign or a space, so every
 * backslash becomes a slash, which no name can hold (see `isName`): still one tag per name, and still readable.
 */
export const tagValue = (name: string): string => name.replaceAll('\\', '/');

/**
 * The time of a point. Two anomalies of one sensor and detector may open in the same millisecond and must not become one point, so the
 * part below a millisecond comes from the id: its first 32 bits, scaled to 0–999,999 ns, so points also stand in the order of their ids.
 */
function nanosOf(ms: number, id: string | undefined): string {
  const below = id === undefined ? 0 : Math.floor((Number.parseInt(id.slice(0, 8), 16) / 2 ** 32) * 1e6) || 0;
  return String(BigInt(ms) * 1_000_000n + BigInt(below));
}
