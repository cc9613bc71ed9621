import { limits } from '@floorwatch/contracts';
import { expect, it } from 'vitest';

import { gapEnd } from '../../src/spool/dropped-frames.ts';

const MAX = limits.numbersAheadMax;

it.each([
  ['as long as one gap may be', { from: 5, to: MAX + 4 }, MAX, MAX + 4],
  ['one longer', { from: 5, to: MAX + 5 }, MAX + 4, MAX + 4],
  ['one longer, with a description that reaches over the end', { from: 5, to: MAX + 5 }, MAX - 10, MAX - 10],
  ['described as one from before its beginning', { from: 5, to: MAX + 5 }, 4, MAX + 4],
  ['many times as long', { from: 1, to: 40 * MAX }, MAX, MAX],
])('a loss %s is told as far as one gap reaches', (_what, range, unparted, end) => {
  expect(gapEnd(range, () => unparted)).toBe(end);
});
