import { type Logger, pause, retryDelay, StartError } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import { type Store, StoreError } from './store.ts';

/**
 * Connects a store, and tries again while it can't be reached.
 *
 * @param onProblem called with each reason why it could not be connected.
 * @returns whether it is connected; false: `signal` aborted first.
 * @throws StartError if only a person can mend what is wrong with it.
 */
export async function connectStore(
  store: Pick<Store, 'connect'>,
  logger: Logger,
  onProblem: (message: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      await store.connect(signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (!(error instanceof StoreError)) throw error;
      if (!error.retryable) throw new StartError('config-invalid', `store: ${error.message}`, { cause: error });
      onProblem(error.message);
      logger.warn({ code: error.code, error: error.message, attempt }, 'the store can not be reached; trying again');
      const { retryPauseMs, retryPauseMsMax } = processorLimits;
      await pause(retryDelay({ firstMs: retryPauseMs, maxMs: retryPauseMsMax }, attempt), signal);
    }
  }
  return false;
}
