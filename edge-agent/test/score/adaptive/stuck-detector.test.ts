import { expect, it } from 'vitest';

import { STUCK_DECADES_MIN } from '../../../src/score/adaptive/parameters.ts';
import { StuckDetector } from '../../../src/score/adaptive/stuck-detector.ts';

/** Indices of the readings that are reported, with their decades. */
function reports(detector: StuckDetector, values: readonly number[]): [number, number][] {
  const column = Float64Array.from(values);
  return values
    .map((_, index): [number, number] => [index, detector.accept(0, column, index)])
    .filter(([, decades]) => decades > 0);
}

/** `readings` values, each repeated `run` times more. */
const series = (readings: number, run: number): number[] =>
  Array.from({ length: readings }, (_, i) => Math.floor(i / (run + 1)));

it('a run that is much longer than ever is reported once, by its decades', () => {
  const found = reports(new StuckDetector(), [...series(1000, 0), ...Array.from<number>({ length: 200 }).fill(7)]);
  expect(found).toHaveLength(1);
  expect(found[0]![0]).toBeGreaterThan(1004);
  expect(found[0]![0]).toBeLessThan(1030);
  expect(found[0]![1]).toBeGreaterThanOrEqual(STUCK_DECADES_MIN);
});

it('a sensor that repeats itself all the time is given as long a run', () => {
  const run = Array.from<number>({ length: 20 }).fill(-7);
  expect(reports(new StuckDetector(), [...series(1000, 9), ...run])).toHaveLength(0);
  expect(reports(new StuckDetector(), [...series(1000, 0), ...run])).toHaveLength(1);
});

it('works before there is a history: a run of 51 equal values, but not of 50', () => {
  const run = (length: number): number[] => [...series(11, 0), ...Array.from<number>({ length: length + 1 }).fill(4)];
  expect(reports(new StuckDetector(), run(50))).toHaveLength(0);
  expect(reports(new StuckDetector(), run(51))).toHaveLength(1);
});

it('a sensor that has hardly ever changed is a switch: nine changes prove nothing, ten do', () => {
  const still = Array.from<number>({ length: 20_000 }).fill(4);
  expect(reports(new StuckDetector(), still)).toHaveLength(0);
  expect(reports(new StuckDetector(), [...series(9, 0), ...still])).toHaveLength(0);
  expect(reports(new StuckDetector(), [...series(10, 0), ...still])).toHaveLength(1);
});

it('tells the run and what would have been usual, and goes on from a snapshot', () => {
  const detector = new StuckDetector();
  reports(detector, [...series(1000, 0), 5, 5, 5]);
  expect(detector.run(0)).toBe(2);
  expect(detector.longestExpected(0)).toBeGreaterThanOrEqual(4);
  const other = new StuckDetector();
  other.table.restore(detector.table.snapshot());
  expect(other.run(0)).toBe(2);
  other.forget(0);
  expect(other.run(0)).toBe(0);
});
