import type { Row, WriteOutcome } from '@floorwatch/contracts';

import { type Store, StoreError } from './store.ts';

/** The right to write, which ends by itself. */
export interface WriteRight {
  /** Milliseconds until it ends; 0 or less: it has ended. */
  readonly msLeft: number;
  /** Whether enough of it is left to begin something. */
  readonly mayAct: boolean;
}

/** Where rows are written to. */
export type RowWriter = Pick<Store, 'write' | 'lingerMs'>;

/** A sleeping machine stops timers, so the clocks are looked at again this often. */
const LOOK_MS = 1_000;

/**
 * Writes to `store` only while `right` lasts. No request begins when too little of it is left, and one that is under way when it ends is
 * given up; what became of it is then unknown, as after any request without an answer.
 */
export function writesWithin(store: RowWriter, right: WriteRight): RowWriter {
  const check = (): void => {
    if (!right.mayAct) throw new StoreError('no-claim', 'the claim on the partition has ended, so nothing is written');
  };
  return {
    lingerMs: store.lingerMs,
    async write(batch: readonly Row[], signal: AbortSignal): Promise<WriteOutcome> {
      check();
      const request = new AbortController();
      const abort = (): void => request.abort(signal.reason);
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
      const ended = endOf(right);
      ended.reached.catch((error: unknown) => request.abort(error));
      try {
        const written = store.write(batch, request.signal, check);
        // A store that can not stop what it has begun must not hold up whoever waits for it.
        written.catch(() => undefined);
        return await Promise.race([written, ended.reached]);
      } catch (error) {
        throw ended.error ?? error;
      } finally {
        ended.stop();
        signal.removeEventListener('abort', abort);
      }
    },
  };
}

/** Waits for the end of a right. `reached` rejects then. */
function endOf(right: WriteRight): {
  readonly reached: Promise<never>;
  readonly error: StoreError | undefined;
  stop(): void;
} {
  let timer: NodeJS.Timeout | undefined;
  let error: StoreError | undefined;
  const reached = new Promise<never>((_resolve, reject) => {
    const look = (): void => {
      const { msLeft } = right;
      if (msLeft > 0) {
        timer = setTimeout(look, Math.min(LOOK_MS, msLeft));
        return;
      }
      const message = 'the claim on the partition ended before the store answered; what became of the rows is unknown';
      error = new StoreError('unreachable', message);
      reject(error);
    };
    look();
  });
  return {
    reached,
    get error() {
      return error;
    },
    stop: () => clearTimeout(timer),
  };
}
