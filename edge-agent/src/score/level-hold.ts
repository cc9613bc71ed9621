import { type DurationMs, hours, minutes, type MovingStatistics } from '@floorwatch/contracts';

/** A value within so many standard deviations of the mean before a shift is back. */
const BACK_SD = 3;
/** A fault of the level lies at least so many standard deviations from the mean before it; less is a fault of something else. */
const SHIFT_SD_MIN = 3;
/** On this side of the way from the level before to that at the opening, a value is still where it was. */
const HELD_SHARE = 0.5;

/**
 * How long a value must stay where it was when its episode opened until that counts as normal: as long as the sensor was known before, for a new
 * level that has lasted as long is as good as the old one; and at least and at most so long. A shift is what it takes to notice that a machine was set up anew.
 */
const ADOPT_MS_MIN: DurationMs = minutes(10);
const ADOPT_MS_MAX: DurationMs = hours(8);

export const adoptAfterMs = (knownMs: number): number => Math.min(ADOPT_MS_MAX, Math.max(ADOPT_MS_MIN, knownMs));

/** Where the values of a sensor lie usually. */
export interface Level {
  readonly mean: number;
  readonly sd: number;
}

/** The level that moving statistics tell; undefined while there are too few readings for one. */
export function levelOf({ countMean: mean, countSd: sd }: MovingStatistics): Level | undefined {
  return mean === null || sd === null ? undefined : { mean, sd };
}

/** Whether a value is one of those that are usual at a level. */
export const isAt = ({ mean, sd }: Level, value: number): boolean => Math.abs(value - mean) <= BACK_SD * sd;

/**
 * Where a value stands between the level before a fault and the value that opened its episode. `held`: where it was then, or further away; `back`: at
 * the level before; undefined: neither, or the fault was none of the level.
 *
 * Example: before 20 ± 1, opened at 48. 45 is held, 90 too; 22 is back; 30 is neither.
 */
export function standingOf(before: Level, openedWith: number, value: number): 'held' | 'back' | undefined {
  const shift = openedWith - before.mean;
  if (!(Math.abs(shift) > SHIFT_SD_MIN * before.sd)) return undefined;
  if ((value - before.mean) / shift >= HELD_SHARE) return 'held';
  return isAt(before, value) ? 'back' : undefined;
}
