import { isTimeOfOurDays, parseEventTime } from './event-time.ts';
import { isRecord, type JsonObject, type Payload, readObject, type RefusedField } from './payload-object.ts';
import type { OrReject } from './reject.ts';

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

/** What devices call the time of an object with a field for every metric, in lower case and without signs. */
const TIME_NAMES = new Set(['timestamp', 'time', 'datetime', 'eventtime', 'measuredat', 'lastseen', 'epoch']);

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
  const parts: PayloadPart[] = [];
  for (const [index, element] of json.entries()) push(parts, `[${index}]`, readElement(element), `[${index}].`);
  return { parts };
}

/**
 * Adds a reading, or why it is none, and what of it was refused by itself.
 *
 * @param place what the names of its fields are preceded by, for people.
 */
function push(parts: PayloadPart[], at: string, payload: OrReject<Payload>, place: string): void {
  parts.push({ at, payload });
  if (typeof payload === 'string' || payload.refused === undefined) return;
  for (const field of payload.refused) parts.push({ at: place + field.at, payload: field.reason });
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
  let readings = 0;
  for (const [index, object] of objects.entries()) {
    const place = placeOf(index);
    if (!isRecord(object)) {
      if (++readings > readingsMax) return 'too-many-readings';
      parts.push({ at: place, payload: 'payload-malformed' });
      continue;
    }
    const time = findTime(object, ignore);
    const { common, refused } = readCommon(time === undefined ? object : { ...object, ts: object[time] });
    for (const { at, reason } of refused) parts.push({ at: place === '' ? at : `${place}.${at}`, payload: reason });
    for (const [metric, field] of Object.entries(object)) {
      // Null means not sent, as everywhere.
      if (COMMON.has(metric) || ignore.has(metric) || field === null) continue;
      if (metric === time) {
        parts.push({ at: place === '' ? metric : `${place}.${metric}`, payload: 'time-renamed' });
        continue;
      }
      if (++readings > readingsMax) return 'too-many-readings';
      const own = isRecord(field) ? field : { value: field };
      const payload = readObject({ ...common, ...withoutNulls(own), metric });
      const untimed = timed && typeof payload !== 'string' && payload.ts === undefined;
      const at = place === '' ? metric : `${place}.${metric}`;
      push(parts, at, untimed ? 'time-missing' : payload, `${at}.`);
    }
  }
  return { parts };
}

/** The field that holds the time of an object without `ts`, if one can only mean that: as a metric it would be a sensor that only counts up. */
function findTime(object: JsonObject, ignore: ReadonlySet<string>): string | undefined {
  if (object['ts'] !== undefined && object['ts'] !== null) return undefined;
  for (const name in object) {
    if (!TIME_NAMES.has(name.toLowerCase().replaceAll(/[_-]/g, '')) || ignore.has(name)) continue;
    if (isTimeOfOurDays(object[name])) return name;
  }
  return undefined;
}

/** What holds for all metrics of an object, and what of it is refused; that is said once. */
function readCommon({ ts, seq, quality }: JsonObject): {
  readonly common: JsonObject;
  readonly refused: readonly RefusedField[];
} {
  const read = readObject({ value: 0, seq, quality });
  // What refuses a reading, refuses each that does not say otherwise of itself.
  if (typeof read === 'string') return { common: { ts, seq, quality }, refused: [] };
  return { common: { ts, seq: read.seq, quality: read.quality }, refused: read.refused ?? [] };
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
  // What is wrong with all of them is said once.
  const common = readObject({ ...rest, value: 0 });
  if (typeof common === 'string') return common;
  const { seq, quality, refused = [] } = common;
  const parts: PayloadPart[] = [];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const ts = Math.floor(start + index * dtMs);
    parts.push({ at: `[${index}]`, payload: readObject({ ...rest, seq, quality, value: value as unknown, ts }) });
  }
  if (parts.length > 0) parts.push(...refused.map(({ at, reason }) => ({ at, payload: reason })));
  return { parts };
}

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
