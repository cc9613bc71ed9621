import { describe, expect, it } from 'vitest';

import { epochMs, intervalStart, minutes, parseSizeLabel, sizeLabel } from '../src/index.ts';

describe('intervals', () => {
  it.each([
    [59_999, 0],
    [60_000, 60_000],
    [60_001, 60_000],
    [0, 0],
    [-1, -60_000],
  ])('%d lies in the minute that begins at %d', (at, start) => {
    expect(intervalStart(epochMs(at), minutes(1))).toBe(start);
  });
});

describe('window size labels', () => {
  it.each([
    [60_000, '1m'],
    [900_000, '15m'],
    [3_600_000, '1h'],
    [86_400_000, '1d'],
    [90_000, '90s'],
    [10_000, '10s'],
    [5_400_000, '90m'],
  ])('%d ms is written %s, and read back', (size, label) => {
    expect(sizeLabel(size)).toBe(label);
    expect(parseSizeLabel(label)).toBe(size);
  });

  it.each(['', '1', 'm', '0m', '-1m', '1.5h', '1M', '1m ', '9999999999s'])('%j is no size', (label) => {
    expect(parseSizeLabel(label)).toBeUndefined();
  });
});
