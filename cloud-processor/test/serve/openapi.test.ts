import { epochMs } from '@floorwatch/contracts';
import { describe, expect, test, vi } from 'vitest';
import { z } from 'zod';

import { resourcesPerSuite, waitFor } from '../../../tests/support/index.ts';
import { noCounts, type ReprocessStatus } from '../../src/reprocess/reprocess-state.ts';
import { type AnswerName, answerSchemas } from '@floorwatch/contracts/api';
import { type Operation, type OperationName, OPERATIONS } from '../../src/serve/operations.ts';
import { StoreError } from '../../src/write/store.ts';
import { BASE } from '../support/floor.ts';
import type { VerifyStatus } from '@floorwatch/contracts/api';
import { SENSOR_ID, startDescribed } from './described-processor.ts';
import { makeApp } from './floor-fixture.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const resources = resourcesPerSuite();

interface Description {
  readonly openapi: string;
  readonly security: readonly unknown[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonValue>> };
}

interface DescribedOperation {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[];
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { schema: JsonValue }>> }>>;
}

interface JsonSchema {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
}

type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

const describedBy = async (options: Parameters<typeof makeApp>[0] = {}): Promise<Description> => {
  const headers = options?.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  return (await makeApp(options).app.request('/api/v1/openapi.json', { headers })).json() as Promise<Description>;
};

/** With everything that it refers to in its place, so that it stands alone. */
function resolved(value: JsonValue, all: Description['components']['schemas']): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => resolved(item, all));
  if (typeof value !== 'object' || value === null) return value;
  const object = value as { readonly [name: string]: JsonValue };
  const ref = object['$ref'];
  if (typeof ref === 'string') {
    const target = all[ref.replace('#/components/schemas/', '')];
    if (target === undefined) throw new Error(`${ref} leads nowhere`);
    return resolved(target, all);
  }
  return Object.fromEntries(Object.entries(object).map(([name, item]) => [name, resolved(item, all)]));
}

const schemaOf = (json: JsonValue, description: Description): z.ZodType =>
  z.fromJSONSchema(resolved(json, description.components.schemas) as Parameters<typeof z.fromJSONSchema>[0]);

/** An answer is as it is described: by the served description, and with no field that it does not name. */
async function expectDescribed(name: OperationName, response: Response, description: Description): Promise<unknown> {
  const { path: address, method, answers }: Operation = OPERATIONS[name];
  const type = response.headers.get('content-type')?.split(';')[0] ?? '';
  const described = description.paths[address]?.[method]?.responses[response.status]?.content[type];
  const text = await response.text();
  expect(described, `${name} answered ${response.status} ${type}: ${text.slice(0, 300)}`).toBeDefined();
  if (type === 'application/vnd.apache.parquet' || type === 'text/plain') return text;
  const everywhere = { 401: 'Failure', 403: 'Failure', 500: 'Failure' } as const;
  const strict = (answers[response.status]?.content[type] ?? everywhere[response.status as keyof typeof everywhere]) as
    | AnswerName
    | 'text';
  const parts = type === 'application/x-ndjson' ? text.trimEnd().split('\n') : [text];
  const open = schemaOf(described?.schema ?? {}, description);
  for (const part of parts) {
    const value: unknown = JSON.parse(part);
    if (strict !== 'text') answerSchemas[strict].parse(value);
    open.parse(value);
  }
  return JSON.parse(parts[0] ?? '');
}

/** An address with the values of its parts and its query. */
const addressOf = (name: OperationName, query = '', id = 'none'): string =>
  `${OPERATIONS[name].path.replace('{id}', encodeURIComponent(id))}${query}`;

/** A run that has not found anything yet. */
const IDLE: ReprocessStatus = {
  state: 'running',
  from: epochMs(0),
  to: epochMs(1),
  dryRun: false,
  startedAt: 0,
  endedAt: null,
  partitions: { done: 0, total: 16 },
  now: null,
  counts: noCounts(),
  gateways: [],
  problems: [],
};
const verifier = { start: () => 'started' as const, status: undefined, stop: async () => false };
const VERIFYING: VerifyStatus = {
  state: 'running',
  request: {},
  startedAt: epochMs(0),
  endedAt: null,
  progress: { done: 0, total: 0, now: null },
  report: null,
  problem: null,
};
const reprocessor = { start: () => 'started' as const, status: undefined, stop: async () => false };

