import { z } from 'zod';

import { predecessorSchema } from './epoch.ts';
import { fields } from './fields.ts';
import { limits } from './limits.ts';

/** Why records are missing: dropped at a cap, damaged on disk, or trimmed before the processor asked for them again. */
export const GAP_REASONS = ['cap', 'damage', 'trimmed'] as const;

/**
 * Stands in the place of the numbers `number`..`to`, whose records are lost for good. It has no number of its own. Only gateways
 * make gaps. The windows of the gateway that a frame's event times touch are marked incomplete.
 */
export const gapSchema = z
  .object({
    kind: z.literal('gap'),
    /** First missing number. */
    number: fields.number,
    /** Last missing number. */
    to: fields.number,
    reason: z.enum(GAP_REASONS),
    /** What the dropped frames held, as far as it is known. */
    frames: z
      .array(
        z.object({
          number: fields.number,
          to: fields.number,
          readings: fields.readings,
          anomalies: fields.readings,
          /** Event times of the readings that it summed, both ends included; null: unknown. */
          eventTimes: z
            .object({ from: fields.instant, to: fields.instant })
            .refine(({ from, to }) => from <= to, { path: ['to'], message: 'must not be before from' })
            .nullable(),
        }),
      )
      .max(limits.framesPerGapMax),
    /** Of a gap that begins at number 1, and so stands in the place of the start record too: what that one named. */
    predecessor: predecessorSchema.exactOptional(),
  })
  .refine((gap) => gap.number === 1 || gap.predecessor === undefined, {
    path: ['predecessor'],
    message: 'belongs to a gap that begins at number 1',
  })
  .refine((gap) => gap.to >= gap.number, { path: ['to'], message: 'must not be smaller than number' })
  .refine((gap) => gap.to - gap.number < limits.numbersAheadMax, {
    path: ['to'],
    message: `must not stand for more than ${limits.numbersAheadMax} numbers`,
  })
  .superRefine(({ number, to, frames }, context) => {
    const wrong = frames.findIndex((frame) => frame.number < number || frame.to < frame.number || frame.to > to);
    if (wrong === -1) return;
    const message = `must lie within ${number} to ${to}`;
    context.addIssue({ code: 'custom', path: ['frames', wrong], message });
  });

export type GapRecord = z.infer<typeof gapSchema>;
