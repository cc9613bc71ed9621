import type { RecordPlace } from '@floorwatch/contracts';

/** Numbers of one epoch: at ten records a second, 27 years. Leaves room for 2^20 epochs in a double's 53 bits. */
const NUMBERS = 2 ** 33;

/**
 * A {@link RecordPlace} as one number, so that a window can keep it in 8 bytes and places compare as numbers do. 0 is before all.
 * Example: number 7 of the second epoch is 2 · 2^33 + 7.
 */
export const orderOf = ({ epoch, number }: RecordPlace): number => epoch * NUMBERS + number;

/** The place that {@link orderOf} made `order` of. */
export const placeOf = (order: number): RecordPlace => ({
  epoch: Math.floor(order / NUMBERS),
  number: order % NUMBERS,
});
