import { expect, it } from 'vitest';

import { adaptive } from '../../src/evaluate/scorers.ts';
import { THRESHOLDS } from '../../src/score/adaptive/parameters.ts';

/** A reading a minute of a machine that rests and runs for 400 readings in turn, and is as noisy as when it runs from `noisyFrom` on. */
const value = (index: number, noisyFrom = Infinity): number => {
  const isRunning = Math.floor(index / 400) % 2 === 1;
  return (isRunning ? 60 : 20) + (isRunning || index >= noisyFrom ? 3 : 0.5) * Math.sin(index * index * 1.7);
};

it.each([
  ['noise', (index: number) => value(index, 5_600), 5_664],
  ['a value that is stuck', (index: number) => (index < 5_600 ? value(index) : 20), 5_700],
  ['a jump', (index: number) => (index < 5_600 ? value(index) : 150), 5_600],
])('scores what is critical by any detector of readings: %s', (_, of, until) => {
  const values = Float64Array.from({ length: 5_800 }, (_reading, index) => (index === 3_000 ? Number.NaN : of(index)));
  const times = Float64Array.from(values, (_reading, index) => index * 60_000);
  const scores = new Float64Array(values.length);
  adaptive({ name: 'one', keys: [], times, values }, scores);
  expect(Math.max(...scores.slice(1_000, 5_600))).toBeLessThan(THRESHOLDS.critical);
  expect(Math.max(...scores.slice(5_600, until + 1))).toBeGreaterThanOrEqual(THRESHOLDS.critical);
  expect(scores[3_000]).toBe(0);
});
