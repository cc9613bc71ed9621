import { type EpochMs, epochMs } from '@floorwatch/contracts';

import type { RejectReason } from './reject.ts';

/** 2000-01-01T00:00:00Z. No recording that we know is older; a clock that shows less was never set. */
export const YEAR_2000_MS = 946_684_800_000;
/** 2100-01-01T00:00:00Z. */
const YEAR_2100_MS = 4_102_444_800_000;
/** Milliseconds in a second, a millisecond, a microsecond and a nanosecond. The years 2000 to 2100 are other numbers in each of them. */
const UNITS_MS = [1_000, 1, 1e-3, 1e-6] as const;

/** ISO 8601 date and time with seconds optional and a zone required: without one, the same text means 24 different times. */
const ISO_8601 = /^(\d{4})-(\d\d)-(\d\d)[T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)$/i;

/** The instants that have a date (ECMA-262, 21.4.1.1); milliseconds before and after 1970. */
const INSTANT_MS_MAX = 8.64e15;

/**
 * The event time that a device sent: seconds, milliseconds, microseconds or nanoseconds since 1970, or ISO 8601. A number is in the unit in which it
 * lies in the years 2000 to 2100, and milliseconds if there is none; a fraction of a millisecond is dropped. Whether it can be right is for the caller
 * to judge.
 *
 * @param ts the field as it came.
 */
export function parseEventTime(ts: unknown): EpochMs | RejectReason {
  if (typeof ts === 'number') {
    const ms = inMilliseconds(ts);
    return Math.abs(ms) <= INSTANT_MS_MAX ? epochMs(Math.floor(ms)) : 'time-malformed';
  }
  const parts = typeof ts === 'string' ? ISO_8601.exec(ts) : null;
  // Date.parse reads the 30th of February as the 2nd of March.
  if (parts === null || !isDay(Number(parts[1]), Number(parts[2]), Number(parts[3]))) return 'time-malformed';
  const ms = Date.parse(normaliseIso(parts[0]));
  return Number.isNaN(ms) ? 'time-malformed' : epochMs(ms);
}

function inMilliseconds(ts: number): number {
  for (const unit of UNITS_MS) {
    // Divided where the unit is smaller: 1e-3 is no binary fraction, 1,000 is.
    const ms = unit < 1 ? ts / Math.round(1 / unit) : ts * unit;
    if (ms >= YEAR_2000_MS && ms < YEAR_2100_MS) return ms;
  }
  return ts;
}

/** Whether a field can only be a time of our days: for fields that nobody has named a time. */
export function isTimeOfOurDays(field: unknown): boolean {
  const at = parseEventTime(field);
  return typeof at === 'number' && at >= YEAR_2000_MS && at < YEAR_2100_MS;
}

const isDay = (year: number, month: number, day: number): boolean => {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
};

/** The one form of ISO 8601 that every engine reads alike: `T`, a dot, and a zone with hours and minutes. */
function normaliseIso(text: string): string {
  const upper = text.toUpperCase().replace(' ', 'T').replace(',', '.');
  return upper.replace(/([+-]\d\d):?(\d\d)?$/, (whole, hours: string, minutes: string | undefined, at: number) =>
    // A date has hyphens too, but none of them ends the text after the time.
    at < upper.indexOf('T') ? whole : `${hours}:${minutes ?? '00'}`,
  );
}
