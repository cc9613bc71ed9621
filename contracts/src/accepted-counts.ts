import { z } from 'zod';

import { epochSchema } from './epoch.ts';
import { fields } from './fields.ts';
import { limits } from './limits.ts';
import { hours } from './time.ts';

/** The event time that accepted readings and episodes are counted by. */
export const COUNT_MS = hours(1);

/** Start of an event hour. */
const hourSchema = fields.instant.refine((hour) => hour % COUNT_MS === 0, 'must be the start of an hour');

const hashSchema = z.string().regex(/^[0-9a-f]{16}$/);

/**
 * What one sensor's accepted readings of one event hour were, as the gateway counted them when it took them, independently of the rollups
 * that it made of them. A later one with the same `since` replaces it. A gateway does not remember an hour for ever, so readings that come
 * long after begin a count of their own, with another `since`: what was accepted is the sum.
 */
const countedHourSchema = z.object({
  ...fields.sensor,
  hour: hourSchema,
  /** How many readings the gateway had counted in all when this count began. */
  since: fields.count,
  n: fields.readings.min(1),
  /** The sum modulo 2^64 of the readings' hashes. */
  hash: hashSchema,
});

/** The episodes that opened in one event hour, as the gateway told of them in its anomaly lane; `since` as in a counted hour. */
const countedEpisodesSchema = z.object({
  hour: hourSchema,
  since: fields.count,
  opened: fields.count,
  /** The sum modulo 2^64 of the hashes of their ids. */
  openedHash: hashSchema,
  /** Those of them that have closed. */
  closed: fields.count,
  closedHash: hashSchema,
});

/** What a gateway has counted, so that it can be compared with what is stored. Part of a tick. */
export const acceptedCountsSchema = z.object({
  /** Names the counting. Another name: the gateway had lost what it had counted, and began anew. */
  counter: epochSchema,
  /** Hours that begin before it may have had readings that were not counted, because an older release ran. Null: there are none. */
  completeFrom: fields.instant.nullable(),
  /** Hours that this tick's watermark has passed and that changed since they were last told. */
  hours: z.array(countedHourSchema).max(limits.countedHoursPerTickMax),
  /** The next tick goes on with what belongs to this one. */
  more: z.literal(true).exactOptional(),
  /** Absent: nothing changed in the anomaly lane. */
  episodes: z
    .object({
      /** The last record of the anomaly lane that is counted. */
      epoch: epochSchema,
      number: fields.count,
      /** Hours that changed since they were last told. */
      hours: z.array(countedEpisodesSchema).max(limits.countedHoursPerTickMax),
    })
    .exactOptional(),
});

export type AcceptedCounts = z.infer<typeof acceptedCountsSchema>;
export type CountedHour = z.infer<typeof countedHourSchema>;
export type CountedEpisodes = z.infer<typeof countedEpisodesSchema>;
