import { BUCKETS, days, type DurationMs, hours } from '@floorwatch/contracts';
import { z } from 'zod';

const HOURS_PER_DAY = 24;

/** How long rows are kept, for either store. */
const retention = {
  /** Days that windows, anomalies, late counts and gateway reports are kept; 0: for ever. */
  retentionDays: z
    .number()
    .int()
    .min(0)
    .max(36_500)
    .default(BUCKETS.main.retentionDefault / hours(HOURS_PER_DAY)),
  /** Hours that running values of open windows are kept. InfluxDB drops nothing younger than an hour. */
  liveRetentionHours: z
    .number()
    .int()
    .min(1)
    .max(8_760)
    .default(BUCKETS.live.retentionDefault / hours(1)),
};

const duckdbSchema = z.strictObject({
  kind: z.literal('duckdb'),
  /** The database file; its folder is made if it is missing. One process owns it. */
  file: z.string().min(1),
  /** What DuckDB may use for tables and queries, in MiB. */
  memoryLimitMb: z.number().int().min(64).max(1_048_576).default(256),
  ...retention,
});

const bucketName = z
  .string()
  .min(1)
  .max(128)
  .regex(
    /^[^_"\\\p{Cc}][^"\\\p{Cc}]*$/u,
    'must not begin with "_", nor hold quotes, backslashes or control characters',
  );

const influxdbSchema = z.strictObject({
  kind: z.literal('influxdb'),
  /** Address of InfluxDB 2. */
  url: z
    .url({ protocol: /^https?$/, error: 'must be an address such as http://127.0.0.1:8086' })
    .refine((url) => !url.includes('@'), 'must not hold a user or a password; use store.tokenFile'),
  org: z.string().min(1).max(128),
  bucket: bucketName.default(BUCKETS.main.name),
  liveBucket: bucketName.default(BUCKETS.live.name),
  /** File with the API token; without it the environment variable FLOORWATCH_INFLUX_TOKEN counts. */
  tokenFile: z.string().min(1).exactOptional(),
  /** Whether set-up may make the first user and token of a server that was never used. */
  onboard: z.boolean().default(false),
  /** Longest time that one request may take, in milliseconds. */
  timeoutMs: z.number().int().min(100).max(600_000).default(30_000),
  /** How long after it was sent a request whose answer was lost may still be carried out, in milliseconds. */
  lingerMs: z.number().int().min(0).max(600_000).default(60_000),
  ...retention,
});

/** Where windows and anomalies are kept. Opens nothing. */
export const storeConfigSchema = z
  .discriminatedUnion('kind', [duckdbSchema, influxdbSchema], { error: 'must have a kind: duckdb or influxdb' })
  .refine((config) => config.kind !== 'influxdb' || config.bucket !== config.liveBucket, {
    path: ['liveBucket'],
    message: 'must be another bucket than store.bucket, because its rows are dropped after hours',
  });

export type StoreConfig = z.output<typeof storeConfigSchema>;
export type DuckdbStoreConfig = Extract<StoreConfig, { kind: 'duckdb' }>;
export type InfluxdbStoreConfig = Extract<StoreConfig, { kind: 'influxdb' }>;

/** The configured times as durations. */
export const retentionOf = (
  config: Pick<StoreConfig, 'retentionDays' | 'liveRetentionHours'>,
): { readonly main: DurationMs; readonly live: DurationMs } => ({
  main: days(config.retentionDays),
  live: hours(config.liveRetentionHours),
});
