import {
  days,
  type DurationMs,
  durationMs,
  hours,
  INGEST_STREAM,
  limits,
  parseSizeLabel,
  ROLLUP_MS,
  seconds,
  sizeLabel,
  WINDOW_SIZES_DEFAULT,
} from '@floorwatch/contracts';
import { httpConfigSchema, logLevelSchema, natsConfigSchema } from '@floorwatch/runtime';
import { z } from 'zod';

import { processorLimits } from './limits.ts';
import { storeConfigSchema } from './write/store-config.ts';

const MIB = 1024 * 1024;
const WINDOW_SIZE_MAX = days(7);
const WINDOW_SIZES_MAX = 8;

const windowSize = z.string().transform((label, context): DurationMs => {
  const size = parseSizeLabel(label);
  const fault =
    size === undefined
      ? 'is not a length of time; write it like 10s, 1m, 15m, 1h or 1d'
      : size % ROLLUP_MS !== 0
        ? `must be a multiple of ${ROLLUP_MS / 1_000} s, the length of a rollup`
        : size > WINDOW_SIZE_MAX
          ? `must be at most ${sizeLabel(WINDOW_SIZE_MAX)}`
          : undefined;
  if (fault !== undefined) context.addIssue({ code: 'custom', message: `${JSON.stringify(label)} ${fault}` });
  return durationMs(size ?? 0);
});

const unique = (list: readonly unknown[]): boolean => new Set(list).size === list.length;

const everyPartition = Array.from({ length: limits.partitions }, (_, partition) => partition);

const address = z.url({ protocol: /^[a-z]+$/, error: 'must be an address such as mqtt://gateway:1883' }).max(200);

/** What the page tells people who see no sensor yet. */
const gatewayHintSchema = z.strictObject({
  /** Where devices publish. */
  mqttUrl: address.exactOptional(),
  /** The agent's status page. */
  statusUrl: address.exactOptional(),
});
export type GatewayHint = z.output<typeof gatewayHintSchema>;

/**
 * What `config.example.yaml` explains field by field. Fields name the unit that a person writes; {@link ProcessorConfig} holds
 * durations.
 */
export const processorConfigSchema = z
  .strictObject({
    nats: natsConfigSchema,
    stream: z
      .strictObject({
        /** MiB that the stream may hold before the server drops its oldest messages. */
        sizeMaxMb: z
          .number()
          .int()
          .min(16)
          .max(16 * 1024 * 1024)
          .default(INGEST_STREAM.bytesMaxDefault / MIB),
        /** Hours after which the server drops a message. */
        ageMaxHours: z
          .number()
          .int()
          .min(1)
          .max(24 * 365)
          .default(INGEST_STREAM.ageMaxDefault / hours(1)),
        /** Servers of the cluster that keep a copy. */
        replicas: z.number().int().min(1).max(5).default(1),
      })
      .prefault({}),
    /** Which of the 16 partitions this processor works on. */
    partitions: z
      .array(
        z
          .number()
          .int()
          .min(0)
          .max(limits.partitions - 1),
      )
      .min(1)
      .refine(unique, 'must not name a partition twice')
      .default(everyPartition),
    /** Folder of the checkpoints; made if it is missing. One processor owns it. */
    dataDir: z.string().min(1),
    deadLetters: z
      .strictObject({
        /** MiB of disk for batches and rows that could not be used; the oldest go first. */
        sizeMaxMb: z.number().int().min(16).max(65_536).default(64),
      })
      .prefault({}),
    windows: z
      .strictObject({
        sizes: z
          .array(windowSize)
          .min(1)
          .max(WINDOW_SIZES_MAX)
          .refine(unique, 'must not name a size twice')
          .prefault(WINDOW_SIZES_DEFAULT.map(sizeLabel)),
        /** Seconds that a window stays open after its gateway's watermark has passed its end. */
        allowedLatenessSeconds: z
          .number()
          .min(0)
          .max(7 * 86_400)
          .default(30),
      })
      .prefault({}),
    checkpoint: z
      .strictObject({
        /** Seconds between two checkpoints while something changes. */
        intervalSeconds: z.number().min(0.1).max(60).default(2),
      })
      .prefault({}),
    floors: z
      .strictObject({
        /** Seconds between two messages that tell every gateway how far everything is safe, whether that has changed or not. */
        intervalSeconds: z.number().min(0.1).max(60).default(5),
      })
      .prefault({}),
    live: z
      .strictObject({
        /** Seconds between two rounds of running values; 0: none are written. */
        intervalSeconds: z.number().min(0).max(3_600).default(5),
      })
      .prefault({}),
    store: storeConfigSchema,
    http: httpConfigSchema(8080),
    gateway: gatewayHintSchema.prefault({}),
    logLevel: logLevelSchema,
  })
  .superRefine(({ stream, windows }, context) => {
    const openSeconds = Math.max(...windows.sizes) / 1_000 + windows.allowedLatenessSeconds;
    if (openSeconds > stream.ageMaxHours * 3_600) {
      context.addIssue({
        code: 'custom',
        path: ['stream', 'ageMaxHours'],
        message:
          `${stream.ageMaxHours} must be at least the largest of windows.sizes plus windows.allowedLatenessSeconds (${openSeconds} s): ` +
          'a window that is open for longer than the stream holds its records could not be made again',
      });
    }
  })
  .superRefine(({ windows: { sizes, allowedLatenessSeconds } }, context) => {
    const { openWindowsPerPartitionMax: windowsMax, sensorsPerPartitionMin } = processorLimits;
    // Those that are behind the watermark and not sealed, the one at it, and the one that is ahead.
    const perSensor = sizes.reduce((sum, size) => sum + Math.ceil((allowedLatenessSeconds * 1_000) / size) + 2, 0);
    const sensors = Math.floor(windowsMax / perSensor);
    if (sensors >= sensorsPerPartitionMin) return;
    context.addIssue({
      code: 'custom',
      path: ['windows', 'allowedLatenessSeconds'],
      message:
        `${allowedLatenessSeconds} with windows.sizes ${sizes.map(sizeLabel).join(', ')} keeps ${perSensor} windows of each sensor open, and a partition ` +
        `has room for ${windowsMax}: for ${sensors} sensors; lower it, or leave out the smallest size, until there is room for ${sensorsPerPartitionMin}`,
    });
  })
  .transform(({ stream, windows, checkpoint, floors, live, deadLetters, ...rest }) => ({
    ...rest,
    deadLetterBytesMax: deadLetters.sizeMaxMb * MIB,
    stream: {
      bytesMax: stream.sizeMaxMb * MIB,
      ageMax: hours(stream.ageMaxHours),
      replicas: stream.replicas,
    },
    windows: {
      sizes: windows.sizes,
      allowedLateness: durationMs(Math.round(seconds(windows.allowedLatenessSeconds))),
    },
    checkpointInterval: durationMs(Math.round(seconds(checkpoint.intervalSeconds))),
    floorInterval: durationMs(Math.round(seconds(floors.intervalSeconds))),
    liveInterval: durationMs(Math.round(seconds(live.intervalSeconds))),
  }));

/** The checked, complete form. */
export type ProcessorConfig = z.output<typeof processorConfigSchema>;
