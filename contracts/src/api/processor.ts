import { z } from 'zod';

import { type Answer, count, instant, text } from './answer.ts';
import { gatewayAlarmSchema } from './floor.ts';
import { deadLetterSummarySchema } from './maintenance.ts';

/** Whether the program can do its work, and what stands in the way: an entry per part, without secrets. */
export const healthSchema = z.strictObject({ ok: z.boolean(), parts: z.record(text, text) });
export type HealthReport = Answer<typeof healthSchema>;

/** What `/healthz` answers: with a token set, without its parts. */
export const bareHealthSchema = z.strictObject({ ok: z.boolean(), parts: z.record(text, text).exactOptional() });

/** What answers: `GET /api/v1`. */
export const aboutSchema = z.strictObject({
  name: z.literal('floorwatch'),
  version: text,
  now: instant.describe("The processor's clock"),
  windowSizes: z.array(text),
  silentAfterMs: count,
  historyMs: count,
  counts: z.strictObject({
    sensors: count,
    gateways: count,
    openAnomalies: count,
    leftOut: count,
    gatewaysCut: count,
  }),
  gateway: z
    .strictObject({ mqttUrl: text.exactOptional(), statusUrl: text.exactOptional() })
    .describe('Where devices publish and where the agent reports, if the configuration says so'),
  health: healthSchema,
});
export type About = Answer<typeof aboutSchema>;

/** What a partition counts differs from release to release: its parts are open. */
export const processorSchema = z.looseObject({
  ok: z.boolean(),
  parts: z.record(text, text),
  deadLetters: z.strictObject({
    open: count,
    rejectedByReason: z.record(text, count),
    newest: z.array(deadLetterSummarySchema),
  }),
  alarms: z.array(z.strictObject({ gateway: text, cause: text, alarm: gatewayAlarmSchema })),
  partitions: z.array(
    z.looseObject({
      partition: count,
      stream: z.looseObject({ position: count }),
      counts: z.record(text, count),
      watermarks: z.record(text, z.int().nullable()),
    }),
  ),
});

export const failureSchema = z.strictObject({ error: text.describe('What is wrong, and what to do') });
export const wrongParameterSchema = z.strictObject({ error: text, field: text, value: text, remedy: text });
export const unsupportedSchema = z.strictObject({ error: text, remedy: text });
export const unavailableSchema = z.strictObject({
  error: text,
  code: text.describe('What is wrong with the store').exactOptional(),
});
