import { epochMs } from '@floorwatch/contracts';
import { describe, expect, test } from 'vitest';

import type { ChartPoint } from '../../console/src/chart-data.ts';
import { describeChart, describePoint, describeReading } from '../../console/src/chart-words.ts';

const NOW = new Date(2026, 2, 2, 12, 0, 0).getTime();
const UNKNOWN = { countMean: null, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null };

const point = (more: Partial<ChartPoint> = {}): ChartPoint => ({
  start: epochMs(NOW - 20_000),
  n: 20,
  mean: 35.489_32,
  min: 34.1,
  max: 36.4,
  last: 36.2,
  anomalous: 0,
  moving: { ...UNKNOWN, countMean: 35.605_11, countSd: 0.5931 },
  ...more,
});

describe('a point in words', () => {
  test('has the digits that its deviation makes worth reading', () => {
    expect(describePoint(point(), { band: 'count', width: 3, unit: 'A' }, NOW)).toBe(
      '11:59:40: mean 35.49\u202fA, 34.1 to 36.4\u202fA, band 33.83 to 37.38\u202fA, 20 readings',
    );
  });

  test('says what is not known, not complete or not normal', () => {
    const odd = point({ n: 1, min: 35.489_32, max: 35.489_32, anomalous: 1, open: true, incomplete: true });
    expect(describePoint(odd, { band: 'ew', width: 3, unit: null }, NOW)).toBe(
      '11:59:40: mean 35.489, 35.489 to 35.489, band not known yet, 1 reading, still open, readings of it were lost, 1 anomalous',
    );
  });
});

test('a chart in words tells its extent and its anomalies', () => {
  const chart = { label: '1 min', from: NOW - 60_000, to: NOW, unit: 'A' };
  expect(describeChart([point({ max: 64 }), point()], 1, chart, NOW)).toBe(
    '2 points of 1 min from 11:59:00 to 12:00:00. Readings between 34.1\u202fA and 64\u202fA, the last 36.2\u202fA; 1 anomaly.',
  );
  expect(describeChart([], 0, chart, NOW)).toBe('The chart is empty.');
});

test.each([
  ['normal', 19_000, 'read at 11:59:41, 19 s ago (a new value comes every 10 s)'],
  ['normal', 30_000, 'read at 11:59:30, 30 s ago'],
  ['critical', 90_000, 'read at 11:58:30, 1 min 30 s ago'],
  ['normal', 86_400_000, 'read at 2026-03-01 12:00:00'],
  ['unknown', 19_000, 'read at 11:59:41; nothing has come since, so nothing can be said of it now'],
] as const)('a %s reading of %i ms ago', (state, age, text) => {
  expect(describeReading({ state, lastAt: epochMs(NOW - age) }, NOW)).toBe(text);
});
