import { durationMs, epochMs, type WindowRow } from '@floorwatch/contracts';
import { pause } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { SealedLoss } from '../window/window-operator.ts';
import type { Outbox } from './outbox.ts';
import { windowPages } from './read-windows.ts';
import { rowKey } from './row-key.ts';
import type { Store } from './store.ts';

/** What the marker works on: a partition, seen from here. */
export interface MarkTarget {
  readonly outbox: Pick<Outbox, 'rows'>;
  /** Puts the rows, marked incomplete, into the outbox. */
  mark(rows: readonly WindowRow[]): void;
  /** Everything of a stretch is marked. */
  marked(loss: SealedLoss): void;
}

/** A sealed window of which readings turned out to be lost. */
export const markedIncomplete = (row: WindowRow): WindowRow => ({
  ...row,
  revision: row.revision + 1,
  incomplete: true,
});

/**
 * Marks windows incomplete that had been sealed when their gateway declared readings of that time lost: those of all its sensors, because a
 * gap names times and no sensors. A marked window is its own next revision with the same readings; marking it once more changes nothing, so a
 * stretch that was begun before a restart is simply begun again.
 *
 * Windows that are sealed later, or begun by late readings, know of the loss. So it is enough to look at what is unsent at one instant, and
 * then at what the store has.
 */
export class IncompleteMarker {
  readonly #target: MarkTarget;
  readonly #store: Pick<Store, 'windowsByTime'>;
  readonly #ready: () => boolean;
  /** Windows that were marked since the start. */
  windows = 0;

  constructor(target: MarkTarget, store: Pick<Store, 'windowsByTime'>, ready: () => boolean) {
    this.#target = target;
    this.#store = store;
    this.#ready = ready;
  }

  /** Marks the windows of one stretch, as fast as the outbox has room. @throws StoreError; the stretch goes on waiting. */
  async mark(loss: SealedLoss, signal: AbortSignal): Promise<void> {
    const { gateway, range, sizes } = loss;
    const unsent = this.#target.outbox
      .rows()
      .filter((row) => row.table === 'window')
      .filter(({ sensor, size, start }) => {
        const isHis = sensor.site === gateway.site && sensor.gateway === gateway.gateway;
        return isHis && start <= range[1] && start + size > range[0];
      });
    // The store may give the value before of these while they are on their way.
    const known = new Set(unsent.map(rowKey));
    this.#mark(unsent);
    for (const size of sizes) {
      const [from, to] = [epochMs(Math.floor(range[0] / size) * size), epochMs(range[1] + 1)];
      for await (const rows of windowPages(this.#store, { ...gateway, size: durationMs(size), from, to })) {
        this.#mark(rows.filter((row) => !known.has(rowKey(row))));
        while (!this.#ready() && !signal.aborted) await pause(processorLimits.retryPauseMs, signal);
        if (signal.aborted) return;
      }
    }
    this.#target.marked(loss);
  }

  #mark(rows: readonly WindowRow[]): void {
    const whole = rows.filter(({ incomplete }) => !incomplete);
    this.windows += whole.length;
    this.#target.mark(whole);
  }
}
