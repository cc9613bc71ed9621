import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { addReading, type Aggregate, aggregateOf, meanOf, mergeAggregate, sdOf, varianceOf } from '../src/index.ts';

/** Sums readings one by one; event times are their indices. */
function sum(values: readonly number[], from = 0): Aggregate {
  const [first = 0, ...rest] = values;
  const aggregate = aggregateOf(first, from, false, false);
  for (const [index, value] of rest.entries()) addReading(aggregate, value, from + index + 1, false, false);
  return aggregate;
}

/** Two passes over the values relative to the first: the batch reference. */
function reference(values: readonly number[]): { mean: number; variance: number } {
  const [first = 0] = values;
  const shifted = values.map((value) => value - first);
  const mean = shifted.reduce((a, b) => a + b, 0) / values.length;
  const variance = shifted.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean: first + mean, variance };
}

function expectClose(actual: number, expected: number, scale: number): void {
  // Squares of the smallest numbers are rounded to a few steps above zero.
  const steps = 10 * Number.MIN_VALUE;
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(Math.max(1e-9 * Math.abs(expected), 1e-12 * scale, steps));
}

const value = fc.oneof(
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.double({ min: -1e-3, max: 1e-3, noNaN: true }).map((offset) => 1e9 + offset),
  fc.constant(0),
);

describe('aggregate', () => {
  it('one reading has variance 0 and is its own mean, minimum, maximum and last value', () => {
    const one = aggregateOf(-7.5, 1_000, true, true);
    expect(one).toMatchObject({ n: 1, min: -7.5, max: -7.5, last: -7.5, lastAt: 1_000, anomalous: 1, uncertain: 1 });
    expect([meanOf(one), varianceOf(one), sdOf(one)]).toEqual([-7.5, 0, 0]);
  });

  it('the worked example of the documentation holds', () => {
    expect(sum([10, 12, 14])).toMatchObject({ n: 3, reference: 10, mean: 2, m2: 8, min: 10, max: 14, last: 14 });
  });

  it('keeps the variance of a near-constant series on a huge offset', () => {
    const values = Array.from({ length: 10_000 }, (_, i) => 1e9 + Math.sin(i) * 1e-3);
    const expected = reference(values);
    expect(Math.abs(varianceOf(sum(values)) / expected.variance - 1)).toBeLessThan(1e-9);
  });

  it('agrees with two passes over the values, however they are split and merged', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(value, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 8 }),
        (parts) => {
          let at = 0;
          const summed = parts.map((part) => {
            const aggregate = sum(part, at);
            at += part.length;
            return aggregate;
          });
          const [merged, ...others] = summed;
          if (merged === undefined) return;
          for (const other of others) mergeAggregate(merged, other);
          const values = parts.flat();
          const expected = reference(values);
          const scale = Math.max(...values) - Math.min(...values);
          expect(merged.n).toBe(values.length);
          // `===`, because 0 and −0 are the same reading.
          expect(merged.min === Math.min(...values) && merged.max === Math.max(...values)).toBe(true);
          expect(merged.last === values.at(-1)).toBe(true);
          expectClose(meanOf(merged), expected.mean, scale);
          expectClose(varianceOf(merged), expected.variance, scale ** 2);
        },
      ),
    );
  });

  it('takes the last value by event time, and by arrival where times are equal', () => {
    const aggregate = aggregateOf(1, 20, false, false);
    addReading(aggregate, 2, 19, false, false);
    expect(aggregate).toMatchObject({ last: 1, lastAt: 20 });
    addReading(aggregate, 3, 20, false, false);
    expect(aggregate).toMatchObject({ last: 3, lastAt: 20 });
    mergeAggregate(aggregate, aggregateOf(4, 19, false, false));
    expect(aggregate.last).toBe(3);
    mergeAggregate(aggregate, aggregateOf(5, 20, false, false));
    expect(aggregate.last).toBe(5);
  });

  it('counts anomalous and uncertain readings through a merge', () => {
    const aggregate = aggregateOf(1, 1, true, false);
    addReading(aggregate, 1, 2, false, true);
    mergeAggregate(aggregate, aggregateOf(1, 3, true, true));
    expect(aggregate).toMatchObject({ n: 3, anomalous: 2, uncertain: 2 });
  });
});
