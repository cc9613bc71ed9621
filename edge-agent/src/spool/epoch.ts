import { randomBytes } from 'node:crypto';

/**
 * The name of this start's epoch, in which numbers begin at 1: an ordinal that grows from start to start, and a random part that
 * tells two gateways apart that were made from one image. While nothing is kept on disk, the ordinal is the time of the start.
 */
export const newEpoch = (startedAt: number): string => `${startedAt}-${randomBytes(8).toString('hex')}`;
