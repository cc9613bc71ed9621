import { limits as contractLimits } from '@floorwatch/contracts';
import { StartError } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import { isMissing, parseNumber, usesDecimalComma } from './cells.ts';
import type { TimeZone } from './time-zone.ts';
import { type DateOrder, detectTimestampFormat, type TimestampFormat } from './timestamps.ts';

/** What a person may say about a file; everything else is told from its beginning. */
export interface PlanOptions {
  /** Name or number (from 1) of the column with the times. */
  readonly timestampColumn?: string;
  /** Names or numbers of the columns to publish. */
  readonly columns?: readonly string[];
  readonly dateOrder?: DateOrder;
  /** Of times that name none; by default UTC. */
  readonly timeZone?: TimeZone;
}

/** How the rows of a file become readings. */
export interface ColumnPlan {
  /** Whether the first row holds the names of the columns. */
  readonly header: boolean;
  readonly decimalComma: boolean;
  /** Columns whose texts, joined by a blank, are the time; undefined: the file has no times. */
  readonly time: { readonly columns: readonly number[]; readonly format: TimestampFormat } | undefined;
  readonly values: readonly { readonly column: number; readonly metric: string; readonly unit?: string }[];
  /** Columns that are not published, because they hold text or were not asked for. */
  readonly skipped: readonly string[];
  readonly width: number;
}

const TIME_OF_DAY = /^\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?$/;
const TIME_NAME =
  /(^|[^a-z])(time|date|timestamp|datetime|ts|t|epoch|datum|zeit|uhrzeit)([^a-z]|$)|timestamp|datetime/i;
/** Only numbers from 2001-09-09 to 2099 pass as times without a name that says so. */
const UNNAMED_EPOCH_MIN_MS = 1_000_000_000_000;
const UNNAMED_EPOCH_MAX_MS = 4_102_444_800_000;

/**
 * Plans the columns of a file from its first rows (trimmed cells).
 *
 * @param file for messages.
 * @throws StartError that names the column and the option that helps.
 */
