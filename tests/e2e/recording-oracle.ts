import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** One value of one column of a recording. */
export interface RecordedValue {
  readonly metric: string;
  readonly at: number;
  readonly value: number;
}

/** What a window of a recording must hold. */
export interface ExpectedWindow {
  readonly n: number;
  readonly mean: number;
  readonly variance: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The numeric cells of a CSV or CSV.gz file, row by row; the first column is the time, without a zone, read as UTC. Written without any
 * of the product's code, because it judges it.
 */
export function readRecording(file: string): RecordedValue[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const [header = '', ...rows] = text.split(/\r?\n/).filter((line) => line !== '');
  const metrics = header.split(',').slice(1);
  return rows.flatMap((row) => {
    const [time = '', ...cells] = row.split(',');
    const at = Date.parse(`${time.slice(0, 10)}T${time.slice(11, 19) || '00:00:00'}Z`);
    return metrics.flatMap((metric, column) => {
      const cell = cells[column] ?? '';
      return cell === '' || Number.isNaN(Number(cell)) ? [] : [{ metric, at, value: Number(cell) }];
    });
  });
}

/** Every window of one metric by its start: all values gathered, then two passes over them. */
export function expectedWindows(values: readonly RecordedValue[], size: number): Map<number, ExpectedWindow> {
  const gathered = new Map<number, number[]>();
  for (const { at, value } of values) {
    const start = at - (((at % size) + size) % size);
    const window = gathered.get(start);
    if (window === undefined) gathered.set(start, [value]);
    else window.push(value);
  }
  return new Map(
    [...gathered].map(([start, window]) => {
      const mean = window.reduce((sum, value) => sum + value, 0) / window.length;
      const variance = window.reduce((sum, value) => sum + (value - mean) ** 2, 0) / window.length;
      return [start, { n: window.length, mean, variance, min: Math.min(...window), max: Math.max(...window) }];
    }),
  );
}
