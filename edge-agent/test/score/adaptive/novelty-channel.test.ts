import fc from 'fast-check';
import { expect, it } from 'vitest';

import { acceptNovelty, NOVELTY_FIELDS } from '../../../src/score/adaptive/novelty-channel.ts';
import { DECADES_MAX, NOVELTY_WARM_UP } from '../../../src/score/adaptive/parameters.ts';

/** One channel that has seen nothing, and answers the decades of each value. */
function channel(resolution = 0): (value: number) => number {
  const row = new Float64Array(NOVELTY_FIELDS);
  const features = new Float64Array(1);
  const decades = new Float64Array(1);
  return (value) => {
    features[0] = value;
    return acceptNovelty(row, 0, 0, features, Float64Array.of(resolution), decades) ? decades[0]! : 0;
  };
}

const warm = (accept: (value: number) => number, value: (index: number) => number): void => {
  for (let index = 0; index < NOVELTY_WARM_UP; index += 1) expect(accept(value(index))).toBe(0);
};

it('a value far outside scores more than one just outside, and one that was seen before scores nothing', () => {
  const [near, far, seen] = [channel(), channel(), channel()];
  for (const accept of [near, far, seen]) warm(accept, (index) => index % 10);
  const nearDecades = near(12);
  expect(nearDecades).toBeGreaterThan(0);
  expect(far(100)).toBeGreaterThan(nearDecades);
  expect(seen(5)).toBe(0);
});

it('a value between two that were seen is new where nothing was seen between them', () => {
  const accept = channel();
  warm(accept, (index) => (index % 2) * 100);
  expect(accept(50)).toBeGreaterThan(0);
  expect(accept(100)).toBe(0);
});

it('first visits score less where there have been many', () => {
  const [steady, moving] = [channel(), channel()];
  warm(steady, (index) => index % 2);
  warm(moving, (index) => index % 2);
  for (let index = 0; index < 500; index += 1) {
    steady(index % 2);
    moving(index % 2 === 0 ? index / 25 : 0);
  }
  expect(steady(25)).toBeGreaterThan(moving(25));
});

it.each([
  ['counter', (index: number) => index],
  ['falling level', (index: number) => -index],
])('a %s is news at its first steps and hardly any later', (_, value) => {
  const accept = channel();
  warm(accept, value);
  const decades = Array.from({ length: 20_000 }, (__, index) => accept(value(NOVELTY_WARM_UP + index)));
  expect(Math.max(...decades.slice(0, 500))).toBeGreaterThan(0.5);
  expect(decades.slice(2_000).filter((score) => score > 1).length).toBeLessThanOrEqual(1);
});

it('the other direction is news again', () => {
  const accept = channel();
  warm(accept, (index) => index);
  for (let index = NOVELTY_WARM_UP; index < 2_000; index += 1) accept(index);
  expect(accept(-200)).toBeGreaterThan(1);
});

it('what happened once is known: the same value twice in a row never scores twice', () => {
  const value = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e150, max: 1e150 });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (values) => {
      const accept = channel();
      warm(accept, (index) => Math.sin(index));
      for (const one of values) {
        const first = accept(one);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(first).toBeLessThanOrEqual(DECADES_MAX);
        expect(accept(one)).toBe(0);
      }
    }),
  );
});

it('rounding noise of a constant sensor is no news', () => {
  const accept = channel(1e-6);
  warm(accept, (index) => 1000 + (index % 3) * 1e-13);
  expect(accept(1000 + 5e-13)).toBe(0);
  expect(accept(1001)).toBeGreaterThan(0);
});
