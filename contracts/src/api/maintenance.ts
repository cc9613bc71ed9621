import { z } from 'zod';

import { type Answer, count, instant, text } from './answer.ts';

const letterFields = { id: text, at: z.int(), reason: text, message: text };
const letterKind = z.enum(['batch', 'row']);
/** A dead letter without its content. */
export const deadLetterSummarySchema = z.strictObject({ ...letterFields, kind: letterKind });
export type DeadLetterSummary = Answer<typeof deadLetterSummarySchema>;

export const deadLetterSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    ...letterFields,
    kind: z.literal('batch'),
    subject: text,
    streamSequence: count,
    bytes: count,
    data: z.base64(),
  }),
  z.strictObject({ ...letterFields, kind: z.literal('row'), row: z.looseObject({ table: text }) }),
]);
export const settledSchema = z.strictObject({ id: text, settled: z.enum(['retried', 'dropped']) });

/** How far a run of `reprocess` is: `GET /api/v1/reprocess`. */
export const reprocessSchema = z.strictObject({
  state: z.enum(['running', 'done', 'failed', 'stopped']),
  from: instant,
  to: instant,
  dryRun: z.boolean().describe('Nothing is written'),
  startedAt: z.int().describe("The processor's clock"),
  endedAt: z.int().nullable(),
  partitions: z.strictObject({ done: count, total: count }),
  now: z
    .strictObject({
      partition: count,
      phase: z.enum(['waiting', 'surveying', 'replaying', 'writing']),
      position: count,
      through: count,
    })
    .nullable(),
  counts: z.strictObject({
    windows: z.strictObject({
      same: count,
      missing: count.describe('The store had none'),
      changed: count.describe('The store had another one'),
      kept: count.describe('The store has one that knows more'),
      partial: count.describe('The stream no longer holds all that belongs into them'),
    }),
    anomalies: z.strictObject({ same: count, missing: count, changed: count }),
    counted: z
      .strictObject({ same: count, missing: count, changed: count })
      .describe('What gateways say that they have accepted'),
    others: count.describe('Reports and counts of late readings that were written again'),
  }),
  gateways: z
    .array(z.strictObject({ gateway: text, why: z.enum(['nothing-held', 'astray', 'stuck']) }))
    .describe('Of which not everything could be made again'),
  problems: z.array(text),
});
export type ReprocessAnswer = Answer<typeof reprocessSchema>;

/** How the deletion of old rows stands: `GET /api/v1/retention`. */
export const retentionSchema = z.strictObject({
  keptMs: count.describe('How long rows are kept; 0: without end'),
  tooOldBefore: instant
    .nullable()
    .describe('Rows of before are too old by the clocks of the processor and of NATS; null: none are'),
  oldest: instant.nullable().describe('The oldest row'),
  dueMs: count.describe('How much time the rows that are due cover'),
  waits: z.boolean().describe('Nothing is deleted until a person agrees'),
  agreedBefore: instant.nullable().describe('A person has agreed that rows of before are deleted'),
  deleted: count.describe('Rows deleted since the start'),
});
export type RetentionStatus = Answer<typeof retentionSchema>;
