import { days, minutes, nameSchema, seconds } from '@floorwatch/contracts';
import { z } from 'zod';

import { rulesMax } from './rule-config.ts';
import { switchConfigSchema } from './switch-config.ts';

/** Sensors of one device. */
const METRICS_MAX = 1_000;

/** The section `silent`: which sensors are missed when they send nothing, and which although they never have. */
export const silentConfigSchema = switchConfigSchema.extend({
  /**
   * What tells how long nothing has come. `arrivals`: the gateway's own clock, so that devices may have a wrong one. `event-times`: the times
   * of the readings, for recordings that are played faster or slower than they were made; there the end of the recording is no silence.
   */
  by: z.enum(['arrivals', 'event-times']).default('arrivals'),
  /** Sensors by name that must be heard from the start on. A pattern could not say how many there are. */
  expected: z
    .array(z.strictObject({ device: nameSchema, metrics: z.array(nameSchema).min(1).max(METRICS_MAX) }))
    .max(rulesMax)
    .default([]),
  /** How long they may take to send their first reading after the agent began to expect them, in milliseconds. */
  expectedWithinMs: z.number().int().min(seconds(10)).max(days(7)).default(minutes(5)),
});

export type SilentConfig = z.output<typeof silentConfigSchema>;
