import type { EpochMs } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';

/** How the deletion of old rows stands. */
export interface RetentionStatus {
  /** How long rows are kept, in milliseconds; 0: for ever. */
  readonly keptMs: number;
  /** Rows of before are too old by both clocks; null: none are, because they are kept for ever or no message of NATS was seen yet. */
  readonly tooOldBefore: EpochMs | null;
  /** The oldest row; null: there is none, or nobody has looked yet. */
  readonly oldest: EpochMs | null;
  /** How much time the rows that are due cover, in milliseconds. */
  readonly dueMs: number;
  /** So much is due that nothing is deleted until a person agrees. */
  readonly waits: boolean;
  /** A person has agreed that rows of before are deleted; null: nobody has. */
  readonly agreedBefore: EpochMs | null;
  /** Rows deleted since the start. */
  readonly deleted: number;
}

/** What decides which rows may be deleted. Instants are epoch milliseconds. */
export interface RetentionFacts {
  /** Rows of before are too old by both clocks. −Infinity: none. */
  readonly tooOldBefore: number;
  /** The oldest row. Infinity: there is none. */
  readonly oldest: number;
  /** A person has agreed that rows of before are deleted. −Infinity: nobody has. */
  readonly agreedBefore: number;
}

/** Whether so much is due that a clock may be wrong, and a person has not agreed to it. */
export const waitsForAgreement = (facts: RetentionFacts): boolean =>
  isMuch(facts) && facts.oldest >= facts.agreedBefore;

const isMuch = ({ tooOldBefore, oldest }: RetentionFacts): boolean =>
  tooOldBefore - oldest > processorLimits.retentionUnaskedMsMax;

/** Rows of before may be deleted; −Infinity: none. */
export function deletableBefore(facts: RetentionFacts): number {
  if (waitsForAgreement(facts)) return -Infinity;
  return isMuch(facts) ? Math.min(facts.tooOldBefore, facts.agreedBefore) : facts.tooOldBefore;
}

/** One pass deletes rows of before; −Infinity: it deletes none. It takes at most a day from the oldest row on. */
export function passEnd(facts: RetentionFacts): number {
  const end = deletableBefore(facts);
  return facts.oldest < end ? Math.min(end, facts.oldest + processorLimits.retentionPassMs) : -Infinity;
}

/**
 * Whether a row that is to be written is not, because it would be deleted: by the same rule. While deletion waits, every row is written. In
 * an empty store nothing tells a wrong clock from an old recording, so there a row may be the first that a person has to agree to.
 */
export const isExpired = (time: number, facts: RetentionFacts): boolean =>
  time < deletableBefore(facts.oldest === Infinity ? { ...facts, oldest: time } : facts);
