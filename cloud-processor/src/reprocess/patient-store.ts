import { messageOf, pause, retryDelay, unlessAborted } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import { type Store, StoreError } from '../write/store.ts';

/** Why a partition could not be made again, for a person. */
export class ReprocessError extends Error {
  override readonly name = 'ReprocessError';
}

type Readable = Pick<Store, 'windows' | 'windowsByTime' | 'scan'>;

/** Asks a store again while it can't answer, for a while. A scan may then hand rows over more than once. */
export class PatientStore implements Readable {
  readonly #store: Readable;
  readonly #signal: AbortSignal;

  constructor(store: Readable, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  windows: Readable['windows'] = async (query) => this.#ask(async () => this.#store.windows(query));
  windowsByTime: Readable['windowsByTime'] = async (query) => this.#ask(async () => this.#store.windowsByTime(query));
  scan: Readable['scan'] = async (query, take, signal) => this.#ask(async () => this.#store.scan(query, take, signal));

  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    const { replayStoreMsMax, retryPauseMs, retryPauseMsMax } = processorLimits;
    const begun = performance.now();
    for (let attempt = 1; ; attempt++) {
      this.#signal.throwIfAborted();
      try {
        return await unlessAborted(ask(), this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        const isOver = performance.now() - begun > replayStoreMsMax;
        if (!(error instanceof StoreError) || !error.retryable || isOver) {
          throw new ReprocessError(`the store can not be asked: ${messageOf(error)}; try again when it can`, {
            cause: error,
          });
        }
        await pause(retryDelay({ firstMs: retryPauseMs, maxMs: retryPauseMsMax / 6 }, attempt), this.#signal);
      }
    }
  }
}
