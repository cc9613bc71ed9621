import { z } from 'zod';

import { anomalySchema } from '../anomaly.ts';
import type { AnomalyRow } from '../rows.ts';
import { type Answer, count, instant, moving, sensorRef, statistic, text } from './answer.ts';

const windowFields = {
  size: text.describe('Such as 1m, 15m or 1h'),
  start: instant,
  end: instant,
  n: z.int().min(1).describe('Readings'),
  mean: z.number(),
  variance: statistic.describe('Of the population: divided by n'),
  sd: statistic,
  min: z.number(),
  max: z.number(),
  last: z.number(),
  lastAt: instant,
  anomalous: count.describe('Readings that were part of an anomaly'),
  moving,
  revision: count.describe(
    'Records with late readings that corrected it after it was sealed, and a mark that it got then',
  ),
  incomplete: z.boolean().describe('Readings of it are known to be lost'),
  hash: text
    .nullable()
    .describe('The sum modulo 2^64 of the hashes of its readings, which `verify` compares; null: it is not known'),
};

/** A window, sealed or still open: `GET /api/v1/windows`. */
export const windowSchema = z.strictObject({
  ...windowFields,
  open: z.boolean().describe('Readings may still join it'),
});
export type WindowView = Answer<typeof windowSchema>;

/** One line of `GET /api/v1/export/windows`: a sealed window with all that is needed to merge it with others. */
export const exportedWindowSchema = z.strictObject({
  table: z.literal('window'),
  sensor: sensorRef,
  unit: text.nullable(),
  ...windowFields,
  uncertain: count.describe('Readings whose quality was `uncertain`'),
  aggregate: z
    .strictObject({ reference: z.number(), mean: z.number(), m2: z.number().min(0) })
    .describe('Mean and sum of squared distances of value − reference: windows can be merged exactly with them'),
});
export type ExportedWindow = Answer<typeof exportedWindowSchema>;

/** The last line of an export that is complete. Without it something is missing. */
export const exportEndSchema = z.strictObject({
  table: z.literal('end'),
  rows: count.describe('Lines before this one'),
});
export type ExportEnd = Answer<typeof exportEndSchema>;

/** The last line of an export that broke off. */
export const exportErrorSchema = z.strictObject({
  table: z.literal('error'),
  rows: count.describe('Lines before this one'),
  error: text,
  code: text.describe('What is wrong with the store').exactOptional(),
});
export type ExportError = Answer<typeof exportErrorSchema>;

const { kind: _kind, number: _number, device: _device, metric: _metric, ...episode } = anomalySchema.shape;

/** An episode: `GET /api/v1/anomalies`, a line of its export, and the event `anomaly`. */
export const anomalyRowSchema: z.ZodType<AnomalyRow> = z.strictObject({
  table: z.literal('anomaly'),
  sensor: sensorRef,
  ...episode,
  source: z
    .strictObject({ epoch: text, number: count })
    .exactOptional()
    .describe('The record of the gateway that it comes from; absent where it is not known'),
});
