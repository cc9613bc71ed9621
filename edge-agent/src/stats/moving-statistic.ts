import type { LearnedState } from './learned-state.ts';
import type { ReadingInHand } from './reading-in-hand.ts';

/**
 * A moving mean and variance for every sensor, kept in rows by sensor slot. A slot is a small whole number that the engine
 * gives a sensor with its first reading. All methods except `reserve` need a slot below what was reserved.
 *
 * Every form keeps its values relative to a reference, a reading of the series itself: a series at 1e9 ± 1e-3 has no digits left
 * for its variance otherwise. The reference moves to a newer reading from time to time, so that a series which moves away from its
 * first reading is no worse off.
 */
export interface MovingStatistic {
  readonly state: LearnedState;
  /** Makes room for slots 0 to `slots` − 1; never shrinks. */
  reserve(slots: number): void;
  /** Takes in a finite value, not older than the slot's newest. */
  add(slot: number, reading: ReadingInHand): void;
  /** Readings that the statistic rests on, 0 for a new slot; of the exponentially weighted one, all so far. */
  count(slot: number): number;
  /** The mean, in the sensor's unit; NaN without readings. */
  mean(slot: number): number;
  /** `value` − mean, without the rounding that a large common offset causes; NaN without readings. */
  deviation(slot: number, value: number): number;
  /** The population variance (divided by n), in the unit squared, never negative; NaN without readings. */
  variance(slot: number): number;
}