export function planColumns(file: string, rows: readonly (readonly string[])[], options: PlanOptions): ColumnPlan {
  const [first] = rows;
  if (first === undefined) throw new StartError('usage', `${file}: is empty`);
  const decimalComma = usesDecimalComma(rows.flat());
  const header = !first.every((cell) => looksLikeData(cell, decimalComma, options.dateOrder));
  const width = header ? first.length : rows.reduce((most, row) => Math.max(most, row.length), 0);
  if (width > limits.csvColumnsMax) {
    throw new StartError('usage', `${file}: has ${width} columns, the limit is ${limits.csvColumnsMax}`);
  }
  const names = Array.from({ length: width }, (_, column) =>
    header ? (first[column] ?? '').replace(/^#\s*/, '') : '',
  );
  const body = header ? rows.slice(1) : rows;
  if (body.length === 0) throw new StartError('usage', `${file}: has a header and no rows`);
  const cells = names.map((_, column) => body.map((row) => row[column] ?? '').filter((cell) => !isMissing(cell)));
  const time = findTime(file, names, cells, options);
  const wanted = options.columns?.map((name) => columnCalled(file, '--columns', name, names));
  const values: { column: number; metric: string; unit?: string }[] = [];
  const skipped: string[] = [];
  const taken = new Set<string>();
  const numeric = (column: number): boolean => isNumeric(cells[column] ?? [], decimalComma);
  const candidates = names.map((_, column) => column).filter((column) => !(time?.columns.includes(column) ?? false));
  for (const column of candidates) {
    const { header: title, unit } = unitOf(names[column] ?? '');
    const name = metricName(title, column, candidates.length);
    if (!(wanted?.includes(column) ?? numeric(column))) {
      skipped.push(name);
      continue;
    }
    let metric = name;
    for (let again = 2; taken.has(metric); again++) metric = `${name}-${again}`;
    taken.add(metric);
    values.push({ column, metric, ...(unit === undefined ? {} : { unit }) });
  }
  if (values.length === 0) {
    throw new StartError('usage', `${file}: has no column of numbers; its columns are ${list(names)}`);
  }
  return { header, decimalComma, time, values, skipped, width };
}

function findTime(
  file: string,
  names: readonly string[],
  cells: readonly (readonly string[])[],
  options: PlanOptions,
): ColumnPlan['time'] {
  const asked = options.timestampColumn;
  const columns =
    asked === undefined ? names.map((_, column) => column) : [columnCalled(file, '--timestamp-column', asked, names)];
  const candidates = columns.flatMap((column) => {
    const sample = cells[column] ?? [];
    const format = detectTimestampFormat(sample, options.dateOrder);
    if (format === undefined) return [];
    const named = asked !== undefined || TIME_NAME.test(names[column] ?? '');
    if (format !== 'ambiguous' && !format.textual && !named && !countsUp(sample, format)) return [];
    return [{ column, format, rank: (named ? 2 : 0) + (format === 'ambiguous' || format.textual ? 1 : 0) }];
  });
  const best = candidates.reduce<(typeof candidates)[number] | undefined>(
    (leader, candidate) => (leader === undefined || candidate.rank > leader.rank ? candidate : leader),
    undefined,
  );
  if (best === undefined) {
    if (asked === undefined) return undefined;
    const shown = cells[columns[0] ?? 0]?.[0] ?? '';
    throw new StartError(
      'usage',
      `${file}: --timestamp-column ${asked}: ${JSON.stringify(shown)} is no time that is known here`,
    );
  }
  if (best.format === 'ambiguous') {
    const shown = JSON.stringify(cells[best.column]?.[0] ?? '');
    throw new StartError(
      'usage',
      `${file}: times such as ${shown} can be read in two ways; say --date-order dmy or --date-order mdy`,
    );
  }
  return { format: best.format, columns: withTimeOfDay(best.column, best.format, cells) };
}

/** Some recordings hold the date in one column and the time of day in another. */
function withTimeOfDay(date: number, format: TimestampFormat, cells: readonly (readonly string[])[]): number[] {
  const dates = cells[date] ?? [];
  if (!format.textual || dates.some((cell) => cell.includes(':'))) return [date];
  const ofDay = cells.findIndex((column) => column.length > 0 && column.every((cell) => TIME_OF_DAY.test(cell)));
  return ofDay < 0 ? [date] : [date, ofDay];
}

/** Whether numbers without a telling name can only be times: of our days, whole, and never falling. */
function countsUp(sample: readonly string[], format: TimestampFormat): boolean {
  const times = sample.map((text) => format.parse(text) ?? Number.NaN);
  return (
    times.length > 1 &&
    sample.every((text) => /^\d+$/.test(text)) &&
    times.every((time, i) => time >= (times[i - 1] ?? UNNAMED_EPOCH_MIN_MS) && time < UNNAMED_EPOCH_MAX_MS)
  );
}

/** A column of numbers, if most of what it holds is; an empty one may still turn out to be. */
function isNumeric(cells: readonly string[], decimalComma: boolean): boolean {
  const numbers = cells.filter((cell) => parseNumber(cell, decimalComma) !== undefined).length;
  return numbers * 2 > cells.length || cells.length === 0;
}

function looksLikeData(cell: string, decimalComma: boolean, order: DateOrder | undefined): boolean {
  if (isMissing(cell) || parseNumber(cell, decimalComma) !== undefined || TIME_OF_DAY.test(cell)) return true;
  return detectTimestampFormat([cell], order) !== undefined;
}

function columnCalled(file: string, option: string, asked: string, names: readonly string[]): number {
  const byName = names.indexOf(asked);
  if (byName >= 0) return byName;
  const number = /^\d+$/.test(asked) ? Number(asked) : 0;
  if (number >= 1 && number <= names.length) return number - 1;
  throw new StartError('usage', `${file}: ${option} ${asked}: there is no such column; there are ${list(names)}`);
}

/** A unit in square brackets behind the name, as in `Water flow [l/s]`, goes into the messages, which keep its characters. */
function unitOf(header: string): { readonly header: string; readonly unit?: string } {
  const [, name, unit] = /^(.*\S)\s*\[([^[\]]{1,32})\]$/.exec(header.trim()) ?? [];
  return name === undefined || unit === undefined ? { header } : { header: name, unit: unit.trim() };
}

/** A header as a metric: without the characters that MQTT or the contracts reserve. */
function metricName(header: string, column: number, columns: number): string {
  const name = usableName(header);
  if (name !== '') return name;
  return columns === 1 ? 'value' : `column-${column + 1}`;
}

/** `text` as a name of a device or a metric: reserved characters become hyphens, and it is cut to the length allowed. */
export const usableName = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Cs}/+#]+/gu, '-')
    .trim()
    .slice(0, contractLimits.nameLengthMax)
    .trim();

const list = (names: readonly string[]): string =>
  names.map((name, column) => (name === '' ? `${column + 1}` : `${column + 1} ${JSON.stringify(name)}`)).join(', ');
