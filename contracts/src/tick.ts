import { z } from 'zod';

import { acceptedCountsSchema } from './accepted-counts.ts';
import { fields } from './fields.ts';

/**
 * The gateway's watermark: every rollup whose bucket ends at or before it has a smaller number. What comes later for an earlier
 * bucket is late.
 */
export const tickSchema = z.object({
  kind: z.literal('tick'),
  number: fields.number,
  watermark: fields.instant,
  /** The gateway's clock when it sent the tick. */
  at: fields.instant,
  clock: fields.clock,
  /** What the rollups before it must add up to. Absent: nothing is new. Several ticks in a row may be needed to tell everything. */
  counts: acceptedCountsSchema.exactOptional(),
});

export type TickRecord = z.infer<typeof tickSchema>;
