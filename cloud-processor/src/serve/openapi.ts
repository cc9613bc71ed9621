import { isDeepStrictEqual } from 'node:util';

import { VERSION } from '@floorwatch/runtime';
import { z } from 'zod';

import { type AnswerName, answerSchemas } from '@floorwatch/contracts/api';
import { type AnswerSpec, type Operation, OPERATIONS } from './operations.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The served description of everything in {@link OPERATIONS}: OpenAPI 3.1.
 *
 * @param sizes the windows that the processor makes, as `1m`.
 */
export function describeApi(tokenNeeded: boolean, sizes: readonly string[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const [operationId, operation] of Object.entries<Operation>(OPERATIONS)) {
    (paths[operation.path] ??= {})[operation.method] = describe(operationId, operation, tokenNeeded, sizes);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'floorwatch processor',
      version: VERSION,
      description:
        'Windows, anomalies and the state of a floor. Read-only but for dead letters, reprocess, verify and retention. Times are epoch milliseconds.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: tokenNeeded ? [{ bearer: [] }] : [],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            'The token of http.tokenFile or FLOORWATCH_HTTP_TOKEN; without one only this machine is answered',
        },
      },
    },
  };
}

function describe(
  operationId: string,
  operation: Operation,
  tokenNeeded: boolean,
  sizes: readonly string[],
): JsonObject {
  const { path, what, query, answers, open } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query).map(([name, { schema, what: description, required }]) => ({
    name,
    in: 'query',
    description,
    required: required ?? false,
    schema: schema === 'size' ? { type: 'string', enum: sizes } : withoutSchemaKey(z.toJSONSchema(schema, JSON_SCHEMA)),
  }));
  const everywhere: Record<number, AnswerSpec> = {
    403: { what: 'not a name of this machine, or not for pages', content: { 'application/json': 'Failure' } },
    431: { what: 'the address and the headers are longer than 16 KiB together', content: {} },
    500: { what: 'the log says why', content: { 'application/json': 'Failure' } },
  };
  if (open !== true && tokenNeeded) {
    everywhere[401] = { what: 'the token is missing or wrong', content: { 'application/json': 'Failure' } };
  }
  const all = Object.entries({ ...everywhere, ...answers });
  return {
    operationId,
    summary: what,
    ...(open === true ? { security: [] } : {}),
    parameters: [...inPath, ...inQuery],
    responses: Object.fromEntries(all.map(([status, answer]) => [status, describeAnswer(answer)])),
  };
}

const describeAnswer = ({ what, content }: AnswerSpec): JsonObject => ({
  description: what,
  content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema: reference(schema) }])),
});

function reference(schema: AnswerSpec['content'][string]): JsonObject {
  if (schema === 'binary') return {};
  return schema === 'text' ? { description: 'Not described further' } : { $ref: uriOf(schema) };
}

const uriOf = (id: string): string => `#/components/schemas/${id}`;

function componentSchemas(): JsonObject {
  const registry = z.registry<{ id: AnswerName }>();
  for (const [id, schema] of Object.entries(answerSchemas)) registry.add(schema, { id: id as AnswerName });
  const { schemas } = z.toJSONSchema(registry, {
    ...JSON_SCHEMA,
    uri: uriOf,
  });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutSchemaKey(schema)]));
}

const JSON_SCHEMA = {
  io: 'input',
  override: ({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void => {
    // Later releases may add fields.
    if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    // A pair of equals as a list of two: tools that know older dialects can't read `prefixItems`.
    const [first, ...others] = jsonSchema.prefixItems ?? [];
    if (first === undefined || !others.every((other) => isDeepStrictEqual(other, first))) return;
    delete jsonSchema.prefixItems;
    Object.assign(jsonSchema, { items: first, minItems: others.length + 1, maxItems: others.length + 1 });
  },
} as const;

/** OpenAPI says once for all which dialect its schemas are in. */
function withoutSchemaKey({ $schema: _schema, $id: _id, '~standard': _standard, ...rest }: JsonObject): JsonObject {
  return rest;
}
