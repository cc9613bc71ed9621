import { durationMs, epochMs, type Row, type WindowRow } from '@floorwatch/contracts';
import { type Logger, messageOf, pause } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { LateGroup } from '../window/late-windows.ts';
import { readWindows } from './read-windows.ts';
import type { Store } from './store.ts';

/** What the corrector works on: a partition, seen from here. */
export interface LateTarget {
  readonly number: number;
  /** Windows that late readings wait for. */
  lateGroups(): readonly LateGroup[];
  /**
   * The newest value of a window that the store has not confirmed, if there is one; `unchecked` if nobody knows yet whether the store has
   * a newer one.
   */
  unsent(window: Pick<WindowRow, 'sensor' | 'size' | 'start'>): Row | 'unchecked' | undefined;
  /** Whether the store may be read and corrected windows may go into the outbox. */
  ready(): boolean;
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
      for (let from = 0; from < group.starts.length; from += processorLimits.readWindowsMax) {
        if (signal.aborted || !this.#target.ready()) return;
        await this.#correct({ ...group, starts: group.starts.slice(from, from + processorLimits.readWindowsMax) });
      }
    }
  }

  async #correct({ sensor, size, starts }: LateGroup): Promise<void> {
    const known = new Map<number, WindowRow>();
    const [wanted, asked]: [number[], number[]] = [[], []];
    for (const start of starts) {
      const row = this.#target.unsent({ sensor, size: durationMs(size), start: epochMs(start) });
      if (row === 'unchecked') continue;
      wanted.push(start);
      if (row?.table === 'window') known.set(start, row);
      else asked.push(start);
    }
    const stored = await readWindows(this.#store, sensor, durationMs(size), asked);
    this.#target.correct({ sensor, size, starts: wanted }, new Map([...stored, ...known]));
  }
}

const backoff = (failures: number): number =>
  Math.min(processorLimits.retryPauseMsMax, processorLimits.retryPauseMs * 2 ** Math.min(failures, 10));
