import { z } from 'zod';

import { closeAfterReadingsSchema, rulesMax } from './rule-config.ts';
import { namePatternSchema } from './sensor-pattern.ts';

const above0 = z.number().positive();

const zScoreRuleSchema = z
  .strictObject({
    device: namePatternSchema,
    metric: namePatternSchema,
    /** false: the sensors that this rule matches are not scored. */
    enabled: z.boolean().default(true),
    /** Standard deviations from the mean beyond which a reading is a warning. */
    warningSd: above0.default(5),
    /** … beyond which it is critical; 8 by default, or warningSd if that is larger. */
    criticalSd: above0.exactOptional(),
    /** … within which it is back to normal; 3 by default, or warningSd if that is smaller. */
    closeSd: above0.exactOptional(),
    /** The standard deviation is never taken to be smaller than this, in the sensor's unit: for values in coarse steps. */
    sdMin: z.number().min(0).default(0),
  })
  .superRefine(({ warningSd, criticalSd, closeSd }, context) => {
    if (criticalSd !== undefined && criticalSd < warningSd) {
      context.addIssue({ code: 'custom', path: ['criticalSd'], message: `must not be below warningSd (${warningSd})` });
    }
    if (closeSd !== undefined && closeSd > warningSd) {
      context.addIssue({ code: 'custom', path: ['closeSd'], message: `must not be above warningSd (${warningSd})` });
    }
  })
  .transform((rule) => ({
    ...rule,
    criticalSd: rule.criticalSd ?? Math.max(8, rule.warningSd),
    closeSd: rule.closeSd ?? Math.min(3, rule.warningSd),
  }));

export const zScoreConfigSchema = z.strictObject({
  /**
   * When it reports. cold-start: until the adaptive detector has learned a sensor, only what is critical, and permanently and everything where that one is off; the two never
   * have an episode of one sensor at the same time. always: beside the adaptive detector. never: not at all.
   */
  watch: z.enum(['cold-start', 'always', 'never']).default('cold-start'),
  /** Which moving mean and standard deviation readings are compared with: over a count of readings, over time, or weighted. */
  base: z.enum(['count', 'time', 'ew']).default('count'),
  /** Readings that the base must rest on before it is used. */
  warmUpReadings: z.number().int().min(2).max(1_000_000).default(30),
  /**
   * Whether readings that were flagged enter the base. true: a lasting change becomes the new normal within the window. false:
   * it stays anomalous until values return.
   */
  learnFlagged: z.boolean().default(true),
  closeAfterReadings: closeAfterReadingsSchema,
  /** The first rule that matches a sensor holds for it; a sensor that none matches is not scored. */
  rules: z.array(zScoreRuleSchema).max(rulesMax).prefault([{}]),
});

export type ZScoreConfig = z.output<typeof zScoreConfigSchema>;
export type ZScoreRule = z.output<typeof zScoreRuleSchema>;
