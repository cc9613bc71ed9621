import { expect, it } from 'vitest';

import { JUMP_DOWN, JUMP_UP, NEW_VALUE, PULSE } from '../../../src/score/adaptive/parameters.ts';
import { measureJump, measurePulse, RECENT_READINGS } from '../../../src/score/adaptive/recent-readings.ts';

/** The features of the last of `values`. */
function featuresOf(values: readonly number[]): { pulse: number; up: number; down: number } {
  const row = new Float64Array(RECENT_READINGS).fill(values[0]!);
  const features = new Float64Array(PULSE + 1);
  for (const value of values) {
    features[NEW_VALUE] = value;
    measurePulse(row, 0, features);
    measureJump(row, 0, features);
  }
  return { pulse: features[PULSE]!, up: features[JUMP_UP]!, down: features[JUMP_DOWN]! };
}

it.each([
  ['one reading above', [5, 5, 5, 9, 5], 4],
  ['one reading below', [5, 5, 5, 1, 5], -4],
  ['two readings, as high as the lower of them', [5, 5, 8, 9, 5], 3],
  ['three readings, above the higher side', [5, 5, 9, 9, 9, 6], 3],
  ['four readings: a change of level and another one back', [5, 5, 9, 9, 9, 9, 5], 0],
  ['a step', [5, 5, 5, 9, 9], 0],
  ['a ramp', [5, 6, 7, 8, 9], 0],
  ['a peak between, of which the highest pulse counts', [5, 6, 9, 6, 5], 1],
])('a pulse: %s', (_, values, pulse) => {
  expect(featuresOf(values).pulse).toBe(pulse);
});

it('a jump leaves the range of the last six readings', () => {
  expect(featuresOf([1, 4, 2, 3, 2, 3, 9])).toMatchObject({ up: 5, down: 0 });
  expect(featuresOf([4, 4, 2, 3, 2, 3, -1])).toMatchObject({ up: 0, down: 3 });
  expect(featuresOf([1, 4, 2, 3, 2, 3, 4])).toMatchObject({ up: 0, down: 0 });
});
