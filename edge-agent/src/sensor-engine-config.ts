import { z } from 'zod';

import { STATISTIC_BASES } from './stats/moving-statistic.ts';

/** `*` stands for any run of characters, `?` for one character; everything else for itself, case included. */
const glob = z.string().min(1).max(128).default('*');
const above0 = z.number().positive();
const atLeast0 = z.number().min(0);
const readingsToClose = z.number().int().min(1).max(1_000).default(3);

const limitRuleSchema = z
  .strictObject({
    device: glob,
    metric: glob,
    /** A value beyond these is critical. */
    low: z.number().exactOptional(),
    high: z.number().exactOptional(),
    /** A value beyond these is a warning. */
    warningLow: z.number().exactOptional(),
    warningHigh: z.number().exactOptional(),
    /** How far inside its limits a value must be to count as back, in the sensor's unit. */
    margin: atLeast0.default(0),
  })
  .superRefine((rule, context) => {
    const { low, high, warningLow, warningHigh, margin } = rule;
    const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (low === undefined && high === undefined && warningLow === undefined && warningHigh === undefined) {
      refuse('high', 'a rule must set at least one of low, high, warningLow and warningHigh');
    }
    if (low !== undefined && high !== undefined && low >= high) refuse('low', `must be below high (${high})`);
    if (low !== undefined && warningLow !== undefined && warningLow < low) {
      refuse('warningLow', `must not be below low (${low})`);
    }
    if (high !== undefined && warningHigh !== undefined && warningHigh > high) {
      refuse('warningHigh', `must not be above high (${high})`);
    }
    const inner = { low: warningLow ?? low ?? -Infinity, high: warningHigh ?? high ?? Infinity };
    if (inner.low >= inner.high) refuse('warningLow', `the low limits must be below the high ones (${inner.high})`);
    else if (inner.low + margin > inner.high - margin) {
      refuse('margin', `must be at most half the distance between the limits (${(inner.high - inner.low) / 2})`);
    }
  });

const zScoreRuleSchema = z
  .strictObject({
    device: glob,
    metric: glob,
    /** false: the sensors that this rule matches are not scored. */
    enabled: z.boolean().default(true),
    /** Standard deviations from the mean beyond which a reading is a warning. */
    warningSd: above0.default(5),
    /** … beyond which it is critical; 8, or warningSd if that is larger. */
    criticalSd: above0.exactOptional(),
    /** … within which it is back to normal; 3, or warningSd if that is smaller. */
    closeSd: above0.exactOptional(),
    /** The standard deviation is never taken to be smaller than this, in the sensor's unit: for values in coarse steps. */
    sdMin: atLeast0.default(0),
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

const statisticsSchema = z.strictObject({
  /** Readings in the count window. */
  countReadings: z.number().int().min(2).max(4_096).default(64),
  /** Event time that the time window covers, in milliseconds; it moves on in steps of a twelfth. */
  timeWindowMs: z.number().int().min(12).max(31 * 86_400_000).default(15 * 60_000),
  /** N of the exponentially weighted mean: a reading has the weight 2 / (N + 1). */
  ewReadings: z.number().min(1).max(1_000_000).default(100),
});

const limitsSchema = z.strictObject({
  /** Readings in a row that must be inside the limits by the margin before an episode closes. */
  closeAfterReadings: readingsToClose,
  /** The first rule that matches a sensor holds for it; a sensor that none matches has no limits. */
  rules: z.array(limitRuleSchema).max(1_000).default([]),
});

const zScoreSchema = z.strictObject({
  /** Which moving mean and standard deviation readings are compared with. */
  base: z.enum(STATISTIC_BASES).default('count'),
  /** Readings in the base before the first score. */
  warmUpReadings: z.number().int().min(2).default(30),
  /**
   * Whether readings that were flagged enter the base. true: a lasting change becomes the new normal within the window. false:
   * it stays anomalous until values return, and the detector keeps a base of its own.
   */
  learnFlagged: z.boolean().default(true),
  /** Readings in a row that must be within closeSd before an episode closes. */
  closeAfterReadings: readingsToClose,
  /** The first rule that matches a sensor holds for it; a sensor that none matches is not scored. */
  rules: z.array(zScoreRuleSchema).max(1_000).prefault([{}]),
});

const watermarkSchema = z.strictObject({
  /** How much older than the newest reading of the gateway a reading may be and still find its rollup open. */
  outOfOrderMs: z.number().int().min(0).max(86_400_000).default(10_000),
  /** Time without readings after which the watermark follows the gateway's clock. */
  idleMs: z.number().int().min(1_000).max(86_400_000).default(60_000),
});

/** What a person can say about the engine. Every field has a default; the agent's schema embeds this one. */
export const engineConfigSchema = z
  .strictObject({
    statistics: statisticsSchema.prefault({}),
    limits: limitsSchema.prefault({}),
    zScore: zScoreSchema.prefault({}),
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
export type LimitRule = EngineConfig['limits']['rules'][number];
export type ZScoreRule = EngineConfig['zScore']['rules'][number];
