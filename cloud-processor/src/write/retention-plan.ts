import { processorLimits } from '../limits.ts';

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
