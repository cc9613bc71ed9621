import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { AdaptiveDetector, NOT_SCORED, WARMING_UP } from '../../../src/score/adaptive/adaptive-detector.ts';
import { CHANNELS, NOVELTY_WARM_UP, THRESHOLDS } from '../../../src/score/adaptive/parameters.ts';

const STEP = 300_000;
const START = Date.UTC(2026, 0, 5);

/** Noise between −1 and 1 that is the same in every run. */
const noise = (index: number): number => Math.sin(index * index * 0.7 + index);

/** A temperature with a daily cycle, a reading every five minutes. */
const ordinary = (index: number): number => 20 + 5 * Math.sin((index * 2 * Math.PI) / 288) + 0.3 * noise(index);

function columns(length: number, value: (index: number) => number): [Float64Array, Float64Array] {
  return [
    Float64Array.from({ length }, (_, index) => START + index * STEP),
    Float64Array.from({ length }, (_, index) => value(index)),
  ];
}

function scoresOf(times: Float64Array, values: Float64Array, detector = new AdaptiveDetector(), slot = 0): number[] {
  return Array.from(values, (_, index) => detector.accept(slot, times, values, index));
}

describe('answers', () => {
  it('say that the detector is warming up, and then a score', () => {
    const scores = scoresOf(...columns(NOVELTY_WARM_UP + 2, ordinary));
    expect(scores.slice(0, NOVELTY_WARM_UP).every((score) => score === WARMING_UP)).toBe(true);
    expect(scores.slice(NOVELTY_WARM_UP).every((score) => score >= 0)).toBe(true);
  });

  it.each([
    ['older than the newest', START, 21],
    ['not a number', START + 600 * STEP, Number.NaN],
    ['infinite', START + 600 * STEP, Infinity],
  ])('refuse a reading that is %s, and learn nothing from it', (_, time, value) => {
    const detector = new AdaptiveDetector();
    scoresOf(...columns(500, ordinary), detector);
    const before = detector.table.snapshot();
    expect(detector.accept(0, Float64Array.of(time), Float64Array.of(value), 0)).toBe(NOT_SCORED);
    expect(detector.table.snapshot()).toEqual(before);
  });

  it('take a second reading of the same time', () => {
    const detector = new AdaptiveDetector();
    const [times, values] = columns(500, ordinary);
    scoresOf(times, values, detector);
    expect(detector.accept(0, times, values, 499)).toBeGreaterThanOrEqual(0);
  });
});

describe('anomalies', () => {
  it('an ordinary series has no critical score after its first day', () => {
    const scores = scoresOf(...columns(6000, ordinary));
    expect(Math.max(...scores.slice(288))).toBeLessThan(THRESHOLDS.critical);
  });

  it.each([
    ['spike upwards', (index: number) => ordinary(index) + (index === 3000 ? 15 : 0), 'jump-up'],
    ['spike downwards', (index: number) => ordinary(index) - (index === 3000 ? 15 : 0), 'jump-down'],
    ['lasting shift', (index: number) => ordinary(index) + (index >= 3000 ? 12 : 0), 'jump-up'],
  ] as const)('a %s is critical at its first reading, and named', (_, value, channel) => {
    const detector = new AdaptiveDetector();
    const [times, values] = columns(3001, value);
    expect(scoresOf(times, values, detector).at(-1)).toBeGreaterThanOrEqual(THRESHOLDS.critical);
    expect(CHANNELS[detector.contributions.indexOf(Math.max(...detector.contributions))]).toBeDefined();
    expect(detector.contributions[CHANNELS.indexOf(channel)]).toBeGreaterThan(2);
    const band = detector.expected(0);
    expect(band?.low).toBeLessThan(band?.high ?? Number.NaN);
  });

  it('a pulse is critical where steps of the same size are ordinary', () => {
    const detector = new AdaptiveDetector();
    // Two operating points, 200 readings each; at 4100, in the middle of the upper one, two readings in between.
    const level = (index: number): number => (Math.floor(index / 200) % 2 === 0 ? 20 : 60) + 3 * noise(index);
    const scores = scoresOf(
      ...columns(4103, (index) =>
        index === 4100 || index === 4101 ? level(index) + 35 - 70 * (Math.floor(index / 200) % 2) : level(index),
      ),
      detector,
    );
    expect(Math.max(...scores.slice(600, 4100))).toBeLessThan(THRESHOLDS.critical);
    expect(scores.at(-1)).toBeGreaterThanOrEqual(THRESHOLDS.critical);
    expect(detector.leadingChannel()).toBe('pulse');
  });

  it('a short history shows of nothing that it is rarer than once in three times as many readings', () => {
    for (const at of [150, 300, 498]) {
      const scores = scoresOf(...columns(at + 1, (index) => (index === at ? 1e6 : ordinary(index))));
      expect(scores.at(-1)).toBeGreaterThan(THRESHOLDS.warning);
      expect(scores.at(-1)).toBeLessThanOrEqual(Math.log10(3.17 * (at + 1)));
    }
    const later = scoresOf(...columns(601, (index) => (index === 600 ? 1e6 : ordinary(index))));
    expect(later.at(-1)).toBeGreaterThan(Math.log10(3.17 * 601));
  });

  it('a change counts half as much again after a run of equal values that is rare for the sensor, and only then', () => {
    // A jump at 3000, after the values of `held` readings before it were the same.
    const scoreAfter = (held: number, usual: (index: number) => number): number => {
      const value = (index: number): number =>
        index >= 3000 ? usual(index) + 2.5 : usual(Math.min(index, 3000 - Math.max(1, held)));
      const detector = new AdaptiveDetector();
      const score = scoresOf(...columns(3001, value), detector).at(-1)!;
      expect(detector.equalBefore(0)).toBe(usual === ordinary && held > 1 ? held : 0);
      return score;
    };
    expect(scoreAfter(1, ordinary)).toBeGreaterThan(THRESHOLDS.warning);
    expect(scoreAfter(4, ordinary) / scoreAfter(1, ordinary)).toBeCloseTo(1.5, 0);
    // A sensor that repeats most of its values.
    const sluggish = (index: number): number => Math.round(ordinary(index - (index % 4)) * 10) / 10;
    expect(scoreAfter(4, sluggish)).toBeLessThan(1.2 * scoreAfter(1, sluggish));
  });

  it('the usual value at an unusual hour is a warning', () => {
    const detector = new AdaptiveDetector();
    // From reading 4000 on the cycle is half a day late; it creeps there, so that no jump gives it away.
    const scores = scoresOf(
      ...columns(4200, (index) => {
        const late = Math.min(144, Math.max(0, index - 4000));
        return 20 + 5 * Math.sin(((index - late) * 2 * Math.PI) / 288) + 0.3 * noise(index);
      }),
      detector,
    );
    expect(Math.max(...scores.slice(4000))).toBeGreaterThanOrEqual(THRESHOLDS.warning);
  });

  it('a shift is reported once, not reading by reading', () => {
    const scores = scoresOf(...columns(3100, (index) => ordinary(index) + (index >= 3000 ? 12 : 0)));
    expect(scores.slice(3000).filter((score) => score >= THRESHOLDS.critical)).toHaveLength(1);
  });

  it('a channel of weight 0 does not count', () => {
    const off = new AdaptiveDetector(
      undefined,
      CHANNELS.map(() => 0),
    );
    const scores = scoresOf(...columns(3001, (index) => (index === 3000 ? 1e6 : ordinary(index))), off);
    expect(Math.max(...scores)).toBe(0);
    expect(off.leadingChannel()).toBeUndefined();
  });
});

