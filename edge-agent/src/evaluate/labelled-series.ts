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

/** The collections in `folder`: its sub-folders that have labels and data. */
export function collectionsIn(folder: string): string[] {
  const isCollection = (name: string): boolean =>
    existsSync(path.join(folder, name, 'labels.json')) && existsSync(path.join(folder, name, 'data'));
  return readdirSync(folder).filter(isCollection).sort();
}

/** The series of a collection, one after the other: each is read when it is asked for. */
export function* seriesOf(collection: string): Generator<LabelledSeries> {
  const labels: unknown = JSON.parse(readFileSync(path.join(collection, 'labels.json'), 'utf8'));
  for (const name of Object.keys(labels as object)) yield readSeries(collection, name);
}

function readSeries(collection: string, name: string): LabelledSeries {
  const file = path.join(collection, 'data', name.endsWith('.csv') ? `${name}.gz` : `${name}.csv.gz`);
  const [header = '', ...rows] = gunzipSync(readFileSync(file)).toString('utf8').split(/\r?\n/).filter(Boolean);
  const columns = header.split(',');
  const timeColumn = columns.indexOf('timestamp');
  const valueColumn = columns.indexOf('value');
  if (valueColumn < 0) throw new Error(`${file}: no column "value" in the header "${header}"`);
  const cells = rows.map((row) => row.split(','));
  return {
    name,
    keys: cells.map((row) => row[0] ?? ''),
    // Series without times are taken as one reading per minute.
    times: Float64Array.from(cells, (row, index) =>
      timeColumn < 0 ? index * MINUTE_MS : Date.parse(`${(row[timeColumn] ?? '').replace(' ', 'T')}Z`),
    ),
    values: Float64Array.from(cells, (row) => (row[valueColumn] ? Number(row[valueColumn]) : Number.NaN)),
  };
}
