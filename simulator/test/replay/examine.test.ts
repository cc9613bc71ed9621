import { describe, expect, it } from 'vitest';

import { describeContents, speedFor } from '../../src/replay/examine.ts';

const DAY_MS = 86_400_000;

describe('the speed of a recording', () => {
  it.each([
    ['a reading a minute for a week', 10_080, 1, 7 * DAY_MS, 1_000],
    ['a reading every 10 s for 28 days', 240_840, 1, 28 * DAY_MS, 2_000],
    ['a reading a second, for a minute', 60, 1, 60_000, 5],
    ['ten readings a second, which is fast enough already', 600, 1, 60_000, 1],
    ['2,000 sensors, bounded by what a laptop takes', 2_000 * 1_440, 2_000, DAY_MS, 100],
    ['a single reading', 1, 1, 0, 1],
  ])('of %s', (_what, readings, sensors, spanMs, speed) => {
    expect(speedFor({ readings, sensors, fromMs: 0, toMs: spanMs })).toBe(speed);
  });

  it('is said together with how long all of it takes', () => {
    const contents = { readings: 10_080, sensors: 1, fromMs: 0, toMs: 7 * DAY_MS };
    expect(describeContents(contents, 1_000)).toBe(
      '10,080 readings of 1 sensor in 7 days; at 1,000 times their pace they take 10 minutes',
    );
  });
});
