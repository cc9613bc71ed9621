import { expect, it } from 'vitest';

import { learnProfile, measureOffProfile, PROFILE_FIELDS } from '../../../src/score/adaptive/day-profile.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 0, 5);
const PREVIOUS = PROFILE_FIELDS;

/** A profile of three days in which every reading of an hour is the number of that hour, every ten minutes. */
function profileOfHours(): Float64Array {
  const row = new Float64Array(PROFILE_FIELDS + 1);
  row[PREVIOUS] = START - HOUR / 6;
  for (let index = 0; index < 3 * 24 * 6; index += 1) {
    const time = START + (index * HOUR) / 6;
    learnProfile(row, 0, Float64Array.of(time), Float64Array.of(Math.floor(index / 6) % 24), 0, PREVIOUS);
    row[PREVIOUS] = time;
  }
  return row;
}

function off(row: Float64Array, hour: number, value: number): number {
  const features = new Float64Array(1);
  measureOffProfile(
    row,
    0,
    Float64Array.of(START + 10 * 24 * HOUR + hour * HOUR),
    Float64Array.of(value),
    0,
    features,
    0,
  );
  return features[0]!;
}

it('reads the mean of an hour in its middle, and between two middles in proportion', () => {
  const row = profileOfHours();
  expect(off(row, 7.5, 7)).toBeCloseTo(0, 9);
  expect(off(row, 8, 7.5)).toBeCloseTo(0, 9);
  expect(off(row, 8.25, 10)).toBeCloseTo(2.25, 9);
});

it.each([
  [23.5, 23],
  [23.75, 23 * 0.75],
  [0, 11.5],
  [0.25, 23 * 0.25],
  [0.5, 0],
])('goes on from the last hour of the day to the first: at %f the profile is %f', (hour, expected) => {
  expect(off(profileOfHours(), hour, expected)).toBeCloseTo(0, 9);
});

it('is unknown while an hour beside the time was never seen', () => {
  const row = new Float64Array(PROFILE_FIELDS + 1);
  row[PREVIOUS] = START;
  learnProfile(row, 0, Float64Array.of(START + HOUR / 2), Float64Array.of(5), 0, PREVIOUS);
  expect(off(row, 0.75, 5)).toBeNaN();
  expect(off(row, 0.25, 5)).toBeNaN();
});

it('learns nothing from readings of one time', () => {
  const row = new Float64Array(PROFILE_FIELDS + 1);
  row[PREVIOUS] = START;
  learnProfile(row, 0, Float64Array.of(START), Float64Array.of(5), 0, PREVIOUS);
  expect(row.subarray(0, PROFILE_FIELDS).every((number) => number === 0)).toBe(true);
});
