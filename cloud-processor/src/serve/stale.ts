import { hours } from '@floorwatch/contracts';

/** However fast a sensor reports usually, a value of this age still says how it is: its gateway says sooner when it is silent. */
const STALE_MS_MIN = hours(1);
/** So many usual intervals without a value, and nobody knows any more. */
const STALE_INTERVALS = 10;
/** Weight of a new interval in the usual one. */
const LEARN_SHARE = 1 / 8;

/** The usual milliseconds between values, with one more interval; 0: none is known. */
export const usualInterval = (before: number, interval: number): number =>
  before === 0 ? interval : before + LEARN_SHARE * (interval - before);

/**
 * Whether the newest value of a sensor is so old, by what its gateway has sent since, that it says nothing of how it is now: a sensor whose silence nobody
 * judges, as one that holds what is kept apart for its unit, would be normal for good after its last reading.
 *
 * @param everyMs see {@link usualInterval}.
 */
export const isStale = (lastAt: number, everyMs: number, watermark: number | null): boolean =>
  watermark !== null && watermark - lastAt > Math.max(STALE_MS_MIN, STALE_INTERVALS * everyMs);
