import fc from 'fast-check';
import { expect, it } from 'vitest';

import { IntervalDetector } from '../../../src/score/adaptive/interval-detector.ts';
import { INTERVAL_DECADES_MIN } from '../../../src/score/adaptive/parameters.ts';

/** A detector that has seen readings with these intervals, and the time of the last one. */
function after(intervals: readonly number[]): { detector: IntervalDetector; last: number } {
  const detector = new IntervalDetector();
  let last = 1_700_000_000_000;
  for (const interval of [0, ...intervals]) detector.accept(0, Float64Array.of((last += interval)), 0);
  return { detector, last };
}

const accept = (detector: IntervalDetector, time: number): number => detector.accept(0, Float64Array.of(time), 0);
const regular = (count: number, interval: number): number[] => Array.from<number>({ length: count }).fill(interval);

it('a long silence after a regular cadence scores, a missing reading or two does not', () => {
  const intervals = regular(1000, 10_000);
  const short = after(intervals);
  expect(accept(short.detector, short.last + 30_000)).toBe(0);
  const long = after(intervals);
  expect(accept(long.detector, long.last + 300_000)).toBeGreaterThanOrEqual(INTERVAL_DECADES_MIN);
});

it('an irregular sensor is given more time than a regular one', () => {
  const irregular = after(Array.from({ length: 1000 }, (_, index) => (index % 37 === 0 ? 200_000 : 10_000)));
  const even = after(regular(1000, 10_000));
  expect(irregular.detector.silentAfter(0) - irregular.last).toBeGreaterThan(
    2 * (even.detector.silentAfter(0) - even.last),
  );
});

it('the clock and the next reading agree when silence begins', () => {
  const interval = fc.integer({ min: 1, max: 60_000 });
  fc.assert(
    fc.property(fc.array(interval, { minLength: 30, maxLength: 600 }), (intervals) => {
      const { detector, last } = after(intervals);
      const silentAfter = detector.silentAfter(0);
      expect(silentAfter).toBeGreaterThan(last);
      const other = new IntervalDetector();
      other.table.restore(detector.table.snapshot());
      expect(accept(detector, Math.floor(silentAfter) - 1)).toBe(0);
      expect(accept(other, Math.ceil(silentAfter) + 2)).toBeGreaterThan(0);
    }),
  );
});

it('there is no silence before the cadence is known', () => {
  expect(after(regular(20, 1000)).detector.silentAfter(0)).toBe(Infinity);
  expect(after(regular(21, 1000)).detector.silentAfter(0)).toBeLessThan(Infinity);
  expect(new IntervalDetector().silentAfter(0)).toBe(Infinity);
});

it('several values of one time are one arrival', () => {
  const { detector, last } = after(regular(100, 1000));
  const before = detector.table.snapshot();
  expect(accept(detector, last)).toBe(0);
  expect(detector.table.snapshot()).toEqual(before);
  expect(detector.usualInterval(0)).toBeCloseTo(1000, 6);
});
