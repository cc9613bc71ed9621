import { randomBytes } from 'node:crypto';

/**
 * The name of a start's epoch, in which numbers begin at 1: an ordinal that grows from start to start, and a random part that tells two
 * gateways apart that were made from one image.
 */
export const newEpoch = (ordinal: number): string => `${ordinal}-${randomBytes(8).toString('hex')}`;

/** The ordinal of an epoch that {@link newEpoch} named; 0 for none. */
export const ordinalOf = (epoch: string | undefined): number => Number.parseInt(epoch ?? '0', 10) || 0;