test('every route of the program is described, and every described one is there', async () => {
  const deadLetters = {
    letters: { list: () => ({ items: [], next: null }), get: async () => undefined, settle: async () => false },
    retry: async () => ({ kind: 'retried' }) as const,
  };
  const { app } = makeApp({ deadLetters, reprocessor, verifier });
  const there = app.routes
    // Of all methods: what is done for every request. The star: files of the console page.
    .filter(({ method, path: route }) => method !== 'ALL' && route !== '*' && route !== '/*')
    .map(({ method, path: route }) => `${method.toLowerCase()} ${route.replaceAll(/:(\w+)/g, '{$1}')}`);
  const { paths } = await describedBy();
  const described = Object.entries(paths).flatMap(([route, methods]) =>
    Object.keys(methods).map((method) => `${method} ${route}`),
  );
  expect([...new Set(there)].sort()).toEqual(described.sort());
  expect(there.length).toBeGreaterThan(18);
});

test('other methods of every described address are answered with 405 and Allow', async () => {
  const deadLetters = {
    letters: { list: () => ({ items: [], next: null }), get: async () => undefined, settle: async () => false },
    retry: async () => ({ kind: 'retried' }) as const,
  };
  const { app } = makeApp({ deadLetters, reprocessor, verifier });
  const { paths } = await describedBy();
  for (const [address, described] of Object.entries(paths)) {
    const methods = Object.keys(described).map((method) => method.toUpperCase());
    const allowed = new Set([...methods, ...(methods.includes('GET') ? ['HEAD'] : [])]);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']) {
      if (allowed.has(method)) continue;
      const response = await app.request(address.replace('{id}', 'one'), { method });
      const told = response.headers.get('allow')?.split(', ');
      expect([address, method, response.status, told?.sort()]).toEqual([address, method, 405, [...allowed].sort()]);
      answerSchemas.Failure.parse(await response.json());
    }
  }
  expect((await app.request('/api/v1/nothing', { method: 'POST' })).status).toBe(404);
});

test('an instant is taken as described: as a number, to the second, to the minute or a day', async () => {
  const { app } = makeApp({});
  const status = async (from: string): Promise<number> =>
    (await app.request(`/api/v1/anomalies?${String(new URLSearchParams({ from }))}`)).status;
  const furthest = 8_640_000_000_000_000;
  for (const from of [String(-furthest), '2026-03-01T08:00:00.123456789012+01:00', '2026-03-01T08:00Z', '2024-02-29']) {
    expect([from, await status(from)]).toEqual([from, 200]);
  }
  for (const from of [String(furthest + 1), '2026-02-29', '2026-03-01T24:00Z', '2026-03-01T08:00', '2026-3-1']) {
    expect([from, await status(from)]).toEqual([from, 400]);
  }
});

test('the description is OpenAPI 3.1, all of its references lead somewhere, and it says whether a token is needed', async () => {
  const description = await describedBy();
  expect(description.openapi).toMatch(/^3\.1\.\d+$/);
  expect(() => resolved(description as unknown as JsonValue, description.components.schemas)).not.toThrow();
  expect(description.security).toEqual([]);
  const guarded = await describedBy({ token: 'secret' });
  expect(guarded.security).toEqual([{ bearer: [] }]);
  expect(guarded.components).toMatchObject({ securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } });
  expect(JSON.stringify(guarded)).not.toContain('secret');
});

