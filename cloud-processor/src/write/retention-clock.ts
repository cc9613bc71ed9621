/**
 * The time by which rows are too old to be kept: the earlier of the processor's clock and the newest time that the NATS server has put on a
 * message. One of them alone may be wrong by a year; times that gateways tell count for nothing here. (DESIGN: time never deletes by itself.)
 */
export class RetentionClock {
  readonly #own: () => number;
  #newestMessage = -Infinity;

  /** @param own the processor's clock, epoch milliseconds. */
  constructor(own: () => number = Date.now) {
    this.#own = own;
  }

  /** The NATS server put this time on a message. What is no time is passed over. */
  saw(storedAt: number): void {
    if (storedAt > this.#newestMessage) this.#newestMessage = storedAt;
  }

  /** Epoch milliseconds; −Infinity before the first message: then nothing is too old. */
  get now(): number {
    return Math.min(this.#own(), this.#newestMessage);
  }
}
