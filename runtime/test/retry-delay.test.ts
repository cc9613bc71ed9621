import { expect, test } from 'vitest';

import { retryDelay } from '@floorwatch/runtime/retry-delay';

const schedule = { firstMs: 1_000, maxMs: 15_000 };

test('pauses double with each failure, up to the longest one', () => {
  const longest = [1, 2, 3, 4, 5, 6].map((failures) => retryDelay(schedule, failures, 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
});

test('a pause lies in the upper half of the longest one, so that clients do not come back all at once', () => {
  expect(retryDelay(schedule, 3, 0)).toBe(2_000);
  expect(retryDelay(schedule, 3, 0.5)).toBe(3_000);
  const drawn = Array.from({ length: 100 }, () => retryDelay(schedule, 3));
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(2_000);
  expect(Math.max(...drawn)).toBeLessThan(4_000);
  expect(new Set(drawn).size).toBeGreaterThan(1);
});

test('days of failures overflow nothing', () => {
  expect(retryDelay(schedule, 100_000, 0)).toBe(7_500);
});
