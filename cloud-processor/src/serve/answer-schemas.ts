import {
  anomalySchema,
  type AnomalyRow,
  CLOCK_QUALITIES,
  epochMs,
  type ExportedWindow,
  type ExportEnd,
  type ExportError,
  type GatewayAlarm,
  type GatewayRow,
  type GatewayView,
  LANES,
  type LiveEvents,
  type MovingStatistics,
  movingStatisticsSchema,
  type RollupPoint,
  SENSOR_STATES,
  type SensorRef,
  type SensorView,
  type SiteView,
  type WindowView,
} from '@floorwatch/contracts';
import { z } from 'zod';

import type { DeadLetterSummary } from '../dead-letters/dead-letters.ts';
import type { ReprocessStatus } from '../reprocess/reprocess-state.ts';
import type { Difference, VerifyStatus } from '../verify/report.ts';
import type { RetentionStatus } from '../write/retention-plan.ts';
import type { HealthReport } from './api-routes.ts';
import type { Sparkline } from './floor-view.ts';

/**
 * The answers of the API. They are strict, so that a test finds a field that nobody described; the description that is served does not
 * forbid more fields, because later releases may add some. The compiler holds them against the types that the answers are made of.
 */

const instant = z.int().transform(epochMs).describe('Epoch milliseconds');
const count = z.int().min(0);
const text = z.string();
const named = { site: text, gateway: text };

/** Numbers that are larger than JSON can say are null. */
const statistic = z.number().nullable();

const sensorRef: z.ZodType<SensorRef> = z.strictObject({ ...named, device: text, metric: text });
const moving: z.ZodType<MovingStatistics> = movingStatisticsSchema;

const { kind: _kind, number: _number, device: _device, metric: _metric, ...episode } = anomalySchema.shape;
const anomaly: z.ZodType<AnomalyRow> = z.strictObject({
  table: z.literal('anomaly'),
  sensor: sensorRef,
  ...episode,
  source: z
    .strictObject({ epoch: text, number: count })
    .exactOptional()
    .describe('The record of the gateway that it comes from; absent on what an older release stored'),
});

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
    .describe('The sum modulo 2^64 of the hashes of its readings; null where an older release had a part in it'),
};
const window: z.ZodType<WindowView> = z.strictObject({
  ...windowFields,
  open: z.boolean().describe('Readings may still join it'),
});
const exportedWindow: z.ZodType<ExportedWindow> = z.strictObject({
  table: z.literal('window'),
  sensor: sensorRef,
  unit: text.nullable(),
  ...windowFields,
  uncertain: count,
  aggregate: z
    .strictObject({ reference: z.number(), mean: z.number(), m2: z.number().min(0) })
    .describe('Mean and sum of squared distances of value − reference: windows can be merged exactly with them'),
});
const exportEnd: z.ZodType<ExportEnd> = z.strictObject({ table: z.literal('end'), rows: count });
const exportError: z.ZodType<ExportError> = z.strictObject({
  table: z.literal('error'),
  rows: count,
  error: text,
  code: text.exactOptional(),
});

