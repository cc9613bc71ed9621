import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { AdaptiveJudge } from '../../../src/score/adaptive/adaptive-judge.ts';
import { IntervalJudge } from '../../../src/score/adaptive/interval-judge.ts';
import { StuckJudge } from '../../../src/score/adaptive/stuck-judge.ts';
import type { Detector, Verdict } from '../../../src/score/detector.ts';

const STEP = 10_000;
const sensor = { device: 'press-7', metric: 'temperature', unit: '°C' };

interface Judged {
  readonly index: number;
  readonly verdict: Verdict;
  readonly sentence: string;
}

/** Puts a series through a detector as the engine does; what it finds, and its last judgement. */
function judge(
  detector: Detector,
  values: readonly number[],
  at = (index: number) => index * STEP,
): { found: Judged[]; last: Verdict } {
  detector.addSensor(0, sensor);
  const verdict: Verdict = { judgement: 'off', score: 0, severity: 'warning', anomalyKind: '', low: null, high: null };
  const found: Judged[] = [];
  values.forEach((value, index) => {
    const time = epochMs(1_700_000_000_000 + at(index));
    detector.judge(0, time, value, verdict);
    if (verdict.judgement === 'anomalous') {
      found.push({ index, verdict: { ...verdict }, sentence: detector.explain(sensor, 0, value, verdict) });
    }
    detector.learn(0, time, value, verdict.judgement === 'anomalous');
  });
  return { found, last: verdict };
}

const ordinary = (index: number): number => 20 + Math.sin(index / 40) + 0.2 * Math.sin(index * index * 0.7);
const series = (length: number, change: (value: number, index: number) => number): number[] =>
  Array.from({ length }, (_, index) => change(ordinary(index), index));

describe('the adaptive detector', () => {
  it('is warming up before it says normal', () => {
    expect(
      judge(
        new AdaptiveJudge(10),
        series(80, (value) => value),
      ).last.judgement,
    ).toBe('warming-up');
    expect(
      judge(
        new AdaptiveJudge(10),
        series(600, (value) => value),
      ).last.judgement,
    ).toBe('normal');
  });

  it('finds a spike, and says what was expected', () => {
    const { found } = judge(
      new AdaptiveJudge(10),
      series(1001, (value, index) => (index === 1000 ? 45 : value)),
    );
    const spike = found.at(-1)!;
    expect(spike.index).toBe(1000);
    expect(spike.verdict.severity).toBe('critical');
    expect(spike.verdict.low).toBeGreaterThan(15);
    expect(spike.verdict.high).toBeLessThan(25);
    expect(spike.sentence).toMatch(/^temperature of press-7 is 45 °C, .+; [\d.]+ °C to [\d.]+ °C was expected\.$/);
  });
});

describe('the stuck detector', () => {
  it('opens once, stays undecided while the value repeats, and is normal with another value', () => {
    const stuck = series(1000, (value) => value).concat(Array.from<number>({ length: 60 }).fill(19.5));
    const { found, last } = judge(new StuckJudge(), stuck);
    expect(found).toHaveLength(1);
    expect(found[0]!.verdict.anomalyKind).toBe('stuck');
    expect(found[0]!.sentence).toMatch(/^temperature of press-7 is 19\.5 °C for the \d+th time in a row; up to \d+ /);
    expect(last.judgement).toBe('undecided');
    expect(judge(new StuckJudge(), [...stuck, 20]).last.judgement).toBe('normal');
  });
});

describe('the interval detector', () => {
  it('reports the reading that ends a silence, in words', () => {
    const late = (index: number): number => index * STEP + (index >= 500 ? 3_600_000 : 0);
    const { found, last } = judge(
      new IntervalJudge(),
      series(510, (value) => value),
      late,
    );
    expect(found.map(({ index }) => index)).toEqual([500]);
    expect(found[0]!.sentence).toBe('temperature of press-7 was silent for 1 h; it usually reports every 10 s.');
    expect(last.judgement).toBe('normal');
  });

  it('tells the clock when silence begins', () => {
    const detector = new IntervalJudge();
    judge(
      detector,
      series(500, (value) => value),
    );
    const newest = 1_700_000_000_000 + 499 * STEP;
    expect(detector.silentAfter(0)).toBeGreaterThan(newest + 3 * STEP);
    expect(detector.silentAfter(0)).toBeLessThan(newest + 60 * STEP);
  });
});

it('a slot that is given to another sensor starts anew', () => {
  const detector = new AdaptiveJudge(10);
  judge(
    detector,
    series(500, (value) => value),
  );
  expect(judge(detector, [20]).last.judgement).toBe('warming-up');
});
