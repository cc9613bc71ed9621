import { z } from 'zod';

import { fields } from './fields.ts';

/**
 * Names one start of a gateway's agent, in which the numbers of its records begin at 1: an ordinal that grows from start to start, and a
 * random part that tells two gateways apart that were made from one image.
 */
export const epochSchema = z.string().regex(/^\d{1,15}-[0-9a-f]{8,32}$/);

/** The epoch before another one in the same lane, and the last number that was given in it; null: there was none. */
export const predecessorSchema = z.object({ epoch: epochSchema, last: fields.number }).nullable();

export type Predecessor = z.infer<typeof predecessorSchema>;
