import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { TimeZone } from '../../src/replay/time-zone.ts';
import { detectTimestampFormat } from '../../src/replay/timestamps.ts';

const iso = (text: string): number => Date.parse(text);

function parse(text: string, order?: 'dmy' | 'mdy'): number | string | undefined {
  const format = detectTimestampFormat([text], order);
  return format === undefined || format === 'ambiguous' ? format : format.parse(text);
}

describe('a time in a recording', () => {
  test.each([
    ['2013-12-02 21:15:00', '2013-12-02T21:15:00Z'],
    ['2013-12-02T21:15', '2013-12-02T21:15:00Z'],
    ['2013-12-02T21:15:00.123456789Z', '2013-12-02T21:15:00.123Z'],
    ['2013-12-02 21:15:00,5', '2013-12-02T21:15:00.500Z'],
    ['2013-12-02T21:15:00+02:00', '2013-12-02T19:15:00Z'],
    ['2013-12-02T21:15:00-0530', '2013-12-03T02:45:00Z'],
    ['2013-12-02 21:15:00 UTC', '2013-12-02T21:15:00Z'],
    ['2012-01-01', '2012-01-01T00:00:00Z'],
    ['2015/01/01 01:00:00', '2015-01-01T01:00:00Z'],
    ['20131202T211500Z', '2013-12-02T21:15:00Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
    ['31.12.2019 23:59:59', '2019-12-31T23:59:59Z'],
    ['1.2.2020', '2020-02-01T00:00:00Z'],
    ['31/12/2019 5:07', '2019-12-31T05:07:00Z'],
    ['12/31/2019 5:07 PM', '2019-12-31T17:07:00Z'],
    ['12/31/2019 12:07 am', '2019-12-31T00:07:00Z'],
    ['Jan 1 2000', '2000-01-01T00:00:00Z'],
    ['March 5, 2001 10:00', '2001-03-05T10:00:00Z'],
    ['05-Mar-2001 10:00:01', '2001-03-05T10:00:01Z'],
    ['1386018900', '2013-12-02T21:15:00Z'],
    ['1386018900.5', '2013-12-02T21:15:00.500Z'],
    ['1386018900000', '2013-12-02T21:15:00Z'],
    ['1386018900000000', '2013-12-02T21:15:00Z'],
    ['1386018900000000000', '2013-12-02T21:15:00Z'],
  ])('%s is %s', (text, expected) => {
    expect(parse(text)).toBe(iso(expected));
  });

  test.each([
    '2023-02-29',
    '2013-13-01',
    '2013-00-10',
    '2013-12-02 24:00:00',
    '2013-12-02 21:60',
    '2013-12-02T21:15:00+15:00',
    '31.02.2019',
    '12/31/2019 13:07 PM',
    'Foo 1 2000',
    '12.5',
    '-1',
    '0',
    '99999999',
    'yesterday',
    '',
  ])('%s is none', (text) => {
    expect(parse(text)).toBeUndefined();
  });

  test('whose day and month could be swapped is not guessed, but told by another row or by a person', () => {
    expect(parse('03/04/2020')).toBe('ambiguous');
    expect(parse('03/04/2020', 'dmy')).toBe(iso('2020-04-03T00:00:00Z'));
    expect(parse('03/04/2020', 'mdy')).toBe(iso('2020-03-04T00:00:00Z'));
    const told = detectTimestampFormat(['03/04/2020', '13/04/2020'], undefined);
    expect(told === undefined || told === 'ambiguous' ? told : told.parse('03/04/2020')).toBe(
      iso('2020-04-03T00:00:00Z'),
    );
  });

  test('a few unreadable rows do not hide a column of times, more do', () => {
    const times = Array.from({ length: 18 }, (_, i) => `2020-01-${String(i + 1).padStart(2, '0')}`);
    expect(detectTimestampFormat([...times, 'broken', 'broken'], undefined)).toMatchObject({ textual: true });
    expect(detectTimestampFormat([...times, 'broken', 'broken', 'broken'], undefined)).toBeUndefined();
  });

  test('property: every instant is read back from the forms that it is written in', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1975-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
        (date) => {
          const ms = date.getTime();
          const text = date.toISOString();
          expect(parse(text)).toBe(ms);
          expect(parse(text.replace('T', ' ').replace('Z', ''))).toBe(ms);
          expect(parse(String(ms))).toBe(ms);
          expect(parse(text.slice(0, 19).replaceAll('-', '/').replace('T', ' '))).toBe(Math.floor(ms / 1_000) * 1_000);
        },
      ),
    );
  });
});

describe('a time without a zone', () => {
  const berlin = new TimeZone('Europe/Berlin');
  test.each([
    ['2026-01-15 12:00:00', '2026-01-15T11:00:00Z'],
    ['15.07.2026 12:00', '2026-07-15T10:00:00Z'],
    ['20260715T120000', '2026-07-15T10:00:00Z'],
    ['2026-03-29 01:59:59', '2026-03-29T00:59:59Z'],
    // Spring skips this half hour: it counts from the hour before.
    ['2026-03-29 02:30:00', '2026-03-29T01:30:00Z'],
    ['2026-03-29 03:00:00', '2026-03-29T01:00:00Z'],
    // Autumn has it twice: the first one counts.
    ['2026-10-25 02:30:00', '2026-10-25T00:30:00Z'],
    ['2026-10-25 03:00:00', '2026-10-25T02:00:00Z'],
    ['2026-07-15T12:00:00+05:00', '2026-07-15T07:00:00Z'],
    ['1386018900', '2013-12-02T21:15:00Z'],
  ])('is of the zone that a person named: %s is %s', (text, expected) => {
    const format = detectTimestampFormat([text], undefined);
    if (format === undefined || format === 'ambiguous') throw new Error('no format');
    expect(format.parse(text, berlin)).toBe(iso(expected));
  });

  test.each(['America/Los_Angeles', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC'])('of %s comes back', (name) => {
    const zone = new TimeZone(name);
    const wall = new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short', timeStyle: 'medium' });
    const format = detectTimestampFormat(['2026-01-01 00:00:00'], undefined);
    if (format === undefined || format === 'ambiguous') throw new Error('no format');
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
        const text = wall.format(seconds * 1_000);
        expect(wall.format(format.parse(text, zone) ?? 0)).toBe(text);
      }),
      { numRuns: 300 },
    );
  });
});