describe('parameters are taken and refused as described', async () => {
  const SENSOR = 'a/b/c/d';
  const NEEDED: Partial<Record<OperationName, Readonly<Record<string, string>>>> = {
    rollups: { sensor: SENSOR },
    sparklines: { sensor: SENSOR },
    windows: { sensor: SENSOR, size: '1m' },
    exportWindows: { from: '0', to: '1' },
    exportAnomalies: { from: '0', to: '1' },
    startReprocess: { from: '0', to: '1' },
  };
  /** Values just inside and just outside of a schema. */
  function samples({ type, minimum, maximum, maxLength, maxItems, enum: values }: JsonSchema) {
    const good: string[] = [];
    const bad: string[] = [];
    if (values !== undefined) {
      good.push(...values);
      bad.push('something-else');
    } else if (type === 'integer' && minimum !== undefined && maximum !== undefined) {
      good.push(String(minimum), String(maximum));
      bad.push(String(minimum - 1), String(maximum + 1), `${minimum}.5`);
    } else if (type === 'string' && maxLength !== undefined) {
      bad.push('x'.repeat(maxLength + 1));
    } else if (type === 'array' && maxItems !== undefined) {
      bad.push(Array.from({ length: maxItems + 1 }, () => SENSOR).join('&'));
    }
    return { good, bad };
  }
  const { paths } = await describedBy();
  const cases = Object.entries<Operation>(OPERATIONS).flatMap(([name, { path: address, method }]) =>
    (paths[address]?.[method]?.parameters ?? [])
      .filter((parameter) => parameter.in === 'query')
      .map(({ name: parameter, schema }) => [name as OperationName, parameter, schema] as const),
  );

  test.each(cases)('%s: %s', async (name, parameter, schema) => {
    const { app } = makeApp({
      deadLetters: {
        letters: { list: () => ({ items: [], next: null }), get: async () => undefined, settle: async () => false },
        retry: async () => ({ kind: 'retried' }) as const,
      },
      reprocessor: { ...reprocessor, status: IDLE },
      verifier: { ...verifier, status: VERIFYING },
    });
    const method = OPERATIONS[name].method.toUpperCase();
    const status = async (value: string): Promise<number> => {
      const query = new URLSearchParams(NEEDED[name] ?? {});
      query.delete(parameter);
      for (const one of value.split('&')) query.append(parameter, one);
      const response = await app.request(addressOf(name, `?${query.toString()}`), { method });
      await response.body?.cancel();
      return response.status === 202 ? 200 : response.status;
    };
    const { good, bad } = samples(schema);
    for (const value of good) expect([value, await status(value)]).toEqual([value, value === 'parquet' ? 501 : 200]);
    for (const value of bad) expect([value.slice(0, 50), await status(value)]).toEqual([value.slice(0, 50), 400]);
    const twice = schema.type === 'array' ? 'a/b/c&a' : '1&1';
    expect(await status(twice)).toBe(400);
  });

  test('there are as many as addresses have', () => {
    expect(cases.length).toBeGreaterThan(40);
  });
});

