import { limits as contractLimits } from '@floorwatch/contracts';

import type { OrReject, RejectReason } from './reject.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a payload says of one reading. Null, absent and empty fields are the same: undefined. */
export interface Payload {
  readonly value: number;
  readonly metric: string | undefined;
  readonly ts: unknown;
  readonly unit: string | undefined;
  readonly quality: 'good' | 'uncertain';
  readonly seq: number | undefined;
}

export const isRecord = (json: unknown): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);

/** Reads an object with `value`. */
export function readObject({ value, ts, unit, seq, quality, metric }: JsonObject): OrReject<Payload> {
  if (value === undefined) return 'value-missing';
  if (typeof value !== 'number') return 'value-not-a-number';
  // JSON has no infinity, but 1e999 reads as one.
  if (!Number.isFinite(value)) return 'value-not-finite';
  const wrong = findWrongSeq(seq) ?? findWrongQuality(quality) ?? findWrongUnit(unit);
  if (wrong !== undefined) return wrong;
  // No spreads: this is made for every message.
  return {
    value,
    metric: typeof metric === 'string' ? metric : undefined,
    ts: ts ?? undefined,
    unit: typeof unit === 'string' && unit.trim() !== '' ? unit : undefined,
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
