import { isRecord, type Payload, readObject } from './payload-object.ts';
import { type ManyOptions, type PayloadParts, readParts } from './payload-parts.ts';
import type { OrReject } from './reject.ts';

/**
 * How payloads are written. `json`: an object with `value` and optionally `ts`, `unit`, `seq`, `quality`, and `metric` where the topic does
 * not name it. `number`: the bare number. `batch`: a list of such objects, each with `ts`. `auto`: an object if the payload begins with
 * `{`, a list if it begins with `[`, else a number. `metrics`: an object with a field for every metric, or a list of them. `series`: values
 * in even steps of time, `{t0, dtMs, values}`.
 */
export const CODECS = ['auto', 'json', 'number', 'batch', 'metrics', 'series'] as const;
export type Codec = (typeof CODECS)[number];

/** A decimal number as JSON and most devices write it; unlike `Number()`, nothing empty, hexadecimal or padded inside. */
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
/** What Python, C and others print for values that JSON has no words for. */
const NOT_FINITE = /^[+-]?(nan|inf|infinity)$/i;
/** The same inside of an object, which is not JSON any more. */
const NOT_FINITE_FIELD = /"value"\s*:\s*[+-]?(nan|inf|infinity)\b/i;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads a payload, or says why it can't be read. Never throws. */
export function decodePayload(
  codec: Codec,
  bytes: Uint8Array,
  many: ManyOptions,
): OrReject<Payload> | OrReject<PayloadParts> {
  if (bytes.length === 0) return 'payload-empty';
  let text: string;
  try {
    text = decoder.decode(bytes).trim();
  } catch {
    return 'payload-malformed';
  }
  if (text === '') return 'payload-empty';
  const form = codec === 'auto' ? formOf(text) : codec;
  if (form === 'number') return decodeNumber(text);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return NOT_FINITE_FIELD.test(text) ? 'value-not-finite' : 'payload-malformed';
  }
  if (form !== 'json') return readParts(form, json, many);
  return isRecord(json) ? readObject(json) : 'payload-malformed';
}

function formOf(text: string): 'json' | 'batch' | 'number' {
  if (text.startsWith('{')) return 'json';
  return text.startsWith('[') ? 'batch' : 'number';
}

function decodeNumber(text: string): OrReject<Payload> {
  if (NOT_FINITE.test(text)) return 'value-not-finite';
  if (!DECIMAL.test(text)) return isJson(text) ? 'value-not-a-number' : 'payload-malformed';
  const value = Number(text);
  if (!Number.isFinite(value)) return 'value-not-finite';
  return { value, metric: undefined, ts: undefined, unit: undefined, quality: 'good', seq: undefined };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
