import { createHash } from 'node:crypto';

import { nameSchema } from '@floorwatch/contracts';
import { httpConfigSchema, logLevelSchema, natsConfigSchema, tlsFilesSchema } from '@floorwatch/runtime';
import { z } from 'zod';

import { type Codec, CODECS } from './ingest/payload-codec.ts';
import { readingsConfigSchema } from './ingest/readings-config.ts';
import { sensorSharesSchema } from './ingest/sensor-shares.ts';
import { findWrongTemplate, type MetricInTopic } from './ingest/topic-template.ts';
import { unitsConfigSchema } from './ingest/units-config.ts';
import { limits } from './limits.ts';
import { engineConfigSchema } from './sensor-engine-config.ts';
import { storageConfigSchema } from './storage-config.ts';

const file = z.string().min(1);

/** A number names no metric, the fields of `metrics` always do, and of `auto` nobody knows. */
const METRIC_IN_TOPIC = {
  auto: 'needed',
  number: 'needed',
  json: 'allowed',
  batch: 'allowed',
  series: 'allowed',
  metrics: 'forbidden',
} as const satisfies Record<Codec, MetricInTopic>;

const embeddedSchema = z.strictObject({
  kind: z.literal('embedded'),
  host: z.string().min(1).default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).default(1883),
  usersFile: file.exactOptional(),
});

const externalSchema = z.strictObject({
  kind: z.literal('external'),
  url: z
    .url({ protocol: /^mqtts?$/, error: 'must be an address such as mqtt://127.0.0.1:1883 or mqtts://broker:8883' })
    .refine((url) => !url.includes('@'), 'must not hold a user or a password; use broker.user and broker.passwordFile'),
  clientId: z.string().min(1).max(128).exactOptional(),
  user: z.string().min(1).exactOptional(),
  passwordFile: file.exactOptional(),
  tls: tlsFilesSchema.exactOptional(),
});

const topicSchema = z
  .strictObject({
    topic: z.string(),
    codec: z.enum(CODECS).default('auto'),
    ignore: z.array(z.string().min(1)).max(limits.ignoredFieldsMax).exactOptional(),
  })
  .superRefine(({ topic, codec, ignore }, context) => {
    const wrong = findWrongTemplate(topic, METRIC_IN_TOPIC[codec]);
    if (wrong !== undefined) context.addIssue({ code: 'custom', path: ['topic'], message: wrong });
    if (ignore !== undefined && codec !== 'metrics') {
      context.addIssue({ code: 'custom', path: ['ignore'], message: 'is for codec metrics only' });
    }
  });

/** What a person may write into the agent's configuration file. `config.example.yaml` explains every field. */
export const agentConfigSchema = z
  .strictObject({
    site: nameSchema,
    gateway: nameSchema,
    logLevel: logLevelSchema,
    broker: z.preprocess(
      (broker) => (isKindMissing(broker) ? { kind: 'embedded', ...broker } : broker),
      z
        .discriminatedUnion('kind', [embeddedSchema, externalSchema], { error: brokerError })
        .prefault({ kind: 'embedded' }),
    ),
    topics: z
      .array(topicSchema)
      .min(1)
      .max(limits.topicTemplatesMax)
      .prefault([{ topic: 'sensors/{device}/{metric}' }]),
    readings: readingsConfigSchema.prefault({}),
    units: unitsConfigSchema.prefault({}),
    sensorsMax: z.number().int().min(1).max(200_000).default(20_000),
    sensorShares: sensorSharesSchema.prefault({}),
    engine: engineConfigSchema.prefault({}),
    storage: storageConfigSchema,
    nats: natsConfigSchema,
    http: httpConfigSchema(9464),
  })
  .superRefine(({ broker, http, topics }, context) => {
    if (broker.kind === 'embedded' && broker.port !== 0 && broker.port === http.port) {
      context.addIssue({ code: 'custom', path: ['http', 'port'], message: 'must not be the same as broker.port' });
    }
    if (broker.kind === 'external' && broker.tls !== undefined && !broker.url.startsWith('mqtts:')) {
      context.addIssue({
        code: 'custom',
        path: ['broker', 'url'],
        message: 'must begin with mqtts:// when broker.tls is set',
      });
    }
    for (const [index, { topic }] of topics.entries()) {
      if (topics.findIndex((other) => other.topic === topic) < index) {
        context.addIssue({ code: 'custom', path: ['topics', index, 'topic'], message: 'is in the list already' });
      }
    }
  });

/** The checked, complete form. */
export type AgentConfig = z.output<typeof agentConfigSchema>;

const isKindMissing = (broker: unknown): broker is object =>
  typeof broker === 'object' && broker !== null && !Array.isArray(broker) && !('kind' in broker);

function brokerError(issue: { readonly code?: string }): string | undefined {
  return issue.code === 'invalid_union' ? 'must have "kind: embedded" or "kind: external"' : undefined;
}

/** A hash of the configuration in force, without secrets because there are none in it: equal hashes, equal configuration. */
export const configHash = (config: AgentConfig): string =>
  createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
