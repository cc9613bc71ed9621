import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

/** One series of a collection: readings in order, as columns. A missing reading is NaN. */
export interface LabelledSeries {
  /** As the labels name it, such as `realTraffic/speed_6005.csv` or `A-4`. */
  readonly name: string;
  /** The first column of the data, as it stands there: what a result row repeats. */
  readonly keys: readonly string[];
  /** Epoch milliseconds. */
  readonly times: Float64Array;
  readonly values: Float64Array;
}

const MINUTE_MS = 60_000;

/** How a missing reading may be written. */
const MISSING = /^(?:|na|nan|null)$/i;

/** A collection cannot be read, and why, for a person. */
export class SeriesError extends Error {}

/** The collections in `folder`: its sub-folders that have labels and data. */
export function collectionsIn(folder: string): string[] {
  const isCollection = (name: string): boolean =>
    existsSync(path.join(folder, name, 'labels.json')) && existsSync(path.join(folder, name, 'data'));
  return reading(folder, () => readdirSync(folder))
    .filter(isCollection)
    .sort();
}

/**
 * The series of a collection, one after the other: each is read when it is asked for.
 *
 * @throws SeriesError that names the file and the row
 */
export function* seriesOf(collection: string): Generator<LabelledSeries> {
  const file = path.join(collection, 'labels.json');
  const labels: unknown = reading(file, () => JSON.parse(readFileSync(file, 'utf8')) as unknown);
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels))
    throw new SeriesError(`${file} must be an object with the labels of each series by its name.`);
  for (const name of Object.keys(labels)) yield readSeries(collection, name);
}

function readSeries(collection: string, name: string): LabelledSeries {
  const file = path.join(collection, 'data', name.endsWith('.csv') ? `${name}.gz` : `${name}.csv.gz`);
  const text = reading(file, () => gunzipSync(readFileSync(file)).toString('utf8'));
  const [header = '', ...rows] = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter(Boolean);
  const columns = header.split(',').map((column) => column.trim());
  const timeColumn = columns.indexOf('timestamp');
  const valueColumn = columns.indexOf('value');
  if (valueColumn < 0) throw new SeriesError(`${file}: no column "value" in the header "${header}"`);
  const cells = rows.map((row) => row.split(','));
  return {
    name,
    keys: cells.map((row) => row[0] ?? ''),
    // Series without times are taken as one reading per minute.
    times: Float64Array.from(cells, (row, index) =>
      timeColumn < 0 ? index * MINUTE_MS : timeIn(row[timeColumn] ?? '', file, index),
    ),
    values: Float64Array.from(cells, (row, index) => valueIn(row[valueColumn]?.trim() ?? '', file, index)),
  };
}

function timeIn(text: string, file: string, index: number): number {
  const time = Date.parse(`${text.trim().replace(' ', 'T')}Z`);
  if (!Number.isNaN(time)) return time;
  throw new SeriesError(`${file}: row ${rowOf(index)}: "${text}" is no time such as 2026-01-05 00:00:00.`);
}

function valueIn(text: string, file: string, index: number): number {
  if (MISSING.test(text)) return Number.NaN;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new SeriesError(`${file}: row ${rowOf(index)}: "${text}" is no number. A missing reading is empty.`);
}

/** The row of a file, counted from 1, where the header is the first. */
const rowOf = (index: number): number => index + 2;

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new SeriesError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
