import { type Logger, messageOf, pause } from '@floorwatch/runtime';

import { type Store, StoreError } from '../write/store.ts';
import type { FloorView } from './floor-view.ts';
import { serveLimits } from './limits.ts';

/** Shows what the store knows of earlier runs; a store that is busy or away is asked again until `signal` aborts. Never throws. */
export async function restoreView(
  view: Pick<FloorView, 'restore'>,
  store: Store,
  logger: Logger,
  signal: AbortSignal,
  pauseMs: number = serveLimits.restoreRetryMs,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await view.restore(store);
    } catch (error) {
      const again = error instanceof StoreError && error.retryable;
      logger.warn(
        { error: messageOf(error), again },
        'pages go without what the store knows of earlier runs; sensors come back with their next reading',
      );
      if (!again) return;
    }
    await pause(pauseMs, signal);
  }
}