describe('numbers', () => {
  const finite = (scores: number[]): boolean => scores.every((score) => Number.isFinite(score));

  it('a constant series never scores, whatever its value', () => {
    for (const value of [0, -5, 1e9, 1e-300, Number.MIN_VALUE, 1e300]) {
      expect(Math.max(...scoresOf(...columns(2000, () => value)))).toBe(0);
    }
  });

  it('a series at 1e9 ± 1e-3 is judged as the same series at 0', () => {
    const small = (index: number): number => Math.round(noise(index) * 1024) / 2 ** 20 + (index === 1500 ? 2 ** -5 : 0);
    const scores = scoresOf(...columns(2000, (index) => 2 ** 30 + small(index)));
    expect(scores[1500]).toBeGreaterThanOrEqual(THRESHOLDS.critical);
    expect(Math.max(...scores.slice(300, 1500))).toBeLessThan(THRESHOLDS.critical);
  });

  it('any finite readings give finite scores', () => {
    const value = fc.oneof(
      fc.double({ noNaN: true, min: -1e150, max: 1e150 }),
      fc.constantFrom(0, 5e-324, 1e-310, -0, 1),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 300, maxLength: 400 }), (list) => {
        expect(finite(scoresOf(...columns(list.length, (index) => list[index]!)))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('the unit does not matter: twice or a thousandth of all values score the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: -20, max: 20 }), fc.integer({ min: 0, max: 999 }), (exponent, phase) => {
        const value = (index: number): number => ordinary(index + phase) + (index === 700 ? 9 : 0);
        const scaled = scoresOf(...columns(900, (index) => value(index) * 2 ** exponent));
        expect(scaled).toEqual(scoresOf(...columns(900, value)));
      }),
      { numRuns: 30 },
    );
  });
});

describe('state', () => {
  it('a restart at any reading changes no score and no byte', () => {
    const [times, values] = columns(900, (index) => ordinary(index) + (index % 317 === 0 ? 8 : 0));
    const whole = new AdaptiveDetector();
    const expected = scoresOf(times, values, whole);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 900 }), (cut) => {
        const before = new AdaptiveDetector();
        const scores = scoresOf(times.subarray(0, cut), values.subarray(0, cut), before);
        const after = new AdaptiveDetector();
        after.table.restore(before.table.snapshot());
        scores.push(...scoresOf(times.subarray(cut), values.subarray(cut), after));
        expect(scores).toEqual(expected);
        expect(after.table.snapshot()).toEqual(whole.table.snapshot());
      }),
      { numRuns: 40 },
    );
  });

  it('sensors do not touch one another, and the table grows as they come', () => {
    const shared = new AdaptiveDetector();
    const [times, values] = columns(1000, ordinary);
    const [, others] = columns(1000, (index) => 1e6 * noise(index));
    const interleaved = Array.from(values, (_, index) => {
      shared.accept(7, times, others, index);
      return shared.accept(3, times, values, index);
    });
    expect(interleaved).toEqual(scoresOf(times, values));
  });

  it('a forgotten sensor starts anew', () => {
    const detector = new AdaptiveDetector();
    const [times, values] = columns(500, ordinary);
    const first = scoresOf(times, values, detector);
    detector.forget(0);
    expect(scoresOf(times, values, detector)).toEqual(first);
  });

  it('a snapshot of another size is refused', () => {
    const detector = new AdaptiveDetector();
    expect(() => detector.table.restore(new Float64Array(AdaptiveDetector.bytesPerSensor / 8 + 1))).toThrow(RangeError);
  });

  it('takes less than 2.5 KB per sensor', () => {
    expect(AdaptiveDetector.bytesPerSensor).toBeLessThan(2_500);
  });
});
