import { z } from 'zod';

import { rulesMax } from './rule-config.ts';
import { namePatternSchema } from './sensor-pattern.ts';

/** A detector that needs no figures: on or off, for all sensors or for some. */
export const switchConfigSchema = z.strictObject({
  /** Whether the detector runs at all. */
  enabled: z.boolean().default(true),
  /** The first rule that matches a sensor holds for it; a sensor that none matches is judged. */
  rules: z
    .array(z.strictObject({ device: namePatternSchema, metric: namePatternSchema, enabled: z.boolean().default(true) }))
    .max(rulesMax)
    .default([]),
});

export type SwitchConfig = z.output<typeof switchConfigSchema>;
