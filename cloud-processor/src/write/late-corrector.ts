import { durationMs, epochMs, type WindowRow } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, retryDelay } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { LateGroup, LateWindows } from '../window/late-windows.ts';
import type { WindowOperator } from '../window/window-operator.ts';
import { IncompleteMarker, type MarkTarget } from './incomplete-marker.ts';
import type { Outbox } from './outbox.ts';
import { readWindows } from './read-windows.ts';
import { rowKey } from './row-key.ts';
import type { Store } from './store.ts';

/** What the corrector works on: a partition, seen from here. */
export interface LateTarget extends MarkTarget {
  readonly number: number;
  readonly windows: Pick<WindowOperator, 'losses'> & { readonly lateWindows: Pick<LateWindows, 'groups'> };
  readonly outbox: Pick<Outbox, 'get' | 'rows' | 'unchecked'>;
  /** Corrects windows, given the newest value of each that has one. */
  correct(group: LateGroup, bases: ReadonlyMap<number, WindowRow>): void;
}

/**
 * Gives late readings the value of the window that they belong to. What is unsent is newer than what the store has, and everything else
 * is in the store; nothing but this changes a sealed window, so a value that was read stays true until it is used. For the same reason it
 * marks the windows of which readings were lost after they had been sealed.
 */
export class LateCorrector {
  readonly #target: LateTarget;
  readonly #store: Pick<Store, 'windows' | 'windowsByTime'>;
  readonly #logger: Logger;
  readonly #ready: () => boolean;
  readonly marker: IncompleteMarker;
  /** The store could not be read when it was last asked. */
  failing = false;

  constructor(options: {
    readonly target: LateTarget;
    readonly store: Pick<Store, 'windows' | 'windowsByTime'>;
    readonly logger: Logger;
    /** Whether the store may be read and corrected windows may go into the outbox. */
    readonly ready: () => boolean;
  }) {
    const { target, store, logger, ready } = options;
    this.#target = target;
    this.#store = store;
    this.#logger = logger;
    this.#ready = ready;
    this.marker = new IncompleteMarker(target, store, ready);
  }

  /** Works until `signal` aborts. What comes within `lateGatherMs` is merged together, so that a window is read once and written once. */
  async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      const { lateGatherMs, retryPauseMs, retryPauseMsMax } = processorLimits;
      const retry = { firstMs: retryPauseMs, maxMs: retryPauseMsMax };
      await pause(failures === 0 ? lateGatherMs : retryDelay(retry, failures), signal);
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
    const { windows, outbox } = this.#target;
    // What was late before these losses may begin windows that they touch, so it is merged first.
    const losses = windows.losses();
    for (const group of windows.lateWindows.groups()) {
      for (let from = 0; from < group.starts.length; from += processorLimits.readWindowsMax) {
        if (signal.aborted || !this.#ready()) return;
        await this.#correct({ ...group, starts: group.starts.slice(from, from + processorLimits.readWindowsMax) });
      }
    }
    for (const loss of losses) {
      if (signal.aborted || outbox.unchecked.length > 0 || !this.#ready()) return;
      await this.marker.mark(loss, signal);
    }
  }

  async #correct({ sensor, size, starts }: LateGroup): Promise<void> {
    const known = new Map<number, WindowRow>();
    const [wanted, asked]: [number[], number[]] = [[], []];
    for (const start of starts) {
      const key = rowKey({ table: 'window', sensor, size: durationMs(size), start: epochMs(start) });
      const row = this.#target.outbox.get(key);
      if (row === 'unchecked') continue;
      wanted.push(start);
      if (row?.table === 'window') known.set(start, row);
      else asked.push(start);
    }
    const stored = await readWindows(this.#store, sensor, durationMs(size), asked);
    this.#target.correct({ sensor, size, starts: wanted }, new Map([...stored, ...known]));
  }
}
