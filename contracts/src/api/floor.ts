import { z } from 'zod';

import { LANES } from '../batch.ts';
import { CLOCK_QUALITIES } from '../reading.ts';
import type { AnomalyRow, GatewayRow } from '../rows.ts';
import { SENSOR_STATES } from '../sensor-state.ts';
import { type Answer, count, instant, moving, named, sensorRef, text } from './answer.ts';

/** How a gateway last reported itself. */
export const gatewayRowSchema: z.ZodType<GatewayRow> = z.strictObject({
  table: z.literal('gateway'),
  ...named,
  at: instant,
  startedAt: instant,
  version: text,
  configHash: text,
  clock: z.enum(CLOCK_QUALITIES),
  sensors: count,
  counters: z.record(text, z.number()),
  source: z
    .strictObject({ epoch: text, run: count, from: count, number: count })
    .exactOptional()
    .describe('The record that it comes from, and the number that its run began with; absent where it is not known'),
});

/** Something odd about what a gateway sends, of which nothing was dropped. */
export const gatewayAlarmSchema = z.strictObject({
  kind: z
    .enum(['identity', 'trimmed'])
    .describe(
      '`identity`: it looks as if two gateways used one name, or an old copy of a disk. `trimmed`: the gateway no longer had what the ' +
        'processor asked for again',
    ),
  lane: z.enum(LANES),
  epoch: text.describe('The epoch that was heard when it was raised last'),
  firstAt: instant.describe('When the stream got the first batch that raised it, epoch milliseconds'),
  lastAt: instant.describe('When the stream got the last batch that raised it, epoch milliseconds'),
  count: count.describe('How many batches raised it'),
  meaning: text.describe('What it means, in sentences'),
  remedy: text.describe('What to do, in sentences'),
});
export type GatewayAlarm = Answer<typeof gatewayAlarmSchema>;

/** A gateway as the processor sees it. Null: not heard of since the processor started, and nothing stored. */
export const gatewaySchema = z.strictObject({
  ...named,
  heardAt: instant.nullable().describe("The processor's clock when the newest batch came"),
  watermark: instant.nullable().describe('Up to which event time its readings are complete'),
  report: gatewayRowSchema.nullable(),
  sensors: count,
  alarms: z.array(gatewayAlarmSchema).describe('What a person should look into, the newest first'),
});
export type GatewayView = Answer<typeof gatewaySchema>;

/** A site and its gateways: `GET /api/v1/sites`. */
export const siteSchema = z.strictObject({ site: text, gateways: z.array(gatewaySchema) });
export type SiteView = Answer<typeof siteSchema>;

/** A sensor with its newest value: `GET /api/v1/sensors`. */
export const sensorSchema = z.strictObject({
  id: text.describe('site/gateway/device/metric'),
  sensor: sensorRef,
  unit: text.nullable(),
  state: z.enum(SENSOR_STATES),
  last: z.number().nullable().describe('Null: it is expected, and has never sent anything'),
  lastAt: instant,
  moving,
  openAnomalies: count,
});
export type SensorView = Answer<typeof sensorSchema>;

/** Ten seconds of one sensor, from the processor's memory: `GET /api/v1/rollups`, and the event `rollups`. */
export const rollupPointSchema = z.strictObject({
  start: instant,
  n: z.int().min(1),
  mean: z.number(),
  min: z.number(),
  max: z.number(),
  last: z.number(),
  anomalous: count,
  moving,
});
export type RollupPoint = Answer<typeof rollupPointSchema>;

/** A small chart of one sensor: `last[i]` was read at `at[i]`. */
export const sparklineSchema = z.strictObject({ id: text, at: z.array(z.int()), last: z.array(z.number()) });
export type SparklineView = Answer<typeof sparklineSchema>;

/** What `GET /api/v1/live` sends, by event name; beside these `anomaly`, an episode that opened, changed or closed. */
export const liveSchemas = {
  /** Sensors whose newest value or state changed, gathered for a moment. */
  sensors: z.array(sensorSchema),
  /** New points of the sensors that the client asked for. */
  rollups: z.array(z.strictObject({ id: text, point: rollupPointSchema })),
  /** What came before can't be told without a gap, so the client reads the lists again. */
  reset: z.strictObject({
    reason: z
      .enum(['restarted', 'forgotten', 'left-out', 'unknown-id'])
      .describe(
        '`restarted`: the processor has started again since. `forgotten`: more changed than is remembered. `left-out`: a storm of episodes ' +
          "was cut short. `unknown-id`: the `Last-Event-ID` is none of this feed's",
      ),
  }),
  /** Sent when nothing else was, so that a client notices a dead connection. */
  heartbeat: z.strictObject({ at: instant }),
};
export type LiveEvents = { readonly [K in keyof typeof liveSchemas]: Answer<(typeof liveSchemas)[K]> } & {
  readonly anomaly: AnomalyRow;
};
