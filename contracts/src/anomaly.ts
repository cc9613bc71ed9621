import { z } from 'zod';

import { fields } from './fields.ts';
import { limits } from './limits.ts';
import { movingStatisticsSchema } from './moving-statistics.ts';

/** How bad: `warning` is worth a look, `critical` is worth a page. */
export const SEVERITIES = ['warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What a record says of its episode. */
export const ANOMALY_PHASES = ['opened', 'updated', 'closed'] as const;
export type AnomalyPhase = (typeof ANOMALY_PHASES)[number];

/** `backlog`: processed so long after it was received that nobody should be paged for it. */
export const PROVENANCES = ['live', 'backlog'] as const;
export type Provenance = (typeof PROVENANCES)[number];

/**
 * Why an episode ended. `recovered`: readings were normal again; `adopted`: the value stayed where it was for so long that it counts as normal
 * now; `shutdown`: the agent was stopped; `upgraded`: the agent began to judge in another way. Later releases have more, so a reader takes any term.
 */
export type CloseReason = 'recovered' | 'adopted' | 'shutdown' | 'upgraded';

const episodeIdSchema = z.string().regex(/^[0-9a-f]{32}$/);

/** Largest score: more decades of improbability than this say nothing more, and a JSON number must be finite. */
export const SCORE_MAX = 300;

/**
 * One episode of one detector on one sensor, as it stands now. A fault that lasts is one episode: `opened`, `updated` while it
 * lasts, `closed`. Every record can be understood alone and replaces the one before it.
 */
export const anomalySchema = z.object({
  kind: z.literal('anomaly'),
  number: fields.number,
  phase: z.enum(ANOMALY_PHASES),
  /** Hash of sensor, detector, event time and value of the opening: a replay finds the same id. */
  id: episodeIdSchema,
  ...fields.sensor,
  unit: fields.unit,
  /** Which detector found it, such as `z-score`. */
  detector: fields.term,
  /** Counts up whenever the detector would decide differently on the same readings. */
  detectorVersion: fields.count,
  /** What is wrong, such as `above-limit`; fixed when the episode opens. */
  anomalyKind: fields.term,
  /** The worst so far: it never falls within an episode. */
  severity: z.enum(SEVERITIES),
  /** Event time of the reading that opened the episode. */
  openedAt: fields.instant,
  /** Event time of the newest reading of the episode; in `closed`, of the reading (or the moment) that closed it. */
  eventTime: fields.instant,
  /** The gateway's clock when it opened the episode. */
  detectedAt: fields.instant,
  clock: fields.clock,
  provenance: z.enum(PROVENANCES),
  /** The value that opened the episode, in the sensor's unit. */
  value: z.number(),
  /** The reading with the highest score so far. */
  worst: z.object({ value: z.number(), at: fields.instant, score: z.number().min(0).max(SCORE_MAX) }),
  /** What would have been normal when the episode opened, in the sensor's unit; null: no bound on that side. */
  expected: z.object({ low: z.number().nullable(), high: z.number().nullable() }),
  /** Score of the opening in decades of improbability (−log10 p), 0 to {@link SCORE_MAX}. */
  score: z.number().min(0).max(SCORE_MAX),
  /** The moving statistics just before the opening. */
  moving: movingStatisticsSchema,
  /** Anomalous readings in the episode so far. */
  readings: fields.readings.min(1),
  /** The last readings before the opening, oldest first. */
  before: z.array(z.object({ at: fields.instant, value: z.number() })).max(limits.contextReadingsMax),
  /** One sentence for the operator: what was seen, what was expected. */
  explanation: z.string().min(1).max(limits.explanationLengthMax),
  /** Ids of episodes of the same device that opened within seconds of this one: perhaps one cause. Absent: none. */
  related: z.array(episodeIdSchema).max(limits.relatedMax).exactOptional(),
  /** Why the episode ended (see {@link CloseReason}); only in `closed`. */
  closeReason: fields.term.exactOptional(),
});

export type AnomalyRecord = z.infer<typeof anomalySchema>;