const gatewayRow: z.ZodType<GatewayRow> = z.strictObject({
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
const alarm: z.ZodType<GatewayAlarm> = z.strictObject({
  kind: z.enum(['identity', 'trimmed']),
  lane: z.enum(LANES),
  epoch: text,
  firstAt: instant,
  lastAt: instant,
  count,
  meaning: text,
  remedy: text,
});
const gateway: z.ZodType<GatewayView> = z.strictObject({
  ...named,
  heardAt: instant.nullable(),
  watermark: instant.nullable(),
  report: gatewayRow.nullable(),
  sensors: count,
  alarms: z.array(alarm),
});
const site: z.ZodType<SiteView> = z.strictObject({ site: text, gateways: z.array(gateway) });
const sensor: z.ZodType<SensorView> = z.strictObject({
  id: text,
  sensor: sensorRef,
  unit: text.nullable(),
  state: z.enum(SENSOR_STATES),
  last: z.number().nullable(),
  lastAt: instant,
  moving,
  openAnomalies: count,
});
const rollupPoint: z.ZodType<RollupPoint> = z.strictObject({
  start: instant,
  n: z.int().min(1),
  mean: z.number(),
  min: z.number(),
  max: z.number(),
  last: z.number(),
  anomalous: count,
  moving,
});
const sparkline: z.ZodType<Sparkline> = z.strictObject({
  id: text,
  at: z.array(z.int()),
  last: z.array(z.number()),
});

const health: z.ZodType<HealthReport> = z.strictObject({ ok: z.boolean(), parts: z.record(text, text) });
const about = z.strictObject({
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
  health,
});

const letterFields = { id: text, at: z.int(), reason: text, message: text };
const letterKind = z.enum(['batch', 'row']);
const deadLetterSummary: z.ZodType<DeadLetterSummary> = z.strictObject({ ...letterFields, kind: letterKind });
const deadLetter = z.discriminatedUnion('kind', [
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
const settled = z.strictObject({ id: text, settled: z.enum(['retried', 'dropped']) });

const counted = z
  .strictObject({ n: count, hash: text.nullable().describe('Sum of hashes; null: not known') })
  .nullable();
const lostNumbers = z.strictObject({
  lane: z.enum(LANES),
  epoch: text,
  run: count,
  from: count,
  to: count,
  reason: text,
  readings: count,
  anomalies: count,
  unknown: z.boolean().describe('Nobody knows all that was lost'),
  eventTimes: z.tuple([z.int(), z.int()]).nullable(),
});
const verifiedGateway = z.strictObject({
  ...named,
  watermark: instant.nullable(),
  lanes: z.array(
    z.strictObject({
      lane: z.enum(LANES),
      epochs: count,
      epoch: text.nullable(),
      floor: count.describe('The last number applied'),
      inFlight: count.describe('Numbers known to exist that have not been applied'),
    }),
  ),
  lost: z.array(lostNumbers).describe('Numbers that the gateway declared lost'),
  intake: z
    .strictObject({
      startedAt: instant,
      at: instant,
      received: count,
      accepted: count,
      rejected: count,
      duplicate: count,
      quarantined: count,
      retainedCopies: count,
    })
    .nullable(),
  evidence: z.strictObject({
    since: instant.nullable().describe('Event hours from here on are summed in the checkpoint; null: all, or none'),
    isWhole: z.boolean().describe('All hours that were compared are'),
  }),
  readings: z.strictObject({
    told: count,
    hours: count.describe('Hours of sensors that were compared'),
    windows: count,
    inFlight: count,
    uncounted: count,
    unhashed: count,
    lost: count,
    late: count,
    lateWaiting: count,
  }),
  episodes: z.strictObject({ opened: count, closed: count, hours: count, inFlight: count, uncounted: count }),
});
const difference: z.ZodType<Difference> = z.strictObject({
  kind: z.enum([
    'readings',
    'values',
    'untold',
    'opened',
    'closed',
    'numbers',
    'lost',
    'intake',
    'taken',
    'report',
    'alarm',
  ]),
  ...named,
  sensor: text.nullable(),
  size: text.nullable(),
  from: instant.nullable(),
  to: instant.nullable(),
  told: counted,
  stored: counted,
  finding: text,
  cause: text,
  remedy: text,
});
const verify: z.ZodType<VerifyStatus> = z.strictObject({
  state: z.enum(['running', 'done', 'failed', 'stopped']),
  request: z.strictObject({
    from: instant.exactOptional(),
    to: instant.exactOptional(),
    site: text.exactOptional(),
    gateway: text.exactOptional(),
  }),
  startedAt: instant,
  endedAt: instant.nullable(),
  progress: z.strictObject({ done: count, total: count, now: text.nullable() }),
  report: z
    .strictObject({
      ok: z.boolean().describe('Everything that could be compared adds up'),
      gateways: z.array(verifiedGateway),
      unknown: z
        .array(z.strictObject(named))
        .describe('Gateways with reports in the store that the checkpoint does not know'),
      isProven: z.boolean().describe('The checkpoint has sums of all that was compared'),
      differences: z.array(difference).describe('The first ones'),
      differencesTotal: count,
      deadLetters: count,
      expired: count,
      refusedReadings: z.record(text, count),
      unsent: count,
    })
    .nullable(),
  problem: text.nullable(),
});

const reprocess: z.ZodType<ReprocessStatus> = z.strictObject({
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

const retention: z.ZodType<RetentionStatus> = z.strictObject({
  keptMs: count.describe('How long rows are kept; 0: for ever'),
  tooOldBefore: instant
    .nullable()
    .describe('Rows of before are too old by the clocks of the processor and of NATS; null: none are'),
  oldest: instant.nullable().describe('The oldest row'),
  dueMs: count.describe('How much time the rows that are due cover'),
  waits: z.boolean().describe('Nothing is deleted until a person agrees'),
  agreedBefore: instant.nullable().describe('A person has agreed that rows of before are deleted'),
  deleted: count.describe('Rows deleted since the start'),
});

/** What a partition counts differs from release to release: its parts are open. */
const processor = z.looseObject({
  ok: z.boolean(),
  parts: z.record(text, text),
  deadLetters: z.strictObject({
    open: count,
    rejectedByReason: z.record(text, count),
    newest: z.array(deadLetterSummary),
  }),
  alarms: z.array(z.strictObject({ gateway: text, cause: text, alarm })),
  partitions: z.array(
    z.looseObject({
      partition: count,
      stream: z.looseObject({ position: count }),
      counts: z.record(text, count),
      watermarks: z.record(text, z.int().nullable()),
    }),
  ),
});

const failure = z.strictObject({ error: text.describe('What is wrong, and what to do') });
const wrongParameter = z.strictObject({ error: text, field: text, value: text, remedy: text });
const unsupported = z.strictObject({ error: text, remedy: text });
const unavailable = z.strictObject({
  error: text,
  code: text.describe('What is wrong with the store').exactOptional(),
});

type Live<K extends keyof LiveEvents> = z.ZodType<LiveEvents[K]>;
const reset: Live<'reset'> = z.strictObject({
  reason: z.enum(['restarted', 'forgotten', 'left-out', 'unknown-id']),
});
const heartbeat: Live<'heartbeat'> = z.strictObject({ at: instant });
const rollups: Live<'rollups'> = z.array(z.strictObject({ id: text, point: rollupPoint }));

/** One page: `next` goes into `after` for the page behind it; null: this is the last. */
const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: text.nullable().describe('`after` of the next page; null: none') });

/** Every schema by its name in the served description. */
export const answerSchemas = {
  SensorRef: sensorRef,
  MovingStatistics: moving,
  Anomaly: anomaly,
  Anomalies: pageOf(anomaly),
  Window: window,
  Windows: pageOf(window),
  ExportedWindow: exportedWindow,
  ExportEnd: exportEnd,
  ExportError: exportError,
  WindowLine: z.union([exportedWindow, exportEnd, exportError]),
  AnomalyLine: z.union([anomaly, exportEnd, exportError]),
  GatewayReport: gatewayRow,
  GatewayAlarm: alarm,
  Gateway: gateway,
  Site: site,
  Sites: pageOf(site),
  Sensor: sensor,
  Sensors: pageOf(sensor),
  RollupPoint: rollupPoint,
  Rollups: pageOf(rollupPoint),
  Sparkline: sparkline,
  Sparklines: pageOf(sparkline),
  Health: health,
  BareHealth: z.strictObject({ ok: z.boolean(), parts: z.record(text, text).exactOptional() }),
  About: about,
  Processor: processor,
  DeadLetterSummary: deadLetterSummary,
  DeadLetters: pageOf(deadLetterSummary),
  DeadLetter: deadLetter,
  Settled: settled,
  Reprocess: reprocess,
  Retention: retention,
  Verify: verify,
  LiveSensors: z.array(sensor),
  LiveRollups: rollups,
  LiveReset: reset,
  LiveHeartbeat: heartbeat,
  Failure: failure,
  WrongParameter: wrongParameter,
  Unsupported: unsupported,
  Unavailable: unavailable,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type AnswerName = keyof typeof answerSchemas;
