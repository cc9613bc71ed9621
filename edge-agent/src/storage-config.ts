import { hours, minutes, seconds } from '@floorwatch/contracts';
import { z } from 'zod';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const bytesMax = (fallback: number) =>
  z
    .number()
    .int()
    .min(MIB)
    .max(1024 * GIB)
    .default(fallback);

const lane = (fallback: { readonly bytesMax: number; readonly whenFull: 'refuse' | 'drop-unsent' }) =>
  z
    .strictObject({
      bytesMax: bytesMax(fallback.bytesMax),
      whenFull: z.enum(['refuse', 'drop-unsent']).default(fallback.whenFull),
    })
    .prefault({});

/** What the two kinds of disk differ in. An SD card wears with every commit and every snapshot. */
const PROFILES = {
  standard: { commitMs: 5, snapshotMs: minutes(1) },
  'sd-card': { commitMs: seconds(1), snapshotMs: minutes(10) },
} as const;

/** The section `storage` of the configuration: where and how the agent keeps what must survive. */
export const storageConfigSchema = z
  .strictObject({
    dataDir: z.string().min(1),
    durability: z.enum(['power', 'process']).default('power'),
    profile: z.enum(['standard', 'sd-card']).default('standard'),
    commitMs: z.number().min(0).max(seconds(10)).exactOptional(),
    journalBytesMax: bytesMax(256 * MIB),
    anomaly: lane({ bytesMax: 256 * MIB, whenFull: 'refuse' }),
    telemetry: lane({ bytesMax: GIB, whenFull: 'drop-unsent' }),
    trimGraceMs: z.number().int().min(0).max(hours(24)).default(minutes(5)),
    snapshotMs: z.number().int().min(seconds(1)).max(hours(24)).exactOptional(),
    snapshotReadings: z.number().int().min(1_000).max(100_000_000).default(500_000),
  })
  .transform((storage) => ({ ...storage, ...PROFILES[storage.profile], ...given(storage) }));

function given({ commitMs, snapshotMs }: { readonly commitMs?: number; readonly snapshotMs?: number }) {
  return { ...(commitMs !== undefined && { commitMs }), ...(snapshotMs !== undefined && { snapshotMs }) };
}
