import { days } from '@floorwatch/contracts';
import { z } from 'zod';

import { adaptiveConfigSchema } from './score/adaptive/adaptive-config.ts';
import { limitsConfigSchema } from './score/limit-config.ts';
import { rangeConfigSchema } from './score/range-config.ts';
import { rateConfigSchema } from './score/rate-config.ts';
import { silentConfigSchema } from './score/silent-config.ts';
import { switchConfigSchema } from './score/switch-config.ts';
import { zScoreConfigSchema } from './score/z-score-config.ts';

const statisticsSchema = z.strictObject({
  /** Readings in the count window. */
  countReadings: z.number().int().min(2).max(4_096).default(64),
  /** Event time that the time window covers, in milliseconds; it moves on in steps of a twelfth. */
  timeWindowMs: z
    .number()
    .int()
    .min(12)
    .max(days(31))
    .default(15 * 60_000),
  /** N of the exponentially weighted statistics: the newest reading weighs 2 / (N + 1). */
  ewReadings: z.number().min(1).max(1_000_000).default(100),
});

const watermarkSchema = z.strictObject({
  /** How much older than the newest reading of the gateway a reading may be and still find its rollup open, in milliseconds. */
  outOfOrderMs: z.number().int().min(0).max(days(1)).default(10_000),
  /** Time without readings after which the watermark follows the gateway's clock, in milliseconds. */
  idleMs: z.number().int().min(1_000).max(days(1)).default(60_000),
});

/** What a person can say about the engine. Every field has a default; the agent's schema embeds this one. */
export const engineConfigSchema = z
  .strictObject({
    statistics: statisticsSchema.prefault({}),
    limits: limitsConfigSchema.prefault({}),
    range: rangeConfigSchema.prefault({}),
    rate: rateConfigSchema.prefault({}),
    zScore: zScoreConfigSchema.prefault({}),
    adaptive: adaptiveConfigSchema.prefault({}),
    stuck: switchConfigSchema.prefault({}),
    silent: silentConfigSchema.prefault({}),
    unit: switchConfigSchema.prefault({}),
    noise: switchConfigSchema.prefault({}),
    clock: switchConfigSchema.prefault({}),
    watermark: watermarkSchema.prefault({}),
  })
  .superRefine(({ statistics, zScore }, context) => {
    if (zScore.base === 'count' && zScore.warmUpReadings > statistics.countReadings) {
      context.addIssue({
        code: 'custom',
        path: ['zScore', 'warmUpReadings'],
        message: `must not be above statistics.countReadings (${statistics.countReadings}), or nothing is ever scored`,
      });
    }
  });

/** The checked, complete form. */
export type EngineConfig = z.output<typeof engineConfigSchema>;

/** The same for readings that did not arrive just now: their times stand for when they did. */
export const forRecordings = (config: EngineConfig): EngineConfig => ({
  ...config,
  silent: { ...config.silent, by: 'event-times' },
});
