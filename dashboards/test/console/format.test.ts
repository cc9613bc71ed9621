import { describe, expect, test } from 'vitest';

import {
  formatDuration,
  formatExpected,
  formatInstant,
  formatQuantity,
  formatTerm,
  formatValue,
} from '../../console/src/format.ts';

describe('values', () => {
  test.each([
    [0, '0'],
    [71.234_567, '71.235'],
    [-0.5, '−0.5'],
    [1_013.25, '1,013.3'],
    [9_999_999, '10,000,000'],
    [10_000_000, '1E7'],
    [0.000_1, '0.0001'],
    [0.000_099, '9.9E−5'],
    [Number.NaN, '–'],
    [null, '–'],
    [undefined, '–'],
  ])('%s is shown as %s', (value, text) => {
    expect(formatValue(value)).toBe(text);
  });

  test('more digits where asked for', () => {
    expect(formatValue(1_000.000_1, 10)).toBe('1,000.0001');
  });

  test('a missing value has no unit', () => {
    expect(formatQuantity(null, '°C')).toBe('–');
    expect(formatQuantity(5, '°C')).toBe('5\u202f°C');
    expect(formatQuantity(5, null)).toBe('5');
  });
});

test.each([
  [-5, '0 s'],
  [499, '0 s'],
  [59_000, '59 s'],
  [60_000, '1 min'],
  [61_000, '1 min 1 s'],
  [3_600_000, '1 h'],
  [3_599_000, '59 min 59 s'],
  [90_061_000, '1 d 1 h'],
])('%i ms are %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('an instant of another day shows its date', () => {
  const now = new Date(2026, 2, 2, 12, 0, 0).getTime();
  expect(formatInstant(new Date(2026, 2, 2, 8, 5, 9).getTime(), now)).toBe('08:05:09');
  expect(formatInstant(new Date(2025, 11, 31, 23, 59, 59).getTime(), now)).toBe('2025-12-31 23:59:59');
});

test('what was expected says which sides are bound', () => {
  expect(formatExpected({ low: 1, high: 2 }, 'bar')).toBe('1 to 2\u202fbar');
  expect(formatExpected({ low: null, high: 2 }, 'bar')).toBe('at most 2\u202fbar');
  expect(formatExpected({ low: 1, high: null }, undefined)).toBe('at least 1');
  expect(formatExpected({ low: null, high: null }, 'bar')).toBe('no fixed band');
});

test('terms become words', () => {
  expect(formatTerm('above-limit')).toBe('Above limit');
});
