import { durationMs, epochMs } from '@floorwatch/contracts';
import { expect, test } from 'vitest';

import { listWindows } from '../../src/serve/window-list.ts';
import { BASE, openWindow, TEMPERATURE, windowRow } from './floor-fixture.ts';

const MINUTE = 60_000;
const start = (i: number): number => BASE + i * MINUTE;

/** A store that gives pages of its own length, as one may whose answers are limited in bytes. */
const shortPages = {
  windows: () => Promise.resolve({ items: [windowRow(start(0), 0), windowRow(start(1), 1)], next: 'more' }),
};

const query = {
  sensor: TEMPERATURE,
  size: durationMs(MINUTE),
  from: epochMs(BASE),
  to: epochMs(start(100)),
  limit: 10,
};

test('open windows do not overtake sealed ones that the next page brings', async () => {
  const open = { openWindows: () => [openWindow(start(5), 5)] };
  const page = await listWindows(shortPages, open, query);
  expect(page.items.map((one) => one.start)).toEqual([start(0), start(1)]);
  expect(page.next).toBe(String(start(1)));
});

test('an open window between sealed ones stands in its place', async () => {
  const sealed = {
    windows: () => Promise.resolve({ items: [windowRow(start(0), 0), windowRow(start(2), 2)], next: null }),
  };
  const open = { openWindows: () => [openWindow(start(-1), 9), openWindow(start(1), 1), openWindow(start(100), 9)] };
  const page = await listWindows(sealed, open, query);
  expect(page.items.map((one) => [one.start, one.open])).toEqual([
    [start(0), false],
    [start(1), true],
    [start(2), false],
  ]);
  expect(page.next).toBeNull();
});
