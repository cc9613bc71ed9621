import { z } from 'zod';

import { type Lane, LANES } from './batch.ts';
import { epochSchema } from './epoch.ts';
import { fields } from './fields.ts';
import { limits } from './limits.ts';
import { nameSchema } from './names.ts';

/** Version of the floor message. */
export const FLOOR_VERSION = 1;

const laneFloorSchema = z.object({
  /** The epoch heard last, duplicates included, among those that have no successor; null: none has begun. */
  epoch: epochSchema.nullable(),
  /** The last number of that epoch that is applied and safe; 0: none. */
  floor: fields.count,
  /**
   * The highest number known to exist in that epoch, from whatever was heard. Above the floor: numbers in between are missing, and
   * wanted again. Where no epoch has begun, 1 says that something was heard that could not begin.
   */
  highest: fields.count,
  /**
   * Other epochs of the lane, also those that have a successor, with the last number that is applied and safe, the one heard last first: for
   * a gateway that never wrote {@link epoch}, because a copy of it runs under the same name.
   */
  others: z
    .array(z.object({ epoch: epochSchema, floor: fields.count }))
    .max(limits.otherEpochsMax)
    .exactOptional(),
});

export type LaneFloor = z.infer<typeof laneFloorSchema>;

const floorMessageSchema = z.object({
  schema: z.literal(FLOOR_VERSION),
  site: nameSchema,
  gateway: nameSchema,
  /** Names the series of checkpoints that ordinals count in: a processor that starts without any begins a new series. */
  checkpoints: z.string().regex(/^[0-9a-f]{16}$/),
  /** Of the older of the two kept checkpoints, which everything here is taken from. Older messages of the same series are ignored. */
  ordinal: fields.number,
  stream: z.object({
    /** When the stream was created, as the server writes it; null: not seen yet. */
    created: z.string().max(64).nullable(),
    /** Sequence of the last message of the stream that is in the checkpoint; 0: none. */
    position: fields.count,
  }),
  lanes: z.object(
    Object.fromEntries(LANES.map((lane) => [lane, laneFloorSchema])) as Record<Lane, typeof laneFloorSchema>,
  ),
});

/**
 * What a processor tells a gateway every few seconds over core NATS: how far everything is safe, and what is missing. The gateway deletes
 * what lies behind it and sends again what is missing. Losing one is harmless, the next says the same and more.
 */
export type FloorMessage = z.infer<typeof floorMessageSchema>;

/** The bytes of a floor message: JSON in UTF-8. */
export const encodeFloorMessage = (message: FloorMessage): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(message));

/** Reads a floor message, or says why it is none. Never throws. */
export function decodeFloorMessage(
  bytes: Uint8Array,
): { readonly ok: true; readonly message: FloorMessage } | { readonly ok: false; readonly why: string } {
  if (bytes.length > limits.floorMessageBytesMax) return { ok: false, why: `it has ${bytes.length} bytes` };
  try {
    const parsed = floorMessageSchema.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
    if (parsed.success) return { ok: true, message: parsed.data };
    const issue = parsed.error.issues[0];
    return { ok: false, why: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}` };
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) };
  }
}
