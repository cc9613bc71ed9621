import { durationMs, epochMs, type Row, type WindowQuery, type WindowRow } from '@floorwatch/contracts';
import { type Logger, messageOf, pause } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { LateGroup } from '../window/late-windows.ts';
import type { Store } from './store.ts';

/** What the corrector works on: a partition, seen from here. */
export interface LateTarget {
  readonly number: number;
  /** Windows that late readings wait for. */
  lateGroups(): readonly LateGroup[];
  /** The newest value of a window that the store has not confirmed, if there is one. */
  unsent(query: Pick<WindowRow, 'sensor' | 'size' | 'start'>): Row | undefined;
  /** Whether corrected windows may go into the outbox. */
  hasRoom(): boolean;
  /** Corrects windows, given the newest value of each that has one. */
  correct(group: LateGroup, bases: ReadonlyMap<number, WindowRow>): void;
}

/**
 * Gives late readings the value of the window that they belong to. What is unsent is newer than what the store has, and everything else
 * is in the store; nothing but this changes a sealed window, so a value that was read stays true until it is used.
 */
export class LateCorrector {
  readonly #target: LateTarget;
  readonly #store: Pick<Store, 'windows'>;
  readonly #logger: Logger;
  /** The store could not be read when it was last asked. */
  failing = false;

  constructor(target: LateTarget, store: Pick<Store, 'windows'>, logger: Logger) {
    this.#target = target;
    this.#store = store;
    this.#logger = logger;
  }

  /** Works until `signal` aborts. What comes within `lateGatherMs` is merged together, so that a window is read once and written once. */
  async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      await pause(failures === 0 ? processorLimits.lateGatherMs : backoff(failures), signal);
      try {
        await this.round(signal);
        if (failures > 0) this.#logger.info({ partition: this.#target.number }, 'late readings can be merged again');
        failures = 0;
        this.failing = false;
      } catch (error) {
        failures++;
        this.failing = true;
        this.#logger.warn(
          { partition: this.#target.number, error: messageOf(error) },
          'the store can not be read: late readings wait for the windows that they belong to',
        );
      }
    }
  }

  /** Corrects what waits now, as far as there is room. @throws StoreError if the store can't be read; what is left goes on waiting. */
  async round(signal: AbortSignal): Promise<void> {
    for (const group of this.#target.lateGroups()) {
      for (const part of partsOf(group)) {
        if (signal.aborted || !this.#target.hasRoom()) return;
        await this.#correct(part);
      }
    }
  }

  async #correct(part: LateGroup): Promise<void> {
    const bases = new Map<number, WindowRow>();
    const { sensor } = part;
    const size = durationMs(part.size);
    for (const start of part.starts) {
      const row = this.#target.unsent({ sensor, size, start: epochMs(start) });
      if (row?.table === 'window') bases.set(start, row);
    }
    const stored = part.starts.filter((start) => !bases.has(start));
    const [first, last] = [stored[0], stored.at(-1)];
    if (first !== undefined && last !== undefined) {
      const wanted = new Set(stored);
      for await (const row of this.#read({ sensor, size, from: epochMs(first), to: epochMs(last + 1) })) {
        if (wanted.has(row.start)) bases.set(row.start, row);
      }
    }
    this.#target.correct(part, bases);
  }

  async *#read(query: Omit<WindowQuery, 'limit' | 'after'>): AsyncGenerator<WindowRow> {
    for (let after: string | null | undefined; after !== null;) {
      const limit = processorLimits.lateReadWindowsMax;
      const page = await this.#store.windows({ ...query, limit, ...(after === undefined ? {} : { after }) });
      yield* page.items;
      after = page.next;
    }
  }
}

/** Stretches of the group that one question to the store answers, without many windows that nobody asked for. */
function* partsOf(group: LateGroup): Generator<LateGroup> {
  const { starts, size } = group;
  let begin = 0;
  for (let i = 1; i <= starts.length; i++) {
    const [start, before] = [starts[i], starts[i - 1]];
    const goesOn =
      start !== undefined &&
      before !== undefined &&
      (start - before) / size <= processorLimits.lateReadGapMax &&
      i - begin < processorLimits.lateReadWindowsMax;
    if (goesOn) continue;
    yield { ...group, starts: starts.slice(begin, i) };
    begin = i;
  }
}

const backoff = (failures: number): number =>
  Math.min(processorLimits.retryPauseMsMax, processorLimits.retryPauseMs * 2 ** Math.min(failures, 10));
