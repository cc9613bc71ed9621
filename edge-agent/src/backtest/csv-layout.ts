import { isName } from '@floorwatch/contracts';
import { StartError } from '@floorwatch/runtime';

import { recordedTime } from './recorded-time.ts';

/** A cell with a reading, and whose it is. */
export interface RecordedCell {
  readonly device: string;
  readonly metric: string;
  readonly unit?: string;
  readonly cell: string;
}

/** What the columns of a CSV file are, by its header. */
export interface CsvLayout {
  /** The column of the time. */
  readonly time: number;
  /** The cells of a row that hold readings. */
  cellsOf(row: readonly string[]): readonly RecordedCell[];
}

/** What a column of times is called; where none is, the first one is taken. */
const TIME_NAMES = new Set(['timestamp', 'time', 'ts', 'date', 'datetime']);

/**
 * With the columns `device`, `metric` and `value` (and `unit`), in any order, each row is a reading. Otherwise every column but that of the
 * time is a metric of `device`.
 *
 * @throws StartError if the row is no header, or names no column for values.
 */
export function csvLayout(header: readonly string[], device: string): CsvLayout {
  const names = header.map((name) => name.toLowerCase());
  if (recordedTime(header[0] ?? '') !== undefined) {
    throw new StartError(
      'usage',
      `its first row is a reading ("${header.join(',')}"): a first row must name the columns, such as timestamp,temperature`,
    );
  }
  const time = Math.max(
    0,
    names.findIndex((name) => TIME_NAMES.has(name)),
  );
  if (['device', 'metric', 'value'].every((name) => names.includes(name))) return readingPerRow(names, time);
  const metrics = [...header.entries()].filter(([column, name]) => column !== time && name !== '');
  if (metrics.length === 0) {
    throw new StartError(
      'usage',
      `its first row ("${header.join(',')}") names no column of values: it must name the time and the metrics, separated by commas, such as ` +
        'timestamp,temperature',
    );
  }
  return { time, cellsOf: (row) => metrics.map(([column, metric]) => ({ device, metric, cell: row[column] ?? '' })) };
}

function readingPerRow(names: readonly string[], time: number): CsvLayout {
  const [device, metric, value, unit] = ['device', 'metric', 'value', 'unit'].map((name) => names.indexOf(name));
  return {
    time,
    cellsOf(row) {
      const cellOf = (column: number | undefined): string => row[column ?? -1] ?? '';
      const measuredIn = cellOf(unit);
      const sensor = { device: cellOf(device), metric: cellOf(metric) };
      // What names no sensor is no reading.
      const one = { ...sensor, cell: isName(sensor.device) && isName(sensor.metric) ? cellOf(value) : '' };
      return [measuredIn === '' ? one : { ...one, unit: measuredIn }];
    },
  };
}
