import { SCORE_MAX } from '@floorwatch/contracts';
import { z } from 'zod';

import { closeAfterReadingsSchema, rulesMax } from '../rule-config.ts';
import { namePatternSchema } from '../sensor-pattern.ts';
import { THRESHOLDS } from './parameters.ts';

const adaptiveRuleSchema = z
  .strictObject({
    device: namePatternSchema,
    metric: namePatternSchema,
    /** false: the sensors that this rule matches are not judged by the adaptive detector. */
    enabled: z.boolean().default(true),
    /**
     * Decades of improbability from which a reading is a warning, for a sensor that reports every five minutes or less often. A faster
     * sensor has more chances to surprise: half a decade is added for every tenfold of readings, up to criticalScore.
     */
    warningScore: z.number().positive().max(SCORE_MAX).default(THRESHOLDS.warning),
    /** … from which it is critical, however often the sensor reports. */
    criticalScore: z.number().positive().max(SCORE_MAX).default(THRESHOLDS.critical),
  })
  .superRefine(({ warningScore, criticalScore }, context) => {
    if (warningScore > criticalScore) {
      context.addIssue({
        code: 'custom',
        path: ['warningScore'],
        message: `must not be above criticalScore (${criticalScore})`,
      });
    }
  });

export const adaptiveConfigSchema = z.strictObject({
  /** Whether the detector runs at all. */
  enabled: z.boolean().default(true),
  closeAfterReadings: closeAfterReadingsSchema.default(10),
  /** The first rule that matches a sensor holds for it; a sensor that none matches is not judged. */
  rules: z.array(adaptiveRuleSchema).max(rulesMax).prefault([{}]),
});

export type AdaptiveConfig = z.output<typeof adaptiveConfigSchema>;
export type AdaptiveRule = z.output<typeof adaptiveRuleSchema>;
