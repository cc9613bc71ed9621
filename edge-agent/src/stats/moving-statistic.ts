import type { EpochMs } from '@floorwatch/contracts';

/** The three ways of forgetting: by count of readings, by event time, exponentially. */
export const STATISTIC_BASES = ['count', 'time', 'ew'] as const;
export type StatisticBase = (typeof STATISTIC_BASES)[number];

/**
 * A moving mean and standard deviation for every sensor, kept in typed arrays by sensor slot. A slot is a small whole number that
 * the engine gives a sensor with its first reading. All methods except `reserve` need a slot below what was reserved.
 */
export interface MovingStatistic {
  /** Makes room for slots 0 to `slots` − 1; never shrinks. */
  reserve(slots: number): void;
  /** Takes a finite value in, not older than the slot's newest. */
  add(slot: number, at: EpochMs, value: number): void;
  /** Readings that the statistic rests on now, 0 for a new slot. For the exponentially weighted one: all so far. */
  count(slot: number): number;
  /** The mean, in the sensor's unit; NaN without readings. */
  mean(slot: number): number;
  /** `value` − mean, without the rounding that a large common offset causes. */
  deviation(slot: number, value: number): number;
  /** The population variance, at least 0, in the unit squared; NaN without readings. */
  variance(slot: number): number;
}
