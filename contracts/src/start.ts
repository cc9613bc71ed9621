import { z } from 'zod';

import { predecessorSchema } from './epoch.ts';
import { fields } from './fields.ts';

/**
 * The first record of an epoch, in both lanes. The processor takes records of the new epoch when its floor of the predecessor has reached
 * the number that stands here, so that nothing of the old one is passed over.
 */
export const startSchema = z.object({
  kind: z.literal('start'),
  number: z.literal(1),
  predecessor: predecessorSchema,
  /** The gateway's clock at the start. */
  at: fields.instant,
  clock: fields.clock,
});

export type StartRecord = z.infer<typeof startSchema>;
