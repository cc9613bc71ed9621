import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseEventTime } from '../../src/ingest/event-time.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const YEAR_2000 = Date.UTC(2000, 0, 1);
const YEAR_2100 = Date.UTC(2100, 0, 1);
const parse = parseEventTime;

describe('event time', () => {
  it.each([
    ['the first instant of 2000', YEAR_2000, YEAR_2000],
    ['just before it', YEAR_2000 - 1, YEAR_2000 - 1],
    ['1970', 0, 0],
    ['an hour after 1970', 3_600_000, 3_600_000],
    ['before 1970', -1.5, -2],
    ['a recording of 2013', 1_386_000_000_000, 1_386_000_000_000],
    ['a fraction of a millisecond', 1_700_000_000_000.9, 1_700_000_000_000],
    ['now', NOW, NOW],
    ['microseconds', NOW * 1_000 + 250, NOW],
    ['nanoseconds', NOW * 1_000_000, NOW],
    ['seconds with a fraction', NOW / 1_000 + 0.25, NOW + 250],
    ['the last millisecond of 2099', YEAR_2100 - 1, YEAR_2100 - 1],
    ['the first instant of 2100', YEAR_2100, YEAR_2100],
    ['the first instant of 2000 in microseconds', YEAR_2000 * 1_000, YEAR_2000],
    ['just before it, which no unit has', YEAR_2000 * 1_000 - 1, YEAR_2000 * 1_000 - 1],
    ['the last instant with a date', 8.64e15, 8.64e15],
    ['just behind it', 8.64e15 + 1, 'time-malformed'],
    ['the first instant with a date', -8.64e15, -8.64e15],
    ['just before that', -8.64e15 - 1, 'time-malformed'],
    ['seconds now', NOW / 1_000, NOW],
    ['seconds of the first instant of 2000', YEAR_2000 / 1_000, YEAR_2000],
    ['the second before it', YEAR_2000 / 1_000 - 1, YEAR_2000 / 1_000 - 1],
    ['infinity', Infinity, 'time-malformed'],
    ['NaN', NaN, 'time-malformed'],
    ['true', true, 'time-malformed'],
    ['an object', {}, 'time-malformed'],
    ['an empty text', '', 'time-malformed'],
    ['milliseconds as text', String(NOW), 'time-malformed'],
  ])('%s', (_name, ts, expected) => {
    expect(parse(ts)).toBe(expected);
  });

  it.each([
    ['2026-01-31T12:00:00Z', NOW],
    ['2026-01-31T12:00:00.5Z', NOW + 500],
    ['2026-01-31T12:00:00,250Z', NOW + 250],
    ['2026-01-31T12:00:00.123456789Z', NOW + 123],
    ['2026-01-31 12:00Z', NOW],
    ['2026-01-31t13:00:00+01:00', NOW],
    ['2026-01-31T13:00:00+0100', NOW],
    ['2026-01-31T13:00:00+01', NOW],
    ['2026-01-31T06:30:00-05:30', NOW],
    ['2026-01-31T12:00:00', 'time-malformed'],
    ['2026-01-31', 'time-malformed'],
    ['2026-02-30T12:00:00Z', 'time-malformed'],
    ['2026-13-01T12:00:00Z', 'time-malformed'],
    ['31.01.2026 12:00', 'time-malformed'],
    ['Sat, 31 Jan 2026 12:00:00 GMT', 'time-malformed'],
    ['1970-01-01T00:00:00Z', 0],
    ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
  ])('%s', (ts, expected) => {
    expect(parse(ts)).toBe(expected);
  });

  it('reads what a date prints, to the millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: YEAR_2000, max: NOW * 2 }), (ms) => {
        expect(parse(new Date(ms).toISOString())).toBe(ms);
        expect(parse(ms)).toBe(ms);
      }),
    );
  });
});
