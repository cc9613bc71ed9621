import { z } from 'zod';

import { LANES } from '../batch.ts';
import { type Answer, count, instant, named, text } from './answer.ts';

const counted = z
  .strictObject({ n: count, hash: text.nullable().describe('Sum of hashes; null: not known') })
  .describe('A number of readings or episodes');
/** A number of readings or episodes, and the sum of their hashes. */
export type Counted = Answer<typeof counted>;

const lostNumbers = z.strictObject({
  lane: z.enum(LANES),
  epoch: text,
  run: count,
  from: count.describe('Both ends included; both 0: all that came before this epoch, and nobody knows what that was'),
  to: count,
  reason: text.describe('`cap`, `damage`, `trimmed` or `lost-epoch`'),
  readings: count.describe('As far as it is known'),
  anomalies: count.describe('Records of episodes, as far as it is known'),
  unknown: z.boolean().describe('Nobody knows all that was lost'),
  eventTimes: z
    .tuple([z.int(), z.int()])
    .nullable()
    .describe('Of the lost readings, both ends included; null: none, or not known'),
});

const laneReport = z.strictObject({
  lane: z.enum(LANES),
  epochs: count.describe('Epochs that are remembered'),
  epoch: text.nullable().describe('The one that records were taken from last'),
  floor: count.describe('The last number applied'),
  inFlight: count.describe('Numbers known to exist that have not been applied'),
});
export type LaneReport = Answer<typeof laneReport>;

const intakeReport = z.strictObject({
  startedAt: instant,
  at: instant,
  received: count,
  accepted: count,
  rejected: count,
  duplicate: count,
  quarantined: count,
  retainedCopies: count,
});
/** What a gateway says of its intake since its start. */
export type IntakeReport = Answer<typeof intakeReport>;

const evidenceReport = z.strictObject({
  since: instant.nullable().describe('Event hours from here on are summed in the checkpoint; null: all, or none'),
  isWhole: z.boolean().describe('All hours that were compared are'),
});
/** How far the sums in the checkpoint reach, which alone show what is missing together with its counts. */
export type EvidenceReport = Answer<typeof evidenceReport>;

const gatewayReport = z.strictObject({
  ...named,
  watermark: instant.nullable(),
  lanes: z.array(laneReport),
  lost: z.array(lostNumbers).describe('Numbers that the gateway declared lost, the newest last'),
  intake: intakeReport.nullable(),
  evidence: evidenceReport,
  readings: z.strictObject({
    told: count.describe('Accepted readings in the hours that were compared'),
    hours: count.describe('Hours of sensors that were compared'),
    windows: count.describe('Windows that hold them, of all sizes'),
    inFlight: count.describe('Hours of sensors that are not over, or of which something is on its way'),
    uncounted: count.describe('Hours of sensors that the gateway did not count, or whose count was lost'),
    unhashed: count.describe('Hours of sensors whose readings were counted but not compared one by one'),
    lost: count.describe('Readings missing in windows because of numbers that the gateway declared lost'),
    late: count.describe('Readings that came after their window was sealed, as far as they are remembered'),
    lateWaiting: count.describe('Rollups that wait to be merged'),
  }),
  episodes: z.strictObject({ opened: count, closed: count, hours: count, inFlight: count, uncounted: count }),
});
export type GatewayReport = Answer<typeof gatewayReport>;

const KINDS = {
  readings: 'windows hold others than the gateway accepted',
  values: 'windows of two sizes over the same readings say different things',
  untold: 'there are windows that the gateway counted nothing for',
  opened: 'episodes that opened differ',
  closed: 'episodes that closed differ',
  numbers: 'records are missing for long',
  lost: 'the numbers that a gateway declared lost do not account for what is missing',
  intake: "the gateway's own counters do not add up",
  taken: 'the store holds others than the processor took, by the sums in its checkpoint',
  report: 'the newest report of the gateway that the processor took is not stored',
  alarm: 'an alarm is raised',
} as const;

const difference = z.strictObject({
  kind: z.enum(Object.keys(KINDS) as (keyof typeof KINDS)[]).describe(
    Object.entries(KINDS)
      .map(([kind, meaning]) => `\`${kind}\`: ${meaning}`)
      .join('. '),
  ),
  ...named,
  sensor: text.nullable().describe('`device/metric`; null: of the whole gateway'),
  size: text.nullable().describe('Such as 1m; null: of no size'),
  from: instant.nullable().describe('The stretch of event time that was compared, [from, to); null: of no time'),
  to: instant.nullable(),
  told: counted.nullable(),
  stored: counted.nullable(),
  finding: text.describe('What is wrong'),
  cause: text.describe('The likely cause'),
  remedy: text.describe('What to do'),
});
/** Something that does not add up. */
export type Difference = Answer<typeof difference>;

const verifyReport = z.strictObject({
  ok: z.boolean().describe('Everything that could be compared adds up'),
  gateways: z.array(gatewayReport),
  unknown: z
    .array(z.strictObject(named))
    .describe('Gateways with reports in the store that the checkpoint does not know: there is no evidence of them'),
  isProven: z.boolean().describe('The checkpoint has sums of all that was compared, and of something'),
  differences: z.array(difference).describe('The first ones'),
  differencesTotal: count,
  deadLetters: count,
  expired: count.describe("Since the processor's start: rows that were older than the store keeps them"),
  refusedReadings: z
    .record(text, count)
    .describe("Since the processor's start: readings that found no place in a window, by reason"),
  unsent: count.describe('Rows that the store had not confirmed; they were compared too'),
});
export type VerifyReport = Answer<typeof verifyReport>;

const verifyRequest = z.strictObject({
  from: instant.exactOptional().describe('Absent: seven days before `to`, and at most what the store keeps'),
  to: instant.exactOptional().describe("Absent: each gateway's watermark"),
  site: text.exactOptional(),
  gateway: text.exactOptional(),
});
/** What to verify. */
export type VerifyRequest = Answer<typeof verifyRequest>;

/** How far a run is, and what it found: `GET /api/v1/verify`. */
export const verifySchema = z.strictObject({
  state: z.enum(['running', 'done', 'failed', 'stopped']),
  request: verifyRequest,
  startedAt: instant,
  endedAt: instant.nullable(),
  progress: z.strictObject({ done: count, total: count, now: text.nullable() }),
  report: verifyReport.nullable().describe('Set when `state` is `done`'),
  problem: text.nullable().describe('Why it failed'),
});
export type VerifyStatus = Answer<typeof verifySchema>;
