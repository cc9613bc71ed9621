import { limits as contractLimits } from '@floorwatch/contracts';

import type { OrReject, RejectReason } from './reject.ts';

/**
 * How payloads are written. `json`: an object with `value` and optionally `ts`, `unit`, `seq`, `quality`. `number`: the bare
 * number. `auto`: an object if the payload begins with `{`, else a number.
 */
export const CODECS = ['auto', 'json', 'number'] as const;
export type Codec = (typeof CODECS)[number];

/** What a payload says. Null, absent and empty fields are the same: undefined. */
export interface Payload {
  readonly value: number;
  readonly ts: unknown;
  readonly unit: string | undefined;
  readonly quality: 'good' | 'uncertain';
  readonly seq: number | undefined;
}

/** A decimal number as JSON and most devices write it; unlike `Number()`, nothing empty, hexadecimal or padded inside. */
const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
/** What Python, C and others print for values that JSON has no words for. */
const NOT_FINITE = /^[+-]?(nan|inf|infinity)$/i;
/** The same inside of an object, which is not JSON any more. */
const NOT_FINITE_FIELD = /"value"\s*:\s*[+-]?(nan|inf|infinity)\b/i;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads a payload, or says why it can't be read. Never throws. */
export function decodePayload(codec: Codec, bytes: Uint8Array): OrReject<Payload> {
  if (bytes.length === 0) return 'payload-empty';
  let text: string;
  try {
    text = decoder.decode(bytes).trim();
  } catch {
    return 'payload-malformed';
  }
  if (text === '') return 'payload-empty';
  if (codec === 'json' || (codec === 'auto' && text.startsWith('{'))) return decodeObject(text);
  return decodeNumber(text);
}

function decodeNumber(text: string): OrReject<Payload> {
  if (NOT_FINITE.test(text)) return 'value-not-finite';
  if (!DECIMAL.test(text)) return isJson(text) ? 'value-not-a-number' : 'payload-malformed';
  const value = Number(text);
  if (!Number.isFinite(value)) return 'value-not-finite';
  return { value, ts: undefined, unit: undefined, quality: 'good', seq: undefined };
}

function decodeObject(text: string): OrReject<Payload> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return NOT_FINITE_FIELD.test(text) ? 'value-not-finite' : 'payload-malformed';
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'payload-malformed';
  const { value, ts, unit, seq, quality } = json as Readonly<Record<string, unknown>>;
  if (value === undefined) return 'value-missing';
  if (typeof value !== 'number') return 'value-not-a-number';
  // JSON has no infinity, but 1e999 reads as one.
  if (!Number.isFinite(value)) return 'value-not-finite';
  const wrong = findWrongSeq(seq) ?? findWrongQuality(quality) ?? findWrongUnit(unit);
  if (wrong !== undefined) return wrong;
  // No spreads: this is made for every message.
  return {
    value,
    ts: ts ?? undefined,
    unit: unit === '' || unit === null ? undefined : (unit as string | undefined),
    quality: quality === 'uncertain' ? 'uncertain' : 'good',
    seq: (seq ?? undefined) as number | undefined,
  };
}

function findWrongSeq(seq: unknown): RejectReason | undefined {
  if (seq === undefined || seq === null) return undefined;
  return Number.isSafeInteger(seq) && (seq as number) >= 0 ? undefined : 'seq-invalid';
}

function findWrongQuality(quality: unknown): RejectReason | undefined {
  if (quality === undefined || quality === null || quality === 'good' || quality === 'uncertain') return undefined;
  return quality === 'bad' ? 'quality-bad' : 'quality-unknown';
}

function findWrongUnit(unit: unknown): RejectReason | undefined {
  if (unit === undefined || unit === null) return undefined;
  return typeof unit === 'string' && unit.length <= contractLimits.unitLengthMax ? undefined : 'unit-invalid';
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
