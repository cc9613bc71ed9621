import { limits, NAME_PATTERN, SENSOR_STATES, SEVERITIES } from '@floorwatch/contracts';
import { z } from 'zod';

import type { AnswerName } from '@floorwatch/contracts/api';
import { serveLimits } from './limits.ts';
import { INSTANT_MAX, instantText } from './query-reader.ts';

/** A query parameter. */
export interface ParameterSpec {
  /** `size`: one of those that the processor makes. */
  readonly schema: z.ZodType | 'size';
  readonly what: string;
  readonly required?: true;
}

/** What an address answers with one status. */
export interface AnswerSpec {
  readonly what: string;
  /** Its media types, each with the schema of the whole answer, or of one of its lines. */
  readonly content: Readonly<Record<string, AnswerName | 'text' | 'binary'>>;
}

/** One address with one method: what it takes and answers. The description that is served is made of these. */
export interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  /** As in OpenAPI: a part of the address in braces. */
  readonly path: string;
  readonly what: string;
  readonly query: Readonly<Record<string, ParameterSpec>>;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** Whether it needs the token, if one is set. */
  readonly open?: true;
}

/** Longest key of a page that a store makes. */
export const PAGE_KEY_MAX = 512;

export const EXPORT_FORMATS = ['ndjson', 'parquet'] as const;

const idText = z
  .string()
  .max(4 * limits.nameLengthMax + 3)
  .regex(new RegExp(`^${Array.from({ length: 4 }, () => NAME_PATTERN).join('/')}$`));
const name = (what: string): ParameterSpec => ({ schema: z.string().min(1).max(limits.nameLengthMax), what });
const instant = (what: string): ParameterSpec => ({
  schema: z.union([z.int().min(-INSTANT_MAX).max(INSTANT_MAX), ...instantText]),
  what: `${what}: epoch milliseconds, or ISO 8601 with a zone`,
});
const sensors = (max: number, what: string, min = 0): ParameterSpec => ({
  schema: z.array(idText).min(min).max(max),
  what,
});
const must = (spec: ParameterSpec): ParameterSpec => ({ ...spec, required: true });

const sensor: ParameterSpec = { schema: idText, what: 'id of a sensor: site/gateway/device/metric' };
const limit: ParameterSpec = {
  schema: z.int().min(1).max(limits.pageRowsMax).default(serveLimits.pageRowsDefault),
  what: 'items in a page',
};
const after = (lengthMax: number = limits.nameLengthMax): ParameterSpec => ({
  schema: z.string().min(1).max(lengthMax),
  what: '`next` of the page before',
});
const page = { limit, after: after() };
const range = { from: instant('first instant'), to: instant('the instant behind the last') };
const series = { sensor, site: name('only of this site'), gateway: name('only of this gateway') };
const size: ParameterSpec = { schema: 'size', what: 'one of `windowSizes` of /api/v1' };
const severity: ParameterSpec = { schema: z.enum(SEVERITIES), what: 'only of this severity' };
const open: ParameterSpec = { schema: z.enum(['true']), what: 'only episodes that have not closed' };
const exported = {
  format: { schema: z.enum(EXPORT_FORMATS).default('ndjson'), what: 'lines of JSON, or a file' },
  from: must(range.from),
  to: must(instant(`the instant behind the last, at most ${serveLimits.exportRangeMs / 86_400_000} days after from`)),
  ...series,
};

const json = (what: string, schema: AnswerName): AnswerSpec => ({ what, content: { 'application/json': schema } });
const wrong = { 400: json('a parameter is wrong', 'WrongParameter') };
const busy = { 503: json('the store cannot be asked now, or too much is being asked', 'Unavailable') };
const missing = { 404: json('there is none', 'Failure') };

const list = (
  path: string,
  what: string,
  schema: AnswerName,
  query: Operation['query'],
  more: Operation['answers'] = {},
) => ({ method: 'get', path, what, query, answers: { 200: json('one page', schema), ...wrong, ...more } }) as const;

