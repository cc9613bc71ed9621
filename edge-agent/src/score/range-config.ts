import { z } from 'zod';

import { closeAfterReadingsSchema, rulesMax } from './rule-config.ts';
import { namePatternSchema } from './sensor-pattern.ts';

const rangeRuleSchema = z
  .strictObject({
    device: namePatternSchema,
    metric: namePatternSchema,
    /** The smallest value that the sensor can measure, in its unit. */
    low: z.number().exactOptional(),
    /** The largest one. */
    high: z.number().exactOptional(),
  })
  .superRefine(({ low, high }, context) => {
    if (low === undefined && high === undefined) {
      context.addIssue({ code: 'custom', path: ['high'], message: 'is missing: a rule needs low, high or both' });
    } else if (low !== undefined && high !== undefined && low >= high) {
      context.addIssue({ code: 'custom', path: ['low'], message: `must be below high (${high})` });
    }
  });

export const rangeConfigSchema = z.strictObject({
  closeAfterReadings: closeAfterReadingsSchema,
  /** The first rule that matches a sensor holds for it; a sensor that none matches can measure anything. */
  rules: z.array(rangeRuleSchema).max(rulesMax).default([]),
});

export type RangeConfig = z.output<typeof rangeConfigSchema>;
export type RangeRule = z.output<typeof rangeRuleSchema>;
