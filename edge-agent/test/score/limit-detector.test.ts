import { describe, expect, it } from 'vitest';

import { limitsConfigSchema } from '../../src/score/limit-config.ts';
import { LimitDetector } from '../../src/score/limit-detector.ts';
import { explain, judge } from './judging.ts';

/** A detector with one rule for every sensor, and one sensor. */
function detector(rule: object): LimitDetector {
  const made = new LimitDetector(limitsConfigSchema.parse({ rules: [rule] }));
  made.addSensor(0, { device: 'press-3', metric: 'temperature' });
  return made;
}

const full = { low: 0, warningLow: 10, warningHigh: 70, high: 80, margin: 5 };

describe('limits', () => {
  it.each([
    ['just below the critical low limit', -0.001, 'anomalous', 'critical', 'below-limit'],
    ['on the critical low limit', 0, 'anomalous', 'warning', 'below-limit'],
    ['just below the low warning limit', 9.999, 'anomalous', 'warning', 'below-limit'],
    ['just above the high warning limit', 70.001, 'anomalous', 'warning', 'above-limit'],
    ['on the critical high limit', 80, 'anomalous', 'warning', 'above-limit'],
    ['just above the critical high limit', 80.001, 'anomalous', 'critical', 'above-limit'],
  ])('a value %s is judged', (_name, value, judgement, severity, anomalyKind) => {
    expect(judge(detector(full), value)).toMatchObject({ judgement, severity, anomalyKind, low: 10, high: 70 });
  });

  it.each([
    ['on the low warning limit', 10, 'undecided'],
    ['just less than the margin inside', 14.999, 'undecided'],
    ['exactly the margin inside', 15, 'normal'],
    ['well inside', 40, 'normal'],
    ['exactly the margin inside the high one', 65, 'normal'],
    ['just closer to the high one', 65.001, 'undecided'],
    ['on the high warning limit', 70, 'undecided'],
  ])('a value %s can%s close an episode: %s', (_name, value, judgement) => {
    expect(judge(detector(full), value)).toEqual({ judgement });
  });

  it('a side without a limit has no bound', () => {
    const above = detector({ high: 80 });
    expect(judge(above, -1e9)).toEqual({ judgement: 'normal' });
    expect(judge(above, 81)).toMatchObject({ severity: 'critical', low: null, high: 80 });
    expect(judge(detector({ warningLow: 0 }), -1e12)).toMatchObject({ severity: 'warning', low: 0, high: null });
  });

  it('scores grow with the distance, and every critical value scores above every warning', () => {
    for (const rule of [
      full,
      { high: 80 },
      { high: 0 },
      { warningHigh: 70, high: 80 },
      { warningHigh: 5, margin: 1 },
    ]) {
      const scores = [80.1, 81, 90, 200, 1e9].map((value) => judge(detector(rule), value).score ?? NaN);
      expect(scores).toEqual([...scores].sort((a, b) => a - b));
      expect(new Set(scores).size).toBe(scores.length);
    }
    const [warning, critical] = [judge(detector(full), 80).score, judge(detector(full), 80.0001).score];
    expect(warning).toBeGreaterThan(10);
    expect(warning).toBeLessThan(20);
    expect(critical).toBeGreaterThan(20);
  });

  it('stays below the largest score for the largest value', () => {
    expect(judge(detector(full), 1e150).score).toBeLessThanOrEqual(30);
  });

  it('judges only sensors that a rule matches, each by its first', () => {
    const made = new LimitDetector(
      limitsConfigSchema.parse({
        rules: [
          { device: 'oven-*', metric: 'temp*', high: 300 },
          { metric: 'temp*', high: 80 },
        ],
      }),
    );
    const sensors = [
      ['oven-1', 'temperature'],
      ['press-1', 'temperature'],
      ['oven-1', 'current'],
    ] as const;
    for (const [slot, [device, metric]] of sensors.entries()) made.addSensor(slot, { device, metric });
    expect(sensors.map((_, slot) => judge(made, 200, slot).judgement)).toEqual(['normal', 'anomalous', 'off']);
  });

  it.each([
    [91.234, '°C', 'temperature of press-3 is 91.2 °C, above its limit of 80 °C.'],
    [80.00012, '°C', 'temperature of press-3 is 80.00012 °C, above its limit of 80 °C.'],
    [75.55, undefined, 'temperature of press-3 is 75.55, above its warning limit of 70.'],
    [-3, '°C', 'temperature of press-3 is -3 °C, below its limit of 0 °C.'],
    [9, '°C', 'temperature of press-3 is 9 °C, below its warning limit of 10 °C.'],
  ])('%d %s is explained in a sentence', (value, unit, sentence) => {
    expect(explain(detector(full), value, unit)).toBe(sentence);
  });
});

describe('limits configuration', () => {
  it.each([
    ['no limit at all', {}, 'high'],
    ['low above high', { low: 5, high: 4 }, 'low'],
    ['low equal to high', { low: 5, high: 5 }, 'low'],
    ['a warning below the critical low limit', { low: 5, warningLow: 4 }, 'warningLow'],
    ['a warning above the critical high limit', { high: 5, warningHigh: 6 }, 'warningHigh'],
    ['warnings that cross', { warningLow: 6, warningHigh: 5 }, 'warningLow'],
    ['a margin that leaves no room', { low: 0, high: 10, margin: 5.1 }, 'margin'],
    ['a negative margin', { high: 10, margin: -1 }, 'margin'],
  ])('%s is refused by the name of the field', (_name, rule, field) => {
    const { error } = limitsConfigSchema.safeParse({ rules: [rule] });
    expect(error?.issues.map(({ path }) => path)).toEqual([['rules', 0, field]]);
  });

  it('a margin of half the distance is just possible', () => {
    expect(limitsConfigSchema.safeParse({ rules: [{ low: 0, high: 10, margin: 5 }] }).success).toBe(true);
  });

  it('unknown fields are refused', () => {
    expect(limitsConfigSchema.safeParse({ rules: [{ hgih: 10, high: 5 }] }).success).toBe(false);
  });
});
