import { expect, test } from 'vitest';

import { bytesInWords, counted, durationInWords, instantInWords } from '@floorwatch/contracts';

test('a count has its thing in the singular only for one', () => {
  expect([0, 1, 2, 12_345].map((count) => counted(count, 'record'))).toEqual([
    '0 records',
    '1 record',
    '2 records',
    '12,345 records',
  ]);
});

test('a length of time has two digits in its largest fitting unit, and none of "60 s"', () => {
  const cases: [ms: number, text: string][] = [
    [0, '0 ms'],
    [0.214, '0.21 ms'],
    [999, '1 s'],
    [59_900, '1 min'],
    [9_000_000, '2.5 h'],
    [86_400_000, '1 d'],
    [99.4 * 86_400_000, '99 d'],
    [400.3 * 86_400_000, '400 d'],
  ];
  for (const [ms, text] of cases) expect(durationInWords(ms)).toBe(text);
});

test('bytes have two or three digits in their largest fitting unit', () => {
  expect([0, 1023, 1024, 1.5 * 1024 ** 2, 64 * 1024 ** 3].map(bytesInWords)).toEqual([
    '0 bytes',
    '1023 bytes',
    '1 KiB',
    '1.5 MiB',
    '64 GiB',
  ]);
});

test('an instant has milliseconds only where it has any', () => {
  expect(instantInWords(1_772_346_600_000)).toBe('2026-03-01T06:30:00Z');
  expect(instantInWords(1_772_346_600_025)).toBe('2026-03-01T06:30:00.025Z');
});
