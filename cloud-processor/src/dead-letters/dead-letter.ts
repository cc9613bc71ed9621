import { createHash } from 'node:crypto';

import type { Row } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import { rowKey } from '../write/row-key.ts';

/** What went wrong with a message of the stream, or a row. */
interface Fault {
  /** The processor's clock, epoch milliseconds. */
  readonly at: number;
  /** A word that is counted: of a batch the reason of its rejection, of a row `refused`. */
  readonly reason: string;
  /** The same for a person. */
  readonly message: string;
}

/** A message of the stream that could not be used. */
export interface DeadBatch extends Fault {
  readonly kind: 'batch';
  readonly id: string;
  readonly subject: string;
  readonly streamSequence: number;
  /** Its size; what is kept of it may be less. */
  readonly bytes: number;
  /** Base64. */
  readonly data: string;
}

/** A row that the store will never take. */
export interface DeadRow extends Fault {
  readonly kind: 'row';
  readonly id: string;
  readonly row: Row;
}

/** What could not be used, with all that is needed to look into it and to try it again. */
export type DeadLetter = DeadBatch | DeadRow;

/** The end of a letter. */
export interface Settled {
  readonly kind: 'settled';
  readonly id: string;
  readonly at: number;
  readonly how: 'retried' | 'dropped';
}

/** A batch as a letter. Its id is its place in the stream and its content: the same after a crash, another in another stream. */
export function deadBatch(
  fault: Fault & { readonly subject: string; readonly streamSequence: number },
  data: Uint8Array,
): DeadBatch {
  const kept = data.subarray(0, processorLimits.deadBatchBytesMax);
  return {
    kind: 'batch',
    id: `batch-${fault.streamSequence}-${digest(fault.subject, data)}`,
    ...fault,
    bytes: data.length,
    data: Buffer.from(kept).toString('base64'),
  };
}

/** A row as a letter. Its id is its key and its content: the same after a crash. */
export function deadRow(row: Row, message: string, at: number): DeadRow {
  return { kind: 'row', id: `row-${digest(rowKey(row), JSON.stringify(row))}`, at, reason: 'refused', message, row };
}

const digest = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
};

/** A record of the log. */
export const encodeRecord = (record: DeadLetter | Settled): Buffer => Buffer.from(JSON.stringify(record));

/** @throws SyntaxError if it is none; a record that the log gave back whole always is one. */
export const decodeRecord = (bytes: Uint8Array): DeadLetter | Settled =>
  JSON.parse(Buffer.from(bytes).toString()) as DeadLetter | Settled;
