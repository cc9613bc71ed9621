import { createHash } from 'node:crypto';

import { type EpochMs, epochMs } from '@floorwatch/contracts';
import { z } from 'zod';

import { QUARANTINE_REASONS, type QuarantinedReading, type QuarantineReason } from '../ingest/quarantined-reading.ts';

const reasons = Object.keys(QUARANTINE_REASONS) as [QuarantineReason, ...QuarantineReason[]];
const instant = z.number().transform(epochMs);
const positions = z.array(z.number().int().min(1));

/**
 * With which time a reading is released: the device's own (`as-sent`), the gateway's when it arrived (`as-received`), or the device's moved
 * by some milliseconds, for a clock that was off by a known time.
 */
export const releaseTimeSchema = z.union([
  z.enum(['as-sent', 'as-received']),
  z.strictObject({ shiftMs: z.number().int().min(-8.64e15).max(8.64e15) }),
]);
export type ReleaseTime = z.output<typeof releaseTimeSchema>;

const recordSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('held'),
    receivedAt: instant,
    reason: z.enum(reasons),
    reading: z
      .object({
        device: z.string(),
        metric: z.string(),
        eventTime: instant,
        value: z.number(),
        unit: z.string().exactOptional(),
        quality: z.enum(['good', 'uncertain']),
        seq: z.number().exactOptional(),
      })
      .readonly(),
  }),
  z.object({ kind: z.literal('releasing'), positions, time: releaseTimeSchema }),
  z.object({ kind: z.literal('settled'), positions, how: z.enum(['released', 'dropped']) }),
]);

/**
 * What the quarantine's log holds: readings, that some are about to be released, and that some were released or dropped. Items of the log are
 * JSON; a reading is known by its position.
 */
export type QuarantineRecord = z.output<typeof recordSchema>;

export const encodeRecord = (record: QuarantineRecord): Buffer => Buffer.from(JSON.stringify(record));

/** Undefined: not a record of this release; whatever wrote it can still read it. */
export function decodeRecord(bytes: Uint8Array): QuarantineRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}

/** By which a repeat is recognised: 48 bits of a hash of all that the device sent. */
export function keyOf({ reading: { device, metric, eventTime, value, seq } }: QuarantinedReading): number {
  const hash = createHash('sha256').update(JSON.stringify([device, metric, eventTime, value, seq ?? null]));
  return hash.digest().readUIntBE(0, 6);
}

/** The event time with which a reading is released. */
export function releasedTime({ reading, receivedAt }: QuarantinedReading, time: ReleaseTime): EpochMs {
  if (time === 'as-sent') return reading.eventTime;
  return time === 'as-received' ? receivedAt : epochMs(reading.eventTime + time.shiftMs);
}
