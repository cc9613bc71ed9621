import { z } from 'zod';

import { fields } from './fields.ts';
import { limits } from './limits.ts';

/** How a gateway is: what runs there, since when, and what it has counted since that start. */
export const statusSchema = z.object({
  kind: z.literal('status'),
  number: fields.number,
  at: fields.instant,
  startedAt: fields.instant,
  version: z.string().min(1).max(64),
  /** Hash of the configuration in force, so that two gateways can be compared without showing secrets. */
  configHash: z.string().regex(/^[0-9a-f]{8,64}$/),
  clock: fields.clock,
  /** Sensors known to the gateway. */
  sensors: fields.count,
  /** Counters by name, such as `readingsAccepted`. */
  counters: z
    .record(z.string().max(64), z.number().min(0))
    .refine((counters) => Object.keys(counters).length <= limits.countersMax, {
      message: `must not hold more than ${limits.countersMax} counters`,
    }),
});

export type StatusRecord = z.infer<typeof statusSchema>;

/**
 * The counter that says whether the broker that a gateway's readings come from is away: 1, or 0. Gateways whose devices connect to them have
 * none. While it is 1, nobody knows how its sensors are.
 */
export const BROKER_AWAY = 'brokerAway';
