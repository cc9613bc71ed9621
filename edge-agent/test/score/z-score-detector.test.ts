import { describe, expect, it } from 'vitest';

import { normalTailScore } from '../../src/score/normal-tail.ts';
import { zScoreConfigSchema } from '../../src/score/z-score-config.ts';
import { ZScoreDetector } from '../../src/score/z-score-detector.ts';
import { CountWindow } from '../../src/stats/count-window.ts';
import { ReadingInHand } from '../../src/stats/reading-in-hand.ts';
import { explain, judge } from './judging.ts';

/** A detector whose baseline learned `values`, one rule for every sensor, and one sensor. */
function detector(rule: object, values: readonly number[], options: object = {}): ZScoreDetector {
  const baseline = new CountWindow(64);
  const made = new ZScoreDetector(zScoreConfigSchema.parse({ warmUpReadings: 4, ...options, rules: [rule] }), baseline);
  made.addSensor(0, { device: 'press-3', metric: 'temperature' });
  for (const [i, value] of values.entries()) baseline.add(0, new ReadingInHand().set(i, value));
  return made;
}

/** Mean 20, standard deviation 2. */
const around20 = [18, 22, 18, 22];

describe('z-score', () => {
  it.each([
    ['just within warningSd', 30, 'undecided'],
    ['just beyond warningSd', 30.001, 'anomalous'],
    ['just within closeSd', 26, 'normal'],
    ['just beyond closeSd', 26.001, 'undecided'],
    ['at the mean', 20, 'normal'],
    ['just within warningSd below', 10, 'undecided'],
    ['just beyond warningSd below', 9.999, 'anomalous'],
  ])('a value %s is judged', (_name, value, judgement) => {
    expect(judge(detector({}, around20), value).judgement).toBe(judgement);
  });

  it.each([
    ['exactly at criticalSd is a warning', 36, 'warning'],
    ['beyond it is critical', 36.001, 'critical'],
    ['beyond it below is critical', 3.999, 'critical'],
  ])('a value %s', (_name, value, severity) => {
    expect(judge(detector({}, around20), value).severity).toBe(severity);
  });

  it('tells kind, band and score', () => {
    expect(judge(detector({ warningSd: 3 }, around20), 32)).toEqual({
      judgement: 'anomalous',
      score: normalTailScore(6),
      severity: 'warning',
      anomalyKind: 'above-band',
      low: 14,
      high: 26,
    });
    expect(judge(detector({}, around20), 2).anomalyKind).toBe('below-band');
  });

  it.each([
    ['one reading too few', [18, 22, 18], 'warming-up'],
    ['just enough readings', around20, 'anomalous'],
  ])('with %s it says %s', (_name, values, judgement) => {
    expect(judge(detector({}, values), 1_000).judgement).toBe(judgement);
  });

  it('without any variance it cannot judge a value off the series, but knows one on it', () => {
    const constant = detector({}, [7, 7, 7, 7]);
    expect(judge(constant, 7)).toEqual({ judgement: 'normal' });
    expect(judge(constant, 1e9)).toEqual({ judgement: 'undecided' });
  });

  it('never takes the standard deviation to be below sdMin', () => {
    const coarse = detector({ sdMin: 0.1 }, [7, 7, 7, 7]);
    expect(judge(coarse, 7.49).judgement).toBe('undecided');
    expect(judge(coarse, 7.51)).toMatchObject({ judgement: 'anomalous', low: 6.5, high: 7.5 });
  });

  it('sees a deviation of 1e-2 at 1e9 ± 1e-3', () => {
    const near = detector({}, [1e9 - 1e-3, 1e9 + 1e-3, 1e9 - 1e-3, 1e9 + 1e-3]);
    expect(judge(near, 1e9 + 4e-3).judgement).toBe('undecided');
    expect(judge(near, 1e9 + 1e-2)).toMatchObject({ judgement: 'anomalous', severity: 'critical' });
  });

  it('does not watch sensors that its first matching rule switches off', () => {
    const config = zScoreConfigSchema.parse({ rules: [{ metric: 'cycle-*', enabled: false }, {}] });
    const made = new ZScoreDetector(config, new CountWindow(64));
    made.addSensor(0, { device: 'press-3', metric: 'cycle-count' });
    made.addSensor(1, { device: 'press-3', metric: 'temperature' });
    expect([judge(made, 5, 0).judgement, judge(made, 5, 1).judgement]).toEqual(['off', 'warming-up']);
  });

  it.each([
    ['leaves shared statistics to their owner', true, false, 4],
    ['leaves shared statistics to their owner, also for flagged readings', true, true, 4],
    ['feeds its own statistics with readings that it did not flag', false, false, 5],
    ['keeps flagged readings out of its own statistics', false, true, 4],
  ])('%s', (_name, learnFlagged, anomalous, learned) => {
    const baseline = new CountWindow(64);
    const made = new ZScoreDetector(zScoreConfigSchema.parse({ learnFlagged }), baseline);
    made.addSensor(0, { device: 'press-3', metric: 'temperature' });
    for (const value of around20) baseline.add(0, new ReadingInHand().set(0, value));
    made.learn(0, new ReadingInHand().set(9, 20), anomalous);
    expect(baseline.count(0)).toBe(learned);
  });

  it('explains itself with as many digits as the spread of the series asks for', () => {
    expect(explain(detector({}, around20), 100.123, '°C')).toBe(
      'temperature of press-3 is 100.1 °C, 40.1 standard deviations above its moving mean of 20 °C; 10 to 30 °C was expected.',
    );
    expect(explain(detector({}, [1e9 - 1e-3, 1e9 + 1e-3, 1e9 - 1e-3, 1e9 + 1e-3]), 1e9 - 0.01)).toBe(
      'temperature of press-3 is 999999999.99, 10 standard deviations below its moving mean of 1000000000; 999999999.995 to 1000000000.005 was expected.',
    );
  });
});

describe('z-score configuration', () => {
  it('scores every sensor by default', () => {
    expect(zScoreConfigSchema.parse({}).rules).toEqual([
      { device: '*', metric: '*', enabled: true, warningSd: 5, criticalSd: 8, closeSd: 3, sdMin: 0 },
    ]);
  });

  it.each([
    ['a wide band moves the default of criticalSd', { warningSd: 10 }, { criticalSd: 10, closeSd: 3 }],
    ['a narrow band moves the default of closeSd', { warningSd: 2 }, { criticalSd: 8, closeSd: 2 }],
  ])('%s', (_name, rule, expected) => {
    expect(zScoreConfigSchema.parse({ rules: [rule] }).rules[0]).toMatchObject(expected);
  });

  it.each([
    ['criticalSd below warningSd', { warningSd: 5, criticalSd: 4.9 }, 'criticalSd'],
    ['closeSd above warningSd', { warningSd: 5, closeSd: 5.1 }, 'closeSd'],
    ['warningSd of zero', { warningSd: 0 }, 'warningSd'],
  ])('%s is refused by the name of the field', (_name, rule, field) => {
    const { error } = zScoreConfigSchema.safeParse({ rules: [rule] });
    expect(error?.issues.map(({ path }) => path)).toEqual([['rules', 0, field]]);
  });
});
