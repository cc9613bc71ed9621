/** A condition variable: some wait until something holds, others say when it may have changed. */
export class Condition {
  readonly #waiting = new Set<() => void>();

  /** Whoever waits looks again. */
  notify(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves when `holds` is true, or when `signal` aborts. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds() && !signal.aborted) await this.changed(signal);
  }

  /** Resolves at the next `notify`, or when `signal` aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }
}
