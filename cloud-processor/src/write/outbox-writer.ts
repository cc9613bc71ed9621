import type { Row } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, retryDelay } from '@floorwatch/runtime';

import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import { processorLimits } from '../limits.ts';
import type { Outbox } from './outbox.ts';
import type { RowWriter } from './bounded-writes.ts';
import { RefusedTables } from './refused-tables.ts';
import { StoreError } from './store.ts';

/** A row that the store will never take. */
interface RefusedRow {
  readonly row: Row;
  readonly reason: string;
}

/** A store that does not take what it is given. */
export interface StoreTrouble {
  /** The processor's clock when it began, epoch milliseconds. */
  readonly since: number;
  readonly message: string;
  /** Whether it can end without a person. */
  readonly retryable: boolean;
}

/**
 * Brings the outbox of one partition into the store, one request at a time and in order. A failed request is sent again with the same
 * rows until it succeeds, so that no newer value of a key can overtake an older one.
 */
export class OutboxWriter {
  readonly #outbox: Outbox;
  readonly #store: RowWriter;
  readonly #logger: Logger;
  readonly #deadLetters: Pick<DeadLetters, 'addRows'>;
  readonly #settle: () => void;
  written = 0;
  refused = 0;
  /** Rows older than the store keeps them. */
  expired = 0;
  #expiredTold = 0;
  failures = 0;
  trouble: StoreTrouble | undefined;
  /** What the store refuses for good. */
  readonly refusedTables = new RefusedTables();

  constructor(options: {
    readonly outbox: Outbox;
    readonly store: RowWriter;
    readonly deadLetters: Pick<DeadLetters, 'addRows'>;
    readonly logger: Logger;
    /** Settles the outbox; the partition does it, because its checkpoint changes. */
    readonly settle: () => void;
  }) {
    this.#outbox = options.outbox;
    this.#store = options.store;
    this.#deadLetters = options.deadLetters;
    this.#logger = options.logger;
    this.#settle = options.settle;
  }

  /** Writes until `signal` aborts. What is unsent then stays in the outbox. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = this.#outbox.take(processorLimits.writeRowsMax, performance.now());
      if (batch.length === 0) await this.#untilNext(signal);
      else if (await this.#write(batch, signal)) this.#settle();
    }
  }

  /** Resolves when something may be sent that could not be before, and when `signal` aborts. */
  async #untilNext(signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    const stop = (): void => waiting.abort();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    const { nextAt } = this.#outbox;
    const time = nextAt === Infinity ? [] : [pause(nextAt - performance.now(), waiting.signal)];
    await Promise.race([this.#outbox.changed(waiting.signal), ...time]);
    signal.removeEventListener('abort', stop);
    stop();
  }

  /** Returns false if `signal` aborted before the store had answered. */
  async #write(batch: readonly Row[], signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      const sentAt = performance.now();
      try {
        const outcome = await this.#store.write(batch, signal);
        const refused = outcome.kind === 'partial' ? outcome.refused : [];
        const unfit = refused.filter(({ code }) => code === 'unfit');
        const rows = unfit.map(({ index, reason }) => ({ row: batch[index]!, reason }));
        this.refusedTables.note(batch, refused, Date.now());
        if (!(await this.#keepRefused(rows, signal))) return false;
        this.#countExpired(refused.length - unfit.length);
        this.written += batch.length - refused.length;
        if (this.trouble !== undefined) this.#logger.info({ rows: batch.length }, 'the store takes rows again');
        this.trouble = undefined;
        return true;
      } catch (error) {
        if (mayHaveLanded(error)) this.#outbox.mayLandUntil(sentAt + this.#store.lingerMs, performance.now());
        if (signal.aborted) break;
        if (error instanceof StoreError && error.code === 'no-claim') await pause(processorLimits.retryPauseMs, signal);
        else await pause(this.#pauseAfter(error, attempt), signal);
      }
    }
    return false;
  }

  #pauseAfter(error: unknown, attempt: number): number {
    this.failures++;
    const known = error instanceof StoreError ? error : undefined;
    const retryable = known?.retryable ?? false;
    const { retryPauseMs, retryPauseMsMax } = processorLimits;
    const backoff = retryDelay({ firstMs: retryPauseMs, maxMs: retryPauseMsMax }, attempt);
    const wait = Math.min(
      retryPauseMsMax * 10,
      Math.max(known?.retryAfterMs ?? 0, retryable ? backoff : retryPauseMsMax / 2),
    );
    this.trouble = { since: this.trouble?.since ?? Date.now(), message: messageOf(error), retryable };
    const facts = {
      code: known?.code,
      error: messageOf(error),
      unsent: this.#outbox.size,
      retryInMs: Math.round(wait),
    };
    if (retryable) this.#logger.warn(facts, 'the store does not take rows; trying again, nothing is lost');
    else
      this.#logger.error(facts, 'the store refuses everything; a person has to look at it, nothing is lost meanwhile');
    return wait;
  }

  /** Told at the first one, and then each time that it has become ten times as many. */
  #countExpired(rows: number): void {
    this.expired += rows;
    if (this.expired < Math.max(1, 10 * this.#expiredTold)) return;
    this.#expiredTold = this.expired;
    this.#logger.warn(
      { rows: this.expired },
      'readings are older than the store keeps rows, so their rows are counted and left out; to keep them, as of an old recording, ' +
        'raise store.retentionDays (0: for ever)',
    );
  }

  /** Returns false if `signal` aborted before the rows were safe; then the batch stays in the outbox. */
  async #keepRefused(rows: readonly RefusedRow[], signal: AbortSignal): Promise<boolean> {
    if (rows.length === 0) return true;
    while (!signal.aborted) {
      try {
        await this.#deadLetters.addRows(rows, Date.now());
        this.refused += rows.length;
        this.#logger.error(
          { rows: rows.length, reason: rows[0]?.reason },
          'the store will never take these rows; they are dead letters now',
        );
        return true;
      } catch (error) {
        this.#logger.error({ error: messageOf(error) }, 'the dead letters can not be saved; trying again');
        await pause(processorLimits.retryPauseMsMax / 10, signal);
      }
    }
    return false;
  }
}

/** Whether a store that answered like this may still carry the request out. */
const mayHaveLanded = (error: unknown): boolean =>
  !(error instanceof StoreError && ['unauthorised', 'not-set-up', 'refused', 'no-claim'].includes(error.code));
