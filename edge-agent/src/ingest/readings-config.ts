import { days, minutes } from '@floorwatch/contracts';
import { z } from 'zod';

import { limits } from '../limits.ts';

const MIB = 1024 * 1024;

/** The section `readings` of the configuration: which times are believed, and what is taken for a repeat. */
export const readingsConfigSchema = z.strictObject({
  futureMsMax: z.number().int().min(0).max(limits.futureMsMax).default(600_000),
  pastMsMax: z.number().int().min(minutes(60)).max(limits.pastMsMax).default(days(400)),
  duplicatesRemembered: z.number().int().min(16).max(4_096).default(64),
  perMessageMax: z.number().int().min(1).max(limits.readingsPerMessageMax).default(500),
  quarantineBytesMax: z
    .number()
    .int()
    .min(MIB)
    .max(1024 * MIB)
    .default(16 * MIB),
});

/**
 * Readings of one topic that a device (or an external broker) may have with us unacknowledged: half of those among which repeats are
 * recognised. One message may always be on its way, and of a sensor that sends several readings in one, twice as many are remembered. When a connection ends the sender repeats these, and those whose acknowledgement was on its way; the other half is for the latter.
 */
export const inFlightMax = (readings: { readonly duplicatesRemembered: number }): number =>
  Math.floor(readings.duplicatesRemembered / 2);
