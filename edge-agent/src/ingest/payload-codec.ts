import { isNotFinite, parseLeniently } from './lenient-json.ts';
import { isRecord, type JsonObject, type Payload, readObject } from './payload-object.ts';
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
const strict = new TextDecoder('utf-8', { fatal: true });
const lenient = new TextDecoder('utf-8');

/** Reads a payload, or says why it can't be read. Never throws. */
export function decodePayload(
  codec: Codec,
  bytes: Uint8Array,
  many: ManyOptions,
): OrReject<Payload> | OrReject<PayloadParts> {
  if (bytes.length === 0) return 'payload-empty';
  const { text, isUtf8 } = textOf(bytes);
  if (text === '') return 'payload-empty';
  const form = codec === 'auto' ? formOf(text) : codec;
  if (form === 'number') return isUtf8 ? decodeNumber(text) : 'payload-malformed';
  const json = isUtf8 ? parseJson(text) : parseLeniently(text);
  if (json === undefined) return 'payload-malformed';
  if (form !== 'json') return readParts(form, json, many);
  return isRecord(json) ? readOne(json) : 'payload-malformed';
}

/** The payload's text, without a byte-order mark, and without the zero that ends a text in C and is sent with it by mistake. */
function textOf(bytes: Uint8Array): { readonly text: string; readonly isUtf8: boolean } {
  try {
    return { text: trim(strict.decode(bytes)), isUtf8: true };
  } catch {
    return { text: trim(lenient.decode(bytes)), isUtf8: false };
  }
}

function trim(text: string): string {
  let end = text.length;
  while (text.charCodeAt(end - 1) === 0) end -= 1;
  return text.slice(0, end).trim();
}

/** What is not JSON costs a second look: only what can't be read of it is lost. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return parseLeniently(text);
  }
}

/** A reading, and beside it what of the object was refused by itself. */
function readOne(object: JsonObject): OrReject<Payload> | PayloadParts {
  const payload = readObject(object);
  if (typeof payload === 'string' || payload.refused === undefined) return payload;
  return { parts: [{ at: 'value', payload }, ...payload.refused.map(({ at, reason }) => ({ at, payload: reason }))] };
}

function formOf(text: string): 'json' | 'batch' | 'number' {
  if (text.startsWith('{')) return 'json';
  return text.startsWith('[') ? 'batch' : 'number';
}

function decodeNumber(text: string): OrReject<Payload> {
  if (isNotFinite(text)) return 'value-not-finite';
  if (!DECIMAL.test(text)) return isJson(text) ? 'value-not-a-number' : 'payload-malformed';
  const value = Number(text);
  if (!Number.isFinite(value)) return 'value-not-finite';
  return {
    value,
    metric: undefined,
    ts: undefined,
    unit: undefined,
    quality: 'good',
    seq: undefined,
    refused: undefined,
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
