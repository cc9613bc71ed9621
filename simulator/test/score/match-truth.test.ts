import { epochMs } from '@floorwatch/contracts';
import { describe, expect, test } from 'vitest';

import type { FaultTypeName } from '../../src/inject/fault.ts';
import type { TruthLine } from '../../src/inject/truth.ts';
import { type FoundEpisode, matchTruth } from '../../src/score/match-truth.ts';
import { scoreText } from '../../src/score-truth.ts';

const fault = (type: FaultTypeName, metric: string, from: number, to: number): TruthLine => ({
  id: `${type}-${from}`,
  device: 'press-01',
  metric,
  unit: '°C',
  type,
  from: epochMs(from),
  to: epochMs(to),
  magnitude: 1,
});
const episode = (metric: string, openedAt: number, rest: Partial<FoundEpisode> = {}): FoundEpisode => ({
  sensor: { site: 's', gateway: 'g', device: 'press-01', metric },
  openedAt: epochMs(openedAt),
  anomalyKind: 'new-value',
  severity: 'warning',
  detector: 'adaptive',
  ...rest,
});
const DAY = { sensors: 7, ms: 86_400_000 };

describe('ground truth against episodes', () => {
  test.each([
    [99_999, 0],
    [100_000, 1],
    [140_000, 1],
    [169_999, 1],
    [170_000, 0],
  ])('an episode that opens at %d ms belongs to a fault from 100 s to 140 s: %d', (openedAt, found) => {
    const score = matchTruth([fault('spike', 'a', 100_000, 140_000)], [episode('a', openedAt)], DAY);
    expect(score).toMatchObject({
      faults: 1,
      found,
      episodes: 1,
      falseAlarms: 1 - found,
      recall: found,
      precision: found,
    });
  });

  test('another sensor explains nothing', () => {
    const score = matchTruth([fault('spike', 'a', 0, 10)], [episode('b', 5)], DAY);
    expect(score).toMatchObject({ found: 0, falseAlarms: 1 });
  });

  test('what is found in readings that came in another unit belongs to their sensor', () => {
    const score = matchTruth([fault('unit', 'a', 0, 10)], [episode('a (°F)', 5), episode('a (b)(c)', 5)], DAY);
    expect(score).toMatchObject({ found: 1, falseAlarms: 1 });
  });

  test('by type: recall, the median delay and what the faults were reported as', () => {
    const truth = [0, 1, 2, 3].map((i) => fault('spike', 'a', i * 1_000_000, i * 1_000_000 + 1_000));
    const episodes = [
      episode('a', 500, { anomalyKind: 'jump-up' }),
      episode('a', 900),
      episode('a', 1_000_100, { anomalyKind: 'jump-up' }),
      episode('a', 2_000_700),
    ];
    expect(matchTruth([...truth, fault('gap', 'b', 0, 5)], episodes, DAY)).toMatchObject({
      faults: 5,
      found: 3,
      precision: 1,
      byType: {
        spike: { injected: 4, found: 3, recall: 0.75, delayMs: 500, kinds: { 'jump-up': 2, 'new-value': 1 } },
        gap: { injected: 1, found: 0, recall: 0, delayMs: null, kinds: {} },
      },
    });
  });

  test('false alarms per sensor and week', () => {
    const episodes = [episode('a', 1, { severity: 'critical' }), episode('a', 2), episode('b', 3)];
    expect(matchTruth([], episodes, DAY)).toMatchObject({
      recall: 1,
      precision: 0,
      falseAlarmsPerSensorWeek: 3,
      criticalFalseAlarmsPerSensorWeek: 1,
    });
  });

  test('by kind of episode: how many belong to a fault', () => {
    const episodes = [episode('a', 5), episode('a', 200_000), episode('a', 6, { anomalyKind: 'stuck' })];
    expect(matchTruth([fault('spike', 'a', 0, 10)], episodes, DAY).byKind).toEqual({
      'new-value': { episodes: 2, explained: 1, precision: 0.5 },
      stuck: { episodes: 1, explained: 1, precision: 1 },
    });
  });

  test('the table says it in words', () => {
    const score = matchTruth([fault('spike', 'a', 0, 10)], [episode('a', 5), episode('b', 5)], DAY);
    expect(scoreText(score).split('\n')).toEqual([
      'fault  found  recall   delay  first reported as',
      'spike  1/1    100.0 %  0.0 s  new-value 1',
      '',
      'reported as  episodes  of a fault  precision',
      'new-value    2         1           50.0 %',
      '',
      '1 of 1 faults found (recall 100.0 %), 1 of 2 episodes belong to none (precision 50.0 %).',
      'False alarms per sensor and week: 1.00, critical ones 0.00.',
    ]);
  });
});
