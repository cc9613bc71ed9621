import { describe, expect, it } from 'vitest';

import { AdaptiveJudge } from '../../../src/score/adaptive/adaptive-judge.ts';
import { StuckJudge } from '../../../src/score/adaptive/stuck-judge.ts';
import type { Detector, Verdict } from '../../../src/score/detector.ts';
import { engineConfigSchema } from '../../../src/sensor-engine-config.ts';
import { ReadingInHand } from '../../../src/stats/reading-in-hand.ts';

const STEP = 10_000;
const config = engineConfigSchema.parse({});
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
  const reading = new ReadingInHand();
  values.forEach((value, index) => {
    reading.set(1_700_000_000_000 + at(index), value);
    detector.judge(0, reading, verdict);
    if (verdict.judgement === 'anomalous') {
      found.push({ index, verdict: { ...verdict }, sentence: detector.explain(sensor, 0, value, verdict) });
    }
    detector.learn?.(0, reading, verdict.judgement === 'anomalous');
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
        new AdaptiveJudge(config.adaptive),
        series(80, (value) => value),
      ).last.judgement,
    ).toBe('warming-up');
    expect(
      judge(
        new AdaptiveJudge(config.adaptive),
        series(600, (value) => value),
      ).last.judgement,
    ).toBe('normal');
  });

  it('says that a change came after a rare run of equal values', () => {
    const held = series(1_001, (value, index) => (index === 1_000 ? 23 : index > 995 ? ordinary(996) : value));
    expect(judge(new AdaptiveJudge(config.adaptive), held).found.at(-1)).toMatchObject({
      index: 1_000,
      verdict: { severity: 'critical' },
      sentence: expect.stringMatching(/ jump .+ are, after 4 equal values in a row; .+ was expected\.$/) as string,
    });
    const moving = series(1_001, (value, index) => (index === 1_000 ? 23 : value));
    expect(judge(new AdaptiveJudge(config.adaptive), moving).found.at(-1)?.sentence).not.toMatch('equal values');
  });

  it('finds a spike, and says what was expected', () => {
    const { found } = judge(
      new AdaptiveJudge(config.adaptive),
      series(1001, (value, index) => (index === 1000 ? 45 : value)),
    );
    const spike = found.at(-1)!;
    expect(spike.index).toBe(1000);
    expect(spike.verdict.severity).toBe('critical');
    expect(spike.verdict.low).toBeGreaterThan(15);
    expect(spike.verdict.high).toBeLessThan(25);
    expect(spike.sentence).toMatch(/^temperature of press-7 is 45 °C, .+; [\d.]+ to [\d.]+ °C was expected\.$/);
  });

  it('says that a value came back from a pulse where it steps by as much now and then', () => {
    const steps = series(
      4103,
      (value, index) => value + 40 * ((Math.floor(index / 200) + (index === 4101 ? 1 : 0)) % 2),
    );
    const { found } = judge(new AdaptiveJudge(config.adaptive), steps);
    expect(found.at(-1)).toMatchObject({ index: 4102, verdict: { anomalyKind: 'pulse', severity: 'critical' } });
    expect(found.at(-1)!.sentence).toMatch(
      /, back from a pulse of [\d.]+ °C upwards, larger than its pulses usually are; /,
    );
  });
});

describe('the adaptive detector, configured', () => {
  // A day at the fastest cadence: before, only what is critical is reported.
  const LAST = 30_000;
  const spiked = series(LAST + 1, (value, index) => (index === LAST ? 24.5 : value));
  const found = (rule: object, at?: (index: number) => number): Judged[] =>
    judge(
      new AdaptiveJudge(engineConfigSchema.parse({ adaptive: { rules: [rule] } }).adaptive),
      spiked,
      at,
    ).found.filter(({ index }) => index === LAST);
  /** What the last reading scores, which depends on the hours of the day that were seen. */
  const scoreAt = (at?: (index: number) => number): number =>
    found({ warningScore: 0.001, criticalScore: 0.001 }, at)[0]!.verdict.score;
  const score = scoreAt();

  it('calls a reading what its score is: just below, at and above the thresholds', () => {
    expect(found({ criticalScore: score + 1e-9 })[0]?.verdict.severity).toBe('warning');
    expect(found({ criticalScore: score })[0]?.verdict.severity).toBe('critical');
    expect(found({ warningScore: score, criticalScore: score })).toHaveLength(1);
    expect(found({ warningScore: score + 1e-9, criticalScore: score + 1 })).toHaveLength(0);
  });

  it('reports only what is critical until the sensor has been known for a day, and a decade more of it after a tenth', () => {
    const lastAt = (ms: number) => (index: number) => (index * ms) / LAST;
    const rule = (at: (index: number) => number, below: number) => ({
      warningScore: 0.1,
      criticalScore: scoreAt(at) - below,
    });
    const [before, after, tenth] = [lastAt(86_399_999), lastAt(86_400_000), lastAt(8_640_000)];
    expect(found(rule(before, -1e-6), before)).toHaveLength(0);
    expect(found(rule(before, 1e-6), before)[0]?.verdict.severity).toBe('critical');
    expect(found(rule(after, -1e-6), after)[0]?.verdict.severity).toBe('warning');
    expect(found(rule(tenth, 1 - 1e-6), tenth)).toHaveLength(0);
    expect(found(rule(tenth, 1 + 1e-6), tenth)[0]?.verdict.severity).toBe('critical');
  });

  it('wants half a decade more of a warning for every tenfold of readings above one in five minutes', () => {
    const warns = (seconds: number, below: number): boolean => {
      const at = (index: number) => index * seconds * 1_000;
      const reached = scoreAt(at);
      return found({ warningScore: reached - below, criticalScore: reached + 1 }, at).length > 0;
    };
    expect(warns(300, 0)).toBe(true);
    expect(warns(3_600, 0)).toBe(true);
    expect(warns(30, 0.49)).toBe(false);
    expect(warns(30, 0.51)).toBe(true);
    expect(warns(3, 0.99)).toBe(false);
    expect(warns(3, 1.01)).toBe(true);
  });

  it('never needs more than the critical score after the first day, however fast the sensor', () => {
    const fast = (index: number): number => index * 3_000;
    const reached = scoreAt(fast);
    expect(found({ warningScore: reached - 0.1, criticalScore: reached }, fast)).toHaveLength(1);
  });

  it('leaves out what its rules leave out', () => {
    expect(found({ metric: 'temperature', enabled: false })).toHaveLength(0);
    expect(found({ metric: 'pressure' })).toHaveLength(0);
    expect(found({ device: 'press-*' })).toHaveLength(1);
  });
});

describe('the stuck detector', () => {
  it('opens once, stays undecided while the value repeats, and is normal with another value', () => {
    const stuck = series(1000, (value) => value).concat(Array.from<number>({ length: 60 }).fill(19.5));
    const { found, last } = judge(new StuckJudge(config.stuck), stuck);
    expect(found).toHaveLength(1);
    expect(found[0]!.verdict.anomalyKind).toBe('stuck');
    expect(found[0]!.sentence).toMatch(
      /^temperature of press-7 has been 19\.5 °C for \d+ readings in a row; up to \d+ /,
    );
    expect(last.judgement).toBe('undecided');
    expect(judge(new StuckJudge(config.stuck), [...stuck, 20]).last.judgement).toBe('normal');
  });
});

it('a slot that is given to another sensor starts anew', () => {
  const detector = new AdaptiveJudge(config.adaptive);
  judge(
    detector,
    series(500, (value) => value),
  );
  expect(judge(detector, [20]).last.judgement).toBe('warming-up');
});
