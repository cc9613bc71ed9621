import { processorLimits } from '../limits.ts';

/** An instant by two clocks, both in milliseconds. */
export interface ClaimInstant {
  /** Of a clock that never steps. It may stand still while the machine sleeps. */
  readonly monotonic: number;
  /** Of the wall clock, which goes on while the machine sleeps. */
  readonly wall: number;
}

const clocks = (): ClaimInstant => ({ monotonic: performance.now(), wall: Date.now() });

/**
 * How long this processor may still act for its partitions. A claim ends by itself `claimStaleMs` after its last successful renewal was
 * sent: whoever wants the partition has then seen for as long that nothing changes. So a processor that is cut off from NATS, or that was
 * stopped for a while, knows by its own clocks that another may have begun.
 */
export class Tenure {
  readonly #partitions: number;
  readonly #now: () => ClaimInstant;
  /** When the last successful renewal of each partition was sent. */
  readonly #renewed = new Map<number, ClaimInstant>();

  /** @param now both clocks; for tests. */
  constructor(partitions: number, now: () => ClaimInstant = clocks) {
    this.#partitions = partitions;
    this.#now = now;
  }

  now(): ClaimInstant {
    return this.#now();
  }

  /** A claim was written. @param sentAt when the request left, or earlier */
  renewed(partition: number, sentAt: ClaimInstant): void {
    this.#renewed.set(partition, sentAt);
  }

  /** The claim is another processor's, or was given back. */
  ended(partition: number): void {
    this.#renewed.delete(partition);
  }

  /** Whether all partitions were taken; the claims may have ended by themselves since. */
  get taken(): boolean {
    return this.#renewed.size === this.#partitions;
  }

  /** Milliseconds until the first claim ends, by the clock that says so first; 0 or less: it has ended, or was never taken. */
  get msLeft(): number {
    if (!this.taken) return 0;
    const now = this.#now();
    let left = Infinity;
    for (const { monotonic, wall } of this.#renewed.values()) {
      const since = Math.max(now.monotonic - monotonic, now.wall - wall);
      left = Math.min(left, processorLimits.claimStaleMs - since);
    }
    return left;
  }

  /** Whether something may begin that must be over when the claims end: a request to the store, a checkpoint, a floor message. */
  get mayAct(): boolean {
    return this.msLeft >= processorLimits.claimMarginMs;
  }
}
