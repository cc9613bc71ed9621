import { z } from 'zod';

import { limits } from './limits.ts';
import { nameSchema } from './names.ts';
import { CLOCK_QUALITIES } from './reading.ts';
import { type EpochMs, epochMs } from './time.ts';

/** Pieces that several record schemas share. */
export const fields = {
  /** An instant in epoch milliseconds, in the years 1900 to 2199. */
  instant: z
    .number()
    .int()
    .min(limits.instantMin)
    .max(limits.instantMax)
    .transform((ms): EpochMs => epochMs(ms)),
  /** The number of a record within its source and epoch, counted from 1. */
  number: z.number().int().min(1),
  count: z.number().int().min(0),
  /** A number of readings, as far as there can be any. */
  readings: z.number().int().min(0).max(limits.readingsMax),
  sensor: { device: nameSchema, metric: nameSchema },
  unit: z.string().min(1).max(limits.unitLengthMax).exactOptional(),
  clock: z.enum(CLOCK_QUALITIES),
  /** A name of the programs' own, such as a detector's or a reason: lower-case words joined by hyphens. */
  term: z
    .string()
    .max(64)
    .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/),
};
