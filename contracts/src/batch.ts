import { z } from 'zod';

import { anomalySchema } from './anomaly.ts';
import { epochSchema } from './epoch.ts';
import { gapSchema } from './gap.ts';
import { JsonReader } from './json-reader.ts';
import { limits } from './limits.ts';
import { nameSchema } from './names.ts';
import { findWrongSensor, type RollupSensor, rollupsSchema } from './rollup.ts';
import { startSchema } from './start.ts';
import { statusSchema } from './status.ts';
import { tickSchema } from './tick.ts';

/** Version of the record formats below. Fields are only ever added; this number counts up when a reader must know of it. */
export const SCHEMA_VERSION = 1;

/** The two queues of a gateway. `anomaly` overtakes a backlog of `telemetry` (rollups, ticks, status). */
export const LANES = ['anomaly', 'telemetry'] as const;
export type Lane = (typeof LANES)[number];

const recordSchema = z.discriminatedUnion('kind', [
  anomalySchema,
  rollupsSchema,
  tickSchema,
  gapSchema,
  statusSchema,
  startSchema,
]);

/** Any record. `kind` tells them apart. */
export type FloorRecord = z.infer<typeof recordSchema>;

const batchSchema = z
  .object({
    schema: z.literal(SCHEMA_VERSION),
    site: nameSchema,
    gateway: nameSchema,
    lane: z.enum(LANES),
    /** Numbers begin at 1 in every epoch; a batch holds records of one. */
    epoch: epochSchema,
    /** What `columns.sensor` of the batch's rollups points into. */
    sensors: z.custom<RollupSensor[]>((sensors) => findWrongSensor(sensors) === undefined, {
      error: ({ input }) => findWrongSensor(input) ?? 'is not valid',
    }),
    /** In the order of their numbers. */
    records: z.array(recordSchema).min(1).max(limits.recordsPerBatchMax),
  })
  .superRefine(({ records, sensors }, context) => {
    let next = records[0]?.number ?? 1;
    for (const [index, record] of records.entries()) {
      if (record.number !== next) {
        context.addIssue({
          code: 'custom',
          path: ['records', index, 'number'],
          message: `is ${record.number}, must be ${next}`,
        });
        return;
      }
      next = lastNumber(record) + 1;
      if (record.kind === 'rollups' && record.columns.sensor.some((sensor) => sensor >= sensors.length)) {
        const message = `points past the ${sensors.length} sensors of the batch`;
        context.addIssue({ code: 'custom', path: ['records', index, 'columns', 'sensor'], message });
      }
    }
  });

/** What travels in one message: consecutive records of one source (gateway and lane) in one epoch. */
export type Batch = z.infer<typeof batchSchema>;

/** The last number that `record` stands for: its own, except for a gap. */
export const lastNumber = (record: FloorRecord): number => (record.kind === 'gap' ? record.to : record.number);

const encoder = new TextEncoder();
const reader = new JsonReader('sensors');

/** The bytes of a batch: JSON in UTF-8. */
export const encodeBatch = (batch: Batch): Uint8Array => encoder.encode(JSON.stringify(batch));

/** Why bytes are not a batch. `schema`: written by a newer release; `too-large`, `not-json`, `invalid`: damaged or foreign. */
export type BatchFault = { readonly reason: 'too-large' | 'not-json' | 'schema' | 'invalid'; readonly message: string };

export type DecodedBatch =
  | { readonly ok: true; readonly batch: Batch }
  | { readonly ok: false; readonly fault: BatchFault };

/**
 * Reads a batch. Never throws: what is wrong is a value that names the field, its value's problem and its place. Batches that name the same
 * sensor share the object that does, which is frozen.
 */
export function decodeBatch(bytes: Uint8Array): DecodedBatch {
  if (bytes.length > limits.batchBytesMax) {
    return fault('too-large', `batch has ${bytes.length} bytes, the limit is ${limits.batchBytesMax}`);
  }
  let json: unknown;
  try {
    json = reader.read(bytes);
  } catch (error) {
    return fault('not-json', error instanceof Error ? error.message : String(error));
  }
  const schema = typeof json === 'object' && json !== null && 'schema' in json ? json.schema : undefined;
  if (typeof schema === 'number' && schema > SCHEMA_VERSION) {
    return fault(
      'schema',
      `batch has schema version ${schema}, this release reads up to ${SCHEMA_VERSION}; update the processor`,
    );
  }
  const parsed = batchSchema.safeParse(json);
  if (parsed.success) return { ok: true, batch: parsed.data };
  const issue = parsed.error.issues[0];
  return fault('invalid', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}

const fault = (reason: BatchFault['reason'], message: string): DecodedBatch => ({
  ok: false,
  fault: { reason, message },
});
