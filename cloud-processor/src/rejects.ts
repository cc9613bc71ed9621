import { processorLimits } from './limits.ts';

/** A message that could not be used, as a person reads it. */
export interface Reject {
  /** The processor's clock, epoch milliseconds. */
  readonly at: number;
  readonly subject: string;
  readonly streamSequence: number;
  readonly reason: string;
  readonly message: string;
  readonly bytes: number;
  /** The beginning of the message; what is not UTF-8 is replaced. */
  readonly excerpt: string;
}

/** Counts the messages that could not be used by reason, and keeps the newest of them for a person to read. */
export class Rejects {
  readonly counts = new Map<string, number>();
  #kept: Reject[] = [];

  /** The newest, at most `processorLimits.rejectsKept`, oldest first. */
  get kept(): readonly Reject[] {
    return this.#kept;
  }

  add(reject: Omit<Reject, 'bytes' | 'excerpt'>, data: Uint8Array): void {
    this.counts.set(reject.reason, (this.counts.get(reject.reason) ?? 0) + 1);
    const excerpt = new TextDecoder().decode(data.subarray(0, processorLimits.rejectExcerptBytes));
    this.#kept.push({ ...reject, bytes: data.length, excerpt });
    if (this.#kept.length > processorLimits.rejectsKept) this.#kept = this.#kept.slice(-processorLimits.rejectsKept);
  }
}
