import { setImmediate as nextTurn } from 'node:timers/promises';

import { LANES } from '@floorwatch/contracts';
import { Condition, pause } from '@floorwatch/runtime';

import type { ItemProcessor } from './item-processor.ts';
import type { ArrivalItem, ReadingItem, TickItem } from './journal/journal-item.ts';
import { limits } from './limits.ts';
import type { RecordWriter } from './record-writer.ts';
import type { Refusals } from './refusals.ts';

/** Items of the journal that are safe, the first at `first`; arrivals follow readings. */
export type SafeItems =
  | { readonly first: number; readonly readings: readonly ReadingItem[]; readonly arrivals?: readonly ArrivalItem[] }
  | { readonly first: number; readonly tick: TickItem };

/**
 * Processes what is safe in the journal, in order of positions, and puts what it makes into the lanes. As long as a lane does not take it,
 * nothing further is processed: the outputs wait in memory, and would be made again by the next start.
 */
export class ProcessingQueue {
  readonly #processor: ItemProcessor;
  readonly #writer: RecordWriter;
  readonly #refusals: Refusals;
  readonly #betweenSteps: () => void;
  #waiting: SafeItems[] = [];
  /** Items in `#waiting`. */
  #items = 0;
  /** Items of the present step that are processed. */
  #inHand = 0;
  #ended = false;
  #looks = false;
  readonly #changed = new Condition();

  /** @param betweenSteps called when every output of what was processed is safe. */
  constructor(processor: ItemProcessor, writer: RecordWriter, refusals: Refusals, betweenSteps: () => void) {
    this.#processor = processor;
    this.#writer = writer;
    this.#refusals = refusals;
    this.#betweenSteps = betweenSteps;
  }

  /** Items that wait to be processed, or for what they made to be safe. */
  get length(): number {
    return this.#items + this.#inHand;
  }

  /** Items that wait to be processed. */
  get waiting(): number {
    return this.#items;
  }

  /** Takes items whose frame is safe; to be called in the order of their positions. */
  push(items: SafeItems): void {
    this.#waiting.push(items);
    this.#items += countOf(items);
    this.#changed.notify();
  }

  /** Has a step made although nothing may come: what is done between steps can make room in the journal. */
  look(): void {
    this.#looks = true;
    this.#changed.notify();
  }

  /** Nothing more will be pushed: {@link run} ends when all is processed. */
  end(): void {
    this.#ended = true;
    this.#changed.notify();
  }

  /** Resolves when at most `items` wait, or `signal` aborts. */
  async whenBelow(items: number, signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.#items <= items, signal);
  }

  /**
   * Processes until the queue has ended and is empty; then every output is safe.
   *
   * @returns false if `signal` aborted before: what was processed last may not be in the lanes, and its state must not be saved.
   */
  async run(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      await this.#changed.until(() => this.#waiting.length > 0 || this.#ended || this.#looks, signal);
      if (signal.aborted) return this.#items === 0;
      if (this.#waiting.length === 0 && this.#ended) return true;
      this.#looks = false;
      let yieldedAt = 0;
      // What came meanwhile shares one frame per lane, unless it makes much.
      while (
        this.#waiting.length > 0 &&
        this.#writer.bytes < limits.stepBytesMax &&
        this.#inHand < limits.stepItemsMax
      ) {
        const items = this.#waiting.shift()!;
        this.#process(items);
        this.#inHand += countOf(items);
        this.#items -= countOf(items);
        this.#changed.notify();
        if (this.#inHand - yieldedAt < limits.deliveryReadingsMax) continue;
        // Devices are read and answered in between.
        yieldedAt = this.#inHand;
        await nextTurn();
      }
      if (!(await commitUntilTaken(this.#writer, this.#refusals, signal))) return false;
      this.#inHand = 0;
      this.#betweenSteps();
    }
  }

  #process(items: SafeItems): void {
    const { first } = items;
    if ('tick' in items) {
      this.#processor.tick(items.tick, first);
      return;
    }
    const { readings, arrivals = [] } = items;
    readings.forEach((reading, index) => this.#processor.reading(reading, first + index));
    arrivals.forEach((arrival, index) => this.#processor.arrival(arrival, first + readings.length + index));
  }
}

/** Commits what a step made, again and again until the lanes take it. False: `signal` aborted before. */
export async function commitUntilTaken(
  writer: RecordWriter,
  refusals: Refusals,
  signal: AbortSignal,
): Promise<boolean> {
  for (;;) {
    try {
      await writer.commit();
      for (const lane of LANES) refusals.succeeded(lane);
      return true;
    } catch (error) {
      // The anomaly lane goes first: if it waits no longer, the telemetry lane is the one that failed.
      const lane = writer.waitingLane ?? 'telemetry';
      refusals.failed(lane, error);
      if (lane === 'telemetry') refusals.succeeded('anomaly');
      await pause(limits.refusedPauseMs, signal);
      if (signal.aborted) return false;
    }
  }
}

const countOf = (items: SafeItems): number =>
  'tick' in items ? 1 : items.readings.length + (items.arrivals?.length ?? 0);
