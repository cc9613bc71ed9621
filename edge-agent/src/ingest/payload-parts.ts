import { parseEventTime } from './event-time.ts';
import { isRecord, type JsonObject, type Payload, readObject } from './payload-object.ts';
import type { OrReject, RejectReason } from './reject.ts';

/** How payloads with several readings are written; see `CODECS`. */
export type ManyCodec = 'batch' | 'metrics' | 'series';

/** What a topic's template says of such payloads. */
export interface ManyOptions {
  /** Readings that one message may hold. */
  readonly readingsMax: number;
  /** Fields of a `metrics` object that are no metrics. */
  readonly ignore: ReadonlySet<string>;
}

/** One reading of a payload, or why it is none. */
export interface PayloadPart {
  /** Where it stands, for people: `[3]`, `temperature`, `[3].temperature`. */
  readonly at: string;
  readonly payload: OrReject<Payload>;
}

/** The readings of one payload, in its order: at least one. */
export interface PayloadParts {
  readonly parts: readonly PayloadPart[];
}

/** Fields of a `metrics` object that hold for all of its metrics. */
const COMMON = new Set(['ts', 'seq', 'quality']);

/** Reads the JSON value of a payload with several readings; a fault of one of them says nothing against the others. */
export function readParts(codec: ManyCodec, json: unknown, options: ManyOptions): OrReject<PayloadParts> {
  const parts =
    codec === 'series'
      ? readSeries(json, options)
      : codec === 'batch'
        ? readBatch(json, options)
        : readMetrics(json, options);
  if (typeof parts === 'string') return parts;
  return parts.parts.length === 0 ? 'no-readings' : parts;
}

/** `[{"value": 1, "ts": …}, …]` */
function readBatch(json: unknown, { readingsMax }: ManyOptions): OrReject<PayloadParts> {
  if (!Array.isArray(json)) return 'payload-malformed';
  if (json.length > readingsMax) return 'too-many-readings';
  const parts = json.map((element: unknown, index) => ({ at: `[${index}]`, payload: readElement(element) }));
  return { parts };
}

function readElement(element: unknown): OrReject<Payload> {
  if (!isRecord(element)) return 'payload-malformed';
  const payload = readObject(element);
  // All at the time of arrival would be a guess, and a wrong one for all but the last.
  return typeof payload !== 'string' && payload.ts === undefined ? 'time-missing' : payload;
}

/** `{"ts": …, "temperature": 21.5, "pressure": {"value": 3, "unit": "bar"}}`, or a list of such objects. */
function readMetrics(json: unknown, options: ManyOptions): OrReject<PayloadParts> {
  if (isRecord(json)) return metricsOf([json], () => '', options);
  if (!Array.isArray(json)) return 'payload-malformed';
  if (json.length > options.readingsMax) return 'too-many-readings';
  return metricsOf(json, (index) => `[${index}]`, { ...options, timed: true });
}

function metricsOf(
  objects: readonly unknown[],
  placeOf: (index: number) => string,
  { readingsMax, ignore, timed = false }: ManyOptions & { readonly timed?: boolean },
): OrReject<PayloadParts> {
  const parts: PayloadPart[] = [];
  for (const [index, object] of objects.entries()) {
    const place = placeOf(index);
    if (!isRecord(object)) {
      if (parts.length === readingsMax) return 'too-many-readings';
      parts.push({ at: place, payload: 'payload-malformed' });
      continue;
    }
    const { ts, seq, quality } = object;
    for (const [metric, field] of Object.entries(object)) {
      // Null means not sent, as everywhere.
      if (COMMON.has(metric) || ignore.has(metric) || field === null) continue;
      if (parts.length === readingsMax) return 'too-many-readings';
      const own = isRecord(field) ? field : { value: field };
      const payload = readObject({ ts, seq, quality, ...withoutNulls(own), metric });
      const untimed = timed && typeof payload !== 'string' && payload.ts === undefined;
      parts.push({ at: place === '' ? metric : `${place}.${metric}`, payload: untimed ? 'time-missing' : payload });
    }
  }
  return { parts };
}

const withoutNulls = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([, field]) => field !== null));

/** `{"t0": …, "dtMs": 100, "values": [1, 2, null, 4], "unit": "mm/s"}`: null where there is no value. */
function readSeries(json: unknown, { readingsMax }: ManyOptions): OrReject<PayloadParts> {
  if (!isRecord(json)) return 'payload-malformed';
  const { t0, dtMs, values, ...rest } = json;
  if (!Array.isArray(values) || typeof dtMs !== 'number' || !(dtMs >= 1 && dtMs < Infinity)) return 'series-invalid';
  if (t0 === undefined || t0 === null) return 'series-invalid';
  if (values.length > readingsMax) return 'too-many-readings';
  const start = parseEventTime(t0);
  if (typeof start === 'string') return start;
  const parts: PayloadPart[] = [];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const payload = readObject({ ...rest, value: value as unknown, ts: Math.floor(start + index * dtMs) });
    // What is wrong with all of them is said once.
    const common = typeof payload === 'string' && OF_THE_MESSAGE.has(payload) ? payload : undefined;
    if (common !== undefined) return common;
    parts.push({ at: `[${index}]`, payload });
  }
  return { parts };
}

const OF_THE_MESSAGE: ReadonlySet<RejectReason> = new Set([
  'unit-invalid',
  'seq-invalid',
  'quality-bad',
  'quality-unknown',
]);

const [LIST, OBJECT, COMMA] = Array.from('[{,', (character) => character.charCodeAt(0));

/**
 * How many readings of one sensor a payload can hold at most, told from its bytes at a glance: 1 unless there is a list in it, in
 * whatever codec.
 */
export function readingsAtMost(payload: Uint8Array): number {
  if (!payload.includes(LIST!)) return 1;
  let objects = 0;
  let commas = 0;
  for (const byte of payload) {
    if (byte === OBJECT) objects += 1;
    else if (byte === COMMA) commas += 1;
  }
  // A list of objects has an opening brace for each; a series has a comma between two values.
  return payload[0] === LIST ? Math.max(1, objects) : commas + 1;
}
