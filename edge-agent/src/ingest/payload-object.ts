import { limits as contractLimits } from '@floorwatch/contracts';

import type { OrReject, RejectReason } from './reject.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A field that could not be read, and that its reading can do without. */
export interface RefusedField {
  readonly at: 'quality' | 'seq';
  readonly reason: RejectReason;
}

/** What a payload says of one reading. Null, absent and empty fields are the same: undefined. */
export interface Payload {
  readonly value: number;
  readonly metric: string | undefined;
  readonly ts: unknown;
  readonly unit: string | undefined;
  readonly quality: 'good' | 'uncertain';
  readonly seq: number | undefined;
  /** At least one, or undefined. */
  readonly refused: readonly RefusedField[] | undefined;
}

export const isRecord = (json: unknown): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);

/**
 * Reads an object with `value`. A `seq` that can't be read is left out, so that only the time tells a repeat; a reading whose `quality` is an unknown
 * word is uncertain. Without its time or its unit a reading would be another one, and is rejected.
 */
export function readObject({ value, ts, unit, seq, quality, metric }: JsonObject): OrReject<Payload> {
  if (value === undefined) return 'value-missing';
  if (typeof value !== 'number') return 'value-not-a-number';
  // JSON has no infinity, but 1e999 reads as one.
  if (!Number.isFinite(value)) return 'value-not-finite';
  const word = qualityOf(quality);
  if (word === 'bad') return 'quality-bad';
  const wrong = findWrongUnit(unit);
  if (wrong !== undefined) return wrong;
  const isSeq = isAbsent(seq) || isSequenceNumber(seq);
  // No spreads: this is made for every message.
  return {
    value,
    metric: typeof metric === 'string' ? metric : undefined,
    ts: ts ?? undefined,
    unit: typeof unit === 'string' && unit.trim() !== '' ? unit : undefined,
    quality: word ?? 'uncertain',
    seq: isSequenceNumber(seq) ? seq : undefined,
    refused: isSeq && word !== undefined ? undefined : refusedOf(isSeq, word !== undefined),
  };
}

function refusedOf(isSeq: boolean, isQuality: boolean): readonly RefusedField[] {
  const refused: RefusedField[] = [];
  if (!isQuality) refused.push({ at: 'quality', reason: 'quality-unknown' });
  if (!isSeq) refused.push({ at: 'seq', reason: 'seq-invalid' });
  return refused;
}

const isAbsent = (field: unknown): boolean => field === undefined || field === null;

const isSequenceNumber = (seq: unknown): seq is number => Number.isSafeInteger(seq) && (seq as number) >= 0;

/** What OPC says for "good, no more to say" (OPC DA 3.0, 6.8). */
const OPC_GOOD = 192;

/** The word that a quality is, in whatever case; undefined: none that is known. */
function qualityOf(quality: unknown): 'good' | 'uncertain' | 'bad' | undefined {
  if (isAbsent(quality) || quality === 'good' || quality === OPC_GOOD) return 'good';
  if (typeof quality !== 'string') return undefined;
  const word = quality.trim().toLowerCase();
  return word === 'good' || word === 'uncertain' || word === 'bad' ? word : undefined;
}

function findWrongUnit(unit: unknown): RejectReason | undefined {
  if (isAbsent(unit)) return undefined;
  return typeof unit === 'string' && unit.length <= contractLimits.unitLengthMax ? undefined : 'unit-invalid';
}
