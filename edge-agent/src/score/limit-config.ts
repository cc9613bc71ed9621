import { z } from 'zod';

import { closeAfterReadingsSchema, rulesMax } from './rule-config.ts';
import { namePatternSchema } from './sensor-pattern.ts';

const limitRuleSchema = z
  .strictObject({
    device: namePatternSchema,
    metric: namePatternSchema,
    /** A value below it is critical. In the sensor's unit, like all limits. */
    low: z.number().exactOptional(),
    /** A value above it is critical. */
    high: z.number().exactOptional(),
    /** A value below it is a warning. */
    warningLow: z.number().exactOptional(),
    /** A value above it is a warning. */
    warningHigh: z.number().exactOptional(),
    /** How far inside its limits a value must be to count as back. */
    margin: z.number().min(0).default(0),
  })
  .superRefine((rule, context) => {
    const { low, high, warningLow, warningHigh, margin } = rule;
    const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (low === undefined && high === undefined && warningLow === undefined && warningHigh === undefined) {
      return refuse('high', 'is missing: a rule needs at least one of low, high, warningLow and warningHigh');
    }
    if (low !== undefined && warningLow !== undefined && warningLow < low) {
      refuse('warningLow', `must not be below low (${low})`);
    }
    if (high !== undefined && warningHigh !== undefined && warningHigh > high) {
      refuse('warningHigh', `must not be above high (${high})`);
    }
    const innerLow = warningLow ?? low ?? -Infinity;
    const innerHigh = warningHigh ?? high ?? Infinity;
    if (innerLow >= innerHigh) {
      refuse(
        warningLow === undefined ? 'low' : 'warningLow',
        `must be below ${innerHigh}, the limit on the other side`,
      );
    } else if (innerLow + margin > innerHigh - margin) {
      refuse('margin', `must be at most half the distance between the limits (${(innerHigh - innerLow) / 2})`);
    }
  });

export const limitsConfigSchema = z.strictObject({
  closeAfterReadings: closeAfterReadingsSchema,
  /** The first rule that matches a sensor holds for it; a sensor that none matches has no limits. */
  rules: z.array(limitRuleSchema).max(rulesMax).default([]),
});

export type LimitsConfig = z.output<typeof limitsConfigSchema>;
export type LimitRule = z.output<typeof limitRuleSchema>;
