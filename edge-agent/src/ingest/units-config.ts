import { limits as contractLimits } from '@floorwatch/contracts';
import { z } from 'zod';

import { limits } from '../limits.ts';
import { namePatternSchema } from '../score/sensor-pattern.ts';

const unitSchema = z.string().trim().min(1).max(contractLimits.unitLengthMax);

/** The section `units` of the configuration: what sensors measure in, and how that is written. */
export const unitsConfigSchema = z.strictObject({
  /** The first rule that matches a sensor says its unit; of a sensor that none matches it is the first that it names. */
  rules: z
    .array(z.strictObject({ device: namePatternSchema, metric: namePatternSchema, unit: unitSchema }))
    .max(limits.unitRulesMax)
    .default([]),
  /** Other names of a unit, besides those that `UnitNames` knows. */
  aliases: z
    .array(z.strictObject({ unit: unitSchema, names: z.array(unitSchema).min(1).max(100) }))
    .max(limits.unitRulesMax)
    .default([]),
});

export type UnitsConfig = z.output<typeof unitsConfigSchema>;
