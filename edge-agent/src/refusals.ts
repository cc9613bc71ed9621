import { epochMs } from '@floorwatch/contracts';
import { Condition, type Logger, messageOf } from '@floorwatch/runtime';
import { SegmentLogError } from '@floorwatch/segment-log';

import type { RefusalView } from './status/durable-views.ts';

type Log = RefusalView['log'];

/** Which logs can't be written at the moment, so that no readings are taken. */
export class Refusals {
  readonly #logger: Logger;
  readonly #views = new Map<Log, RefusalView>();
  readonly #changed = new Condition();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The one that began first; null: readings are taken. */
  get view(): RefusalView | null {
    return this.#views.values().next().value ?? null;
  }

  has(log: Log): boolean {
    return this.#views.has(log);
  }

  failed(log: Log, error: unknown): void {
    const why = messageOf(error);
    const known = this.#views.get(log);
    if (known === undefined) this.#logger.error({ log, error: why }, 'no readings are taken: a log can not be written');
    this.#views.set(log, { log, why, since: known?.since ?? epochMs(Date.now()) });
  }

  succeeded(log: Log): void {
    if (!this.#views.delete(log)) return;
    this.#logger.info({ log }, 'the log can be written again');
    this.#changed.notify();
  }

  /** Resolves when a log can be written, or `signal` aborts. */
  async whenTaken(log: Log, signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => !this.#views.has(log), signal);
  }
}

/** Why something was refused, as a metric's label. */
export const refusalLabel = (error: unknown): string => (error instanceof SegmentLogError ? error.code : 'failed');