const exportOf = (path: string, what: string, line: AnswerName, query: Operation['query']) =>
  ({
    method: 'get',
    path,
    what,
    query: { ...exported, ...query },
    answers: {
      200: {
        what: 'All of it. Lines of JSON are complete only with the line `end`, a file only with its whole length',
        content: { 'application/x-ndjson': line, 'application/vnd.apache.parquet': 'binary' },
      },
      ...wrong,
      501: json('this store makes no Parquet', 'Unsupported'),
      ...busy,
    },
  }) as const;

/** Everything that the processor answers but for the files of the console page. */
export const OPERATIONS = {
  health: {
    method: 'get',
    path: '/healthz',
    what: 'Whether the processor can do its work; with a token set without its parts',
    query: {},
    answers: { 200: json('it can', 'BareHealth'), 503: json('it can not', 'BareHealth') },
    open: true,
  },
  metrics: {
    method: 'get',
    path: '/metrics',
    what: 'Counters and gauges in the text format of Prometheus',
    query: {},
    answers: { 200: { what: 'the metrics', content: { 'text/plain': 'text' } } },
  },
  description: {
    method: 'get',
    path: '/api/v1/openapi.json',
    what: 'This description',
    query: {},
    answers: { 200: { what: 'OpenAPI 3.1', content: { 'application/json': 'text' } }, ...wrong },
  },
  about: {
    method: 'get',
    path: '/api/v1',
    what: 'What answers here: version, clock, window sizes',
    query: {},
    answers: { 200: json('the processor', 'About'), ...wrong },
  },
  processor: {
    method: 'get',
    path: '/api/v1/processor',
    what: "The processor's own state: positions, counters, newest dead letters",
    query: {},
    answers: { 200: json('its state', 'Processor'), ...wrong },
  },
  sites: list('/api/v1/sites', 'Sites and their gateways', 'Sites', page),
  sensors: list('/api/v1/sensors', 'Sensors with their newest value and state', 'Sensors', {
    sensor: sensors(serveLimits.sparklinesMax, 'only these'),
    site: series.site,
    gateway: series.gateway,
    device: name('only of this device'),
    state: { schema: z.enum(SENSOR_STATES), what: 'only in this state' },
    search: name('only ids that contain this text, in any case'),
    limit,
    after: { ...after(), schema: idText },
  }),
  rollups: list('/api/v1/rollups', 'The last half hour of one sensor, in points of 10 s', 'Rollups', {
    sensor: must(sensor),
    ...range,
    limit,
    after: instant('`next` of the page before'),
  }),
  sparklines: list('/api/v1/sparklines', 'The newest values of many sensors, for small charts', 'Sparklines', {
    sensor: must(sensors(serveLimits.sparklinesMax, 'of these', 1)),
    points: {
      schema: z.int().min(1).max(serveLimits.pointsPerSensorMax).default(serveLimits.sparklinePointsDefault),
      what: 'values of each',
    },
  }),
  windows: list(
    '/api/v1/windows',
    'Windows of one sensor, sealed and open, oldest first',
    'Windows',
    { sensor: must(sensor), size: must(size), ...range, limit, after: instant('`next` of the page before') },
    busy,
  ),
  anomalies: list(
    '/api/v1/anomalies',
    'Anomaly episodes, the latest opened first',
    'Anomalies',
    { sensor, severity, open, ...range, limit, after: after(PAGE_KEY_MAX) },
    busy,
  ),
  exportWindows: exportOf(
    '/api/v1/export/windows',
    'Sealed windows of a range of time, all at once; lines by start, sensor and size',
    'WindowLine',
    { size },
  ),
  exportAnomalies: exportOf(
    '/api/v1/export/anomalies',
    'Anomaly episodes of a range of time, all at once; lines the latest opened first',
    'AnomalyLine',
    { severity, open },
  ),
  live: {
    method: 'get',
    path: '/api/v1/live',
    what:
      'Changes as they happen, as server-sent events: `anomaly` (Anomaly), `sensors` (LiveSensors), `rollups` (LiveRollups), `reset` (LiveReset) and ' +
      '`heartbeat` (LiveHeartbeat). With the header Last-Event-ID first the episodes that changed since, or `reset`',
    query: { sensor: sensors(serveLimits.liveSensorsMax, 'whose rollups are wanted') },
    answers: {
      200: { what: 'events without an end', content: { 'text/event-stream': 'text' } },
      ...wrong,
    },
  },
  deadLetters: list(
    '/api/v1/dead-letters',
    'Batches and rows that could not be used, newest first',
    'DeadLetters',
    page,
  ),
  deadLetter: {
    method: 'get',
    path: '/api/v1/dead-letters/{id}',
    what: 'One of them, whole',
    query: {},
    answers: { 200: json('the letter', 'DeadLetter'), ...wrong, ...missing },
  },
  retryDeadLetter: {
    method: 'post',
    path: '/api/v1/dead-letters/{id}/retry',
    what: 'Tries it again; not from a page',
    query: {},
    answers: {
      200: json('it was', 'Settled'),
      ...wrong,
      ...missing,
      409: json('it is impossible, or it came back', 'Failure'),
      503: json('not now', 'Failure'),
    },
  },
  startReprocess: {
    method: 'post',
    path: '/api/v1/reprocess',
    what: 'Makes windows again from what the stream still holds; not from a page. Live reading of one partition after the other waits meanwhile',
    query: {
      from: must(instant('windows that begin here or later')),
      to: must(instant('windows that end here or earlier')),
      dryRun: { schema: z.enum(['true']), what: 'compare and count, write nothing' },
    },
    answers: {
      202: json('it has begun', 'Reprocess'),
      ...wrong,
      409: json('another run goes on', 'Failure'),
      503: json('not now', 'Failure'),
    },
  },
  reprocess: {
    method: 'get',
    path: '/api/v1/reprocess',
    what: 'How far the run is that goes on, or how the last one ended',
    query: {},
    answers: { 200: json('the run', 'Reprocess'), ...wrong, ...missing },
  },
  stopReprocess: {
    method: 'delete',
    path: '/api/v1/reprocess',
    what: 'Stops the run that goes on; what it wrote stays. Not from a page',
    query: {},
    answers: { 200: json('it is stopped', 'Reprocess'), ...wrong, ...missing },
  },
  startVerify: {
    method: 'post',
    path: '/api/v1/verify',
    what: 'Compares what gateways say that they accepted with what is stored; not from a page. Nothing waits meanwhile',
    query: {
      from: instant("event hours from here on; default: seven days before each gateway's watermark"),
      to: instant("event hours up to here; default: each gateway's watermark"),
      site: name('only gateways of this site'),
      gateway: name('only gateways of this name'),
    },
    answers: {
      202: json('it has begun', 'Verify'),
      ...wrong,
      409: json('another run goes on', 'Failure'),
      503: json('not now', 'Failure'),
    },
  },
  verify: {
    method: 'get',
    path: '/api/v1/verify',
    what: 'How far the run is that goes on, or what the last one found',
    query: {},
    answers: { 200: json('the run', 'Verify'), ...wrong, ...missing },
  },
  stopVerify: {
    method: 'delete',
    path: '/api/v1/verify',
    what: 'Stops the run that goes on. Not from a page',
    query: {},
    answers: { 200: json('it is stopped', 'Verify'), ...wrong, ...missing },
  },
  retention: {
    method: 'get',
    path: '/api/v1/retention',
    what: 'Which rows are due to be deleted for their age, and whether that waits for a person',
    query: {},
    answers: {
      200: json('how it stands', 'Retention'),
      ...wrong,
      501: json('the server of this store deletes', 'Unsupported'),
    },
  },
  agreeRetention: {
    method: 'post',
    path: '/api/v1/retention/agree',
    what: 'Agrees that rows of before an instant are deleted, although it is more than is deleted unasked; not from a page',
    query: { before: must(instant('rows of before may go; at most `tooOldBefore`')) },
    answers: {
      200: json('how it stands now', 'Retention'),
      ...wrong,
      501: json('the server of this store deletes', 'Unsupported'),
      ...busy,
    },
  },
  dropDeadLetter: {
    method: 'delete',
    path: '/api/v1/dead-letters/{id}',
    what: 'Drops it; not from a page',
    query: {},
    answers: { 200: json('it was', 'Settled'), ...wrong, ...missing },
  },
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationName = keyof typeof OPERATIONS;
