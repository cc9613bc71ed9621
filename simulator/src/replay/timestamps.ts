import { type EpochMs, epochMs } from '@floorwatch/contracts';

import type { TimeZone } from './time-zone.ts';

/** One way to write instants. A recording uses one throughout. */
export interface TimestampFormat {
  /** For people, such as `year first`. */
  readonly name: string;
  /** Whether it is words and digits that hardly mean anything else; a bare number may also be a value. */
  readonly textual: boolean;
  /** The instant that `text` says, or undefined. Texts without a zone are of `zone`, by default UTC. */
  parse(text: string, zone?: TimeZone): EpochMs | undefined;
}

/** How days and months stand where only their order tells them apart. */
export type DateOrder = 'dmy' | 'mdy';

const TIME = String.raw`(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(am|pm)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?`;
const YEAR_FIRST = new RegExp(String.raw`^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})${TIME}$`, 'i');
const YEAR_LAST = new RegExp(String.raw`^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})${TIME}$`, 'i');
const MONTH_DAY_NAMED = new RegExp(String.raw`^([a-z]{3,9})\.?[ -](\d{1,2})(?:,? |-)(\d{4})${TIME}$`, 'i');
const DAY_MONTH_NAMED = new RegExp(String.raw`^(\d{1,2})[ -]([a-z]{3,9})\.?[ -](\d{4})${TIME}$`, 'i');
const COMPACT = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(Z)?$/i;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** A number of seconds since 1970 before this is March 1973, and as milliseconds it would be January 1970: more likely a value. */
const EPOCH_MIN = 1e8;

const isoFormat: TimestampFormat = {
  name: 'year first',
  textual: true,
  parse(text, zone) {
    const match = YEAR_FIRST.exec(text);
    if (match !== null) return instant(match[1], match[3], match[4], match.slice(5), zone);
    const compact = COMPACT.exec(text);
    return compact === null
      ? undefined
      : instant(compact[1], compact[2], compact[3], [...compact.slice(4, 7), undefined, undefined, compact[7]], zone);
  },
};

const dayFirstFormat: TimestampFormat = {
  name: 'day before month',
  textual: true,
  parse(text, zone) {
    const match = YEAR_LAST.exec(text);
    return match === null ? undefined : instant(match[4], match[3], match[1], match.slice(5), zone);
  },
};

const monthFirstFormat: TimestampFormat = {
  name: 'month before day',
  textual: true,
  parse(text, zone) {
    const match = YEAR_LAST.exec(text);
    return match === null ? undefined : instant(match[4], match[1], match[3], match.slice(5), zone);
  },
};

const namedMonthFormat: TimestampFormat = {
  name: 'month by name',
  textual: true,
  parse(text, zone) {
    const monthFirst = MONTH_DAY_NAMED.exec(text);
    if (monthFirst !== null)
      return instant(monthFirst[3], monthOf(monthFirst[1]), monthFirst[2], monthFirst.slice(4), zone);
    const dayFirst = DAY_MONTH_NAMED.exec(text);
    return dayFirst === null
      ? undefined
      : instant(dayFirst[3], monthOf(dayFirst[2]), dayFirst[1], dayFirst.slice(4), zone);
  },
};

const epochFormat: TimestampFormat = {
  name: 'seconds, milli-, micro- or nanoseconds since 1970, told apart by their size',
  textual: false,
  parse(text) {
    if (!/^\d+(\.\d+)?$/.test(text)) return undefined;
    const number = Number(text);
    if (number < EPOCH_MIN || number >= EPOCH_MIN * 1e12) return undefined;
    // Each unit has a thousand times the number of the one before; seconds reach to the year 5138.
    if (number < EPOCH_MIN * 1e3) return epochMs(Math.round(number * 1_000));
    if (number < EPOCH_MIN * 1e6) return epochMs(Math.round(number));
    return epochMs(Math.round(number < EPOCH_MIN * 1e9 ? number / 1e3 : number / 1e6));
  },
};

const FORMATS = [isoFormat, dayFirstFormat, monthFirstFormat, namedMonthFormat, epochFormat] as const;

/** Share of a sample that must be readable in a format, so that a few damaged rows do not hide a column of times. */
const READABLE_SHARE = 0.9;

/**
 * The format that reads `sample` (texts of one column, not empty). `ambiguous`: days and months can't be told apart and no order is given.
 */
export function detectTimestampFormat(
  sample: readonly string[],
  order: DateOrder | undefined,
): TimestampFormat | 'ambiguous' | undefined {
  if (sample.length === 0) return undefined;
  const readable = (format: TimestampFormat): number =>
    sample.filter((text) => format.parse(text) !== undefined).length;
  const dayFirst = readable(dayFirstFormat);
  const monthFirst = readable(monthFirstFormat);
  const enough = sample.length * READABLE_SHARE;
  if (Math.max(dayFirst, monthFirst) >= enough) {
    if (order !== undefined) return order === 'dmy' ? dayFirstFormat : monthFirstFormat;
    if (sample.some((text) => /^\d{1,2}\.\d/.test(text))) return dayFirstFormat;
    if (dayFirst === monthFirst) return 'ambiguous';
    return dayFirst > monthFirst ? dayFirstFormat : monthFirstFormat;
  }
  return FORMATS.find((format) => readable(format) >= enough);
}

/** Reads an instant that a person wrote on the command line: ISO 8601, UTC unless it names a zone. */
export const parseInstant = (text: string): EpochMs | undefined => isoFormat.parse(text.trim());

/** The instant of date texts and the groups of {@link TIME}; undefined if the calendar or the clock has none such. */
function instant(
  yearText: string | undefined,
  monthText: string | number | undefined,
  dayText: string | undefined,
  time: readonly (string | undefined)[],
  zone: TimeZone | undefined,
): EpochMs | undefined {
  const [hourText = '0', minuteText = '0', secondText = '0', fraction = '', half, written] = time;
  const [year, month, day, minute, second] = [yearText, monthText, dayText, minuteText, secondText].map(Number);
  const hour = hourOf(Number(hourText), half?.toLowerCase());
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (minute === undefined || second === undefined || hour === undefined) return undefined;
  if (minute > 59 || second > 59) return undefined;
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month - 1, day);
  // The calendar rolls 30 February over to March; such a day does not exist.
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return undefined;
  const ms = fraction === '' ? 0 : Math.floor(Number(`0.${fraction}`) * 1_000 + 1e-6);
  const local = midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1_000 + ms;
  if (written === undefined) return epochMs(zone?.instantOf(local) ?? local);
  const offset = offsetMinutes(written.toUpperCase());
  return offset === undefined ? undefined : epochMs(local - offset * 60_000);
}

function hourOf(hour: number, half: string | undefined): number | undefined {
  if (half === undefined) return hour > 23 ? undefined : hour;
  return hour < 1 || hour > 12 ? undefined : (hour % 12) + (half === 'pm' ? 12 : 0);
}

function offsetMinutes(zone: string): number | undefined {
  const match = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone);
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? '0');
  if (Number(match[2]) > 14 || Number(match[3] ?? '0') > 59) return undefined;
  return match[1] === '-' ? -minutes : minutes;
}

/** The month, 1 to 12, from an English name or its first three letters; 0 if it is none. */
function monthOf(name: string | undefined): number {
  return MONTHS.indexOf((name ?? '').slice(0, 3).toLowerCase()) + 1;
}
