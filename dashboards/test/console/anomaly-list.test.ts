import { type AnomalyRow, epochMs } from '@floorwatch/contracts';
import { expect, test } from 'vitest';

import { matchesFilter, mergeAnomalies } from '../../console/src/anomaly-list.ts';

function anomaly(id: string, openedAt: number, change: Partial<AnomalyRow> = {}): AnomalyRow {
  return {
    table: 'anomaly',
    phase: 'opened',
    id,
    sensor: { site: 's', gateway: 'g', device: 'd', metric: 'm' },
    detector: 'z-score',
    detectorVersion: 1,
    anomalyKind: 'above-band',
    severity: 'warning',
    openedAt: epochMs(openedAt),
    eventTime: epochMs(openedAt),
    detectedAt: epochMs(openedAt),
    clock: 'synchronised',
    provenance: 'live',
    value: 1,
    worst: { value: 1, at: epochMs(openedAt), score: 1 },
    expected: { low: 0, high: 1 },
    score: 1,
    moving: { countMean: null, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null },
    readings: 1,
    before: [],
    explanation: 'x',
    ...change,
  };
}

test('merges newer words, the latest opened first, up to a limit', () => {
  const merged = mergeAnomalies(
    [anomaly('a', 1), anomaly('b', 3)],
    [anomaly('c', 2), anomaly('a', 1, { readings: 5 })],
    10,
  );
  expect(merged.map(({ id, readings }) => [id, readings])).toEqual([
    ['b', 1],
    ['c', 1],
    ['a', 5],
  ]);
  expect(mergeAnomalies(merged, [], 2).map(({ id }) => id)).toEqual(['b', 'c']);
});

test('an older word never replaces one that is further along', () => {
  const closed = anomaly('a', 1, { phase: 'closed', readings: 9 });
  expect(mergeAnomalies([closed], [anomaly('a', 1, { phase: 'updated', readings: 9 })], 9)).toEqual([closed]);
  const updated = anomaly('a', 1, { phase: 'updated', readings: 9 });
  expect(mergeAnomalies([updated], [anomaly('a', 1)], 9)).toEqual([updated]);
  expect(mergeAnomalies([updated], [closed], 9)).toEqual([closed]);
});

test('filters by severity, by being open and by sensor', () => {
  const open = anomaly('a', 1);
  const closed = anomaly('b', 1, { phase: 'closed', severity: 'critical' });
  const all = { severity: undefined, openOnly: false };
  expect(matchesFilter(closed, all)).toBe(true);
  expect(matchesFilter(closed, { ...all, openOnly: true })).toBe(false);
  expect(matchesFilter(open, { ...all, severity: 'critical' })).toBe(false);
  expect(matchesFilter(open, { ...all, sensor: 's/g/d/m' })).toBe(true);
  expect(matchesFilter(open, { ...all, sensor: 's/g/d/x' })).toBe(false);
});