describe('answers of a running processor are as described', () => {
  test('of every address, errors included', async () => {
    const { program, origin } = await startDescribed(resources);
    const description = (await (await fetch(`${origin}/api/v1/openapi.json`)).json()) as Description;
    const seen = new Map<OperationName, Set<number>>();
    const ask = async (name: OperationName, query = '', id?: string): Promise<{ items: { id: string }[] }> => {
      const method = OPERATIONS[name].method.toUpperCase();
      const response = await fetch(`${origin}${addressOf(name, query, id)}`, { method });
      seen.set(name, (seen.get(name) ?? new Set()).add(response.status));
      return (await expectDescribed(name, response, description)) as { items: { id: string }[] };
    };

    const ofSensor = `?sensor=${encodeURIComponent(SENSOR_ID)}`;
    const range = `from=${BASE}&to=${BASE + 3_600_000}`;
    await waitFor('all is stored', async () => {
      const windows = await ask('windows', `${ofSensor}&size=1m&${range}`);
      const anomalies = await ask('anomalies', '?limit=1');
      const letters = await ask('deadLetters');
      return windows.items.length === 5 && anomalies.items.length === 1 && letters.items.length === 2;
    });
    for (const name of ['health', 'metrics', 'description', 'about', 'processor', 'sites'] as const) await ask(name);
    expect((await ask('sensors', '?limit=1')).items).toHaveLength(1);
    expect((await ask('rollups', ofSensor)).items.length).toBeGreaterThan(1);
    expect((await ask('sparklines', ofSensor)).items).toHaveLength(1);
    await ask('exportWindows', `?${range}`);
    await ask('exportWindows', `?${range}&format=parquet`);
    await ask('exportAnomalies', `?${range}`);
    await ask('exportAnomalies', `?${range}&format=parquet`);
    const [first, second] = (await ask('deadLetters')).items;
    await ask('deadLetter', '', first?.id);
    await ask('retryDeadLetter', '', first?.id);
    await ask('dropDeadLetter', '', second?.id);
    for (const name of ['deadLetter', 'retryDeadLetter', 'dropDeadLetter'] as const) await ask(name);
    for (const [name, operation] of Object.entries<Operation>(OPERATIONS)) {
      if (operation.answers[400] !== undefined) await ask(name as OperationName, '?colour=red');
    }
    await waitFor('a message is known', async () => {
      await ask('agreeRetention', '?before=1900-01-01');
      return seen.get('agreeRetention')?.has(200) === true;
    });
    await ask('retention');
    await ask('reprocess');
    await ask('stopReprocess');
    await waitFor('reprocessing begins', async () => {
      await ask('startReprocess', `?${range}`);
      return seen.get('startReprocess')?.has(202) === true;
    });
    await ask('startReprocess', `?${range}`);
    await ask('reprocess');
    await ask('stopReprocess');
    await ask('stopVerify');
    await ask('startVerify', `?${range}`);
    await ask('startVerify', `?${range}`);
    await ask('stopVerify');
    await ask('startVerify', `?${range}`);
    await waitFor('it has been verified', async () => {
      const status = (await ask('verify')) as unknown as VerifyStatus;
      return status.state === 'done' && status.report?.gateways.length === 1;
    });
    const live = await fetch(`${origin}/api/v1/live`);
    expect([live.status, live.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    await live.body?.cancel();
    // The live feed has no end that could be read; a reset and its other events have tests of their own.
    const isAsked = (name: OperationName): boolean => [200, 202].some((status) => seen.get(name)?.has(status) === true);
    const notAsked = (Object.keys(OPERATIONS) as OperationName[]).filter((name) => !isAsked(name));
    expect(notAsked).toEqual(['live']);
    expect(await program.stop('SIGINT')).toEqual({ code: 0, signal: null });
  });

  test('also where something is wrong', async () => {
    const away = () => Promise.reject(new StoreError('unreachable', 'away'));
    const lost = () => Promise.reject(new Error('lost'));
    const range = '?from=0&to=1';
    for (const [fail, status] of [
      [away, 503],
      [lost, 500],
    ] as const) {
      const store = { windows: fail, windowsByTime: fail, anomalies: fail };
      const health = () => ({ ok: false, parts: { store: 'away' } });
      const { app } = makeApp({ store, health });
      const description = await describedBy();
      for (const [name, query] of [
        ['windows', '?sensor=a/b/c/d&size=1m'],
        ['anomalies', ''],
        ['exportWindows', range],
        ['exportAnomalies', range],
      ] as const) {
        const response = await app.request(addressOf(name, query));
        expect(response.status).toBe(status);
        await expectDescribed(name, response, description);
      }
      await expectDescribed(
        'exportWindows',
        await app.request(addressOf('exportWindows', `${range}&format=parquet`)),
        description,
      );
      await expectDescribed('health', await app.request('/healthz'), description);
      const foreign = await app.request('http://evil.example/api/v1/sites');
      expect(foreign.status).toBe(403);
      await expectDescribed('sites', foreign, description);
    }
    const guarded = makeApp({ token: 'secret' });
    const response = await guarded.app.request('/api/v1/sensors');
    expect(response.status).toBe(401);
    await expectDescribed('sensors', response, await describedBy({ token: 'secret' }));
    await expectDescribed('health', await guarded.app.request('/healthz'), await describedBy({ token: 'secret' }));
  });
});
