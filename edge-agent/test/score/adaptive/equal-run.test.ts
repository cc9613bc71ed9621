import { describe, expect, it } from 'vitest';

import { learnRun, rareRun, RUN_FIELDS, runFactor } from '../../../src/score/adaptive/equal-run.ts';

/** What is known after `values`, which all follow one another. */
function after(values: readonly number[]): Float64Array {
  const state = new Float64Array(RUN_FIELDS);
  values.slice(1).forEach((value, index) => learnRun(state, 0, value !== values[index]));
  return state;
}

/** Different values, with runs of so many equal ones in between. */
function series(length: number, ...runs: readonly number[]): number[] {
  const values = Array.from({ length }, (_, index) => index);
  return [...values, ...runs.flatMap((run, index) => Array.from({ length: run }, () => -1 - index)), length];
}

describe('a run of equal values', () => {
  it('raises the score of the change that ends it, more the rarer it is, up to half', () => {
    expect(runFactor(after(series(20, 3)), 0)).toBeCloseTo(1 + 0.25 * Math.log10(21), 1);
    expect(runFactor(after(series(1_000, 3)), 0)).toBe(1.5);
    expect(rareRun(after(series(1_000, 3)), 0)).toBe(2);
  });

  it('raises nothing where one change in ten ends one, nor where none came before', () => {
    expect(runFactor(after(series(5, 3)), 0)).toBe(1);
    expect(runFactor(after(series(30, 3, 3, 3, 3, 3)), 0)).toBe(1);
    expect(runFactor(after(series(1_000, 1)), 0)).toBe(1);
    expect(rareRun(after(series(30, 3, 3, 3, 3, 3)), 0)).toBe(0);
  });

  it('counts as a shorter one does where longer ones are told apart no more', () => {
    expect(runFactor(after(series(60, 9, 7)), 0)).toBe(runFactor(after(series(60, 9, 5)), 0));
    expect(runFactor(after(series(60, 9, 2)), 0)).toBeLessThan(runFactor(after(series(60, 2, 9)), 0));
  });

  it('is over after the next reading, and while it lasts it raises nothing', () => {
    expect(runFactor(after([...series(1_000, 3), 2_000]), 0)).toBe(1);
    expect(runFactor(after([...series(1_000, 3), 1_000, 1_000]), 0)).toBe(1);
  });
});
