import { describe, expect, test } from 'vitest';

import {
  formatAlike,
  formatDuration,
  formatExpected,
  formatInstant,
  formatMeanSd,
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
    [9_999_999, '9,999,999'],
    [749_216.4, '749,216'],
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

  test.each<[number[], number, string[]]>([
    [[4.762_15, 5.111_28], 0.349, ['4.76', '5.11']],
    [[33.825, 37.385], 3.56, ['33.8', '37.4']],
    [[-120.4, 749_216.4], 2_000, ['−120', '749,216']],
    [[-0.04, 2], 2.04, ['0', '2']],
    [[5, 5], 0, ['5', '5']],
    [[0.000_01, 3], 2, ['1E−5', '3']],
  ])('%j are rounded alike for a spread of %s', (values, spread, texts) => {
    expect(formatAlike(values, spread)).toEqual(texts);
  });

  test('a mean has the digits that its deviation makes worth reading', () => {
    expect(formatMeanSd(35.566_12, 0.6051, 'A')).toEqual(['35.57\u202fA', '0.61\u202fA']);
    expect(formatMeanSd(35.5, 0, 'A')).toEqual(['35.5\u202fA', '0\u202fA']);
    expect(formatMeanSd(null, 0.6, 'A')).toBeUndefined();
    expect(formatMeanSd(3, null, 'A')).toBeUndefined();
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

test.each([
  [4.7609, 5.1111, 5.1115, '4.76 to 5.11'],
  [4.7609, 5.1061, 5.1085, '4.761 to 5.106'],
  [4.7641, 5.1111, 4.762, '4.764 to 5.111'],
  [4.7609, 5.1111, 4.8, '4.76 to 5.11'],
])('%s to %s, expected instead of %s, is never rounded around it', (low, high, value, text) => {
  expect(formatExpected({ low, high }, undefined, value)).toBe(text);
});

test('terms become words', () => {
  expect(formatTerm('above-limit')).toBe('Above limit');
});
