import { z } from 'zod';

import { closeAfterReadingsSchema, rulesMax } from './rule-config.ts';
import { namePatternSchema } from './sensor-pattern.ts';

const rateRuleSchema = z.strictObject({
  device: namePatternSchema,
  metric: namePatternSchema,
  /** A faster change from one reading to the next, up or down, is critical. In the sensor's unit per second. */
  perSecondMax: z.number().positive(),
});

export const rateConfigSchema = z.strictObject({
  closeAfterReadings: closeAfterReadingsSchema,
  /** The first rule that matches a sensor holds for it; a sensor that none matches may change as fast as it likes. */
  rules: z.array(rateRuleSchema).max(rulesMax).default([]),
});

export type RateConfig = z.output<typeof rateConfigSchema>;
export type RateRule = z.output<typeof rateRuleSchema>;
