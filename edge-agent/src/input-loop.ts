import { type Delivery, durationMs, LANES } from '@floorwatch/contracts';
import { Condition, messageOf, pause } from '@floorwatch/runtime';

import type { AcceptedReading, Intake, IntakeClock } from './ingest/intake.ts';
import type { RawMessage } from './ingest/raw-message.ts';
import type { ArrivalItem, TickItem } from './journal/journal-item.ts';
import type { Journal } from './journal/journal.ts';
import { limits } from './limits.ts';
import type { ProcessingQueue } from './processing-queue.ts';
import type { Quarantine } from './quarantine/quarantine.ts';
import { refusalLabel, type Refusals } from './refusals.ts';

export interface InputParts {
  readonly intake: Intake;
  readonly journal: Pick<Journal, 'appendReadings' | 'appendTick'>;
  readonly quarantine: Pick<Quarantine, 'append' | 'probe'>;
  readonly queue: ProcessingQueue;
  readonly refusals: Refusals;
  readonly clock: IntakeClock;
}

/**
 * Takes deliveries into the journal. They overlap: while one waits for the disk the next ones are read. They are settled, acknowledged and
 * handed on in the order in which they came, which is that of their positions.
 *
 * A delivery that can't be made safe is refused, and so is every one that was taken before that was known: it may hold repeats of what was
 * lost. Devices send all of it again; what had become safe is then a repeat.
 */
export class InputLoop {
  readonly #parts: InputParts;
  /** Ends when everything appended so far is settled. */
  #settling: Promise<void> = Promise.resolve();
  /** Deliveries that are taken and not settled, and what of them goes into the journal. */
  readonly #open = { deliveries: 0, readings: 0 };
  /** Deliveries taken so far, and up to which one all are refused. */
  #taken = 0;
  #refusedThrough = 0;
  #refusedFor: Error | undefined;
  #turnedAway = 0;
  /** What broke the order: nothing can be settled any more. */
  #failure: Error | undefined;
  readonly #changed = new Condition();

  constructor(parts: InputParts) {
    this.#parts = parts;
  }

  /** Messages that came when the agent was stopping and were not taken. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  /** Takes deliveries until there are no more, or `signal` aborts; then everything that was taken is settled. */
  async run(deliveries: AsyncIterable<Delivery<RawMessage>>, signal: AbortSignal): Promise<void> {
    for await (const delivery of this.#whenThereIsRoom(deliveries, signal)) {
      await this.#room(signal);
      if (this.#failure !== undefined) throw this.#failure;
      if (!signal.aborted) {
        await this.#take(delivery, signal);
        continue;
      }
      this.#turnedAway += delivery.items.length;
      await delivery.nack(new Error('the agent is stopping'), durationMs(0));
    }
    await this.settled();
  }

  /** Resolves when everything that was taken so far is settled, and handed on if it is safe. */
  async settled(): Promise<void> {
    await this.#settling;
  }

  /**
   * Takes the time into the journal; not while a lane can't be written. A journal or quarantine that could not be written is thereby tried
   * again, also when nothing comes.
   */
  tick(tick: TickItem): void {
    const { journal, quarantine, queue, refusals } = this.#parts;
    if (LANES.some((lane) => refusals.has(lane))) return;
    if (refusals.has('quarantine')) void this.#setAside(async () => quarantine.probe());
    this.#inOrder(this.#appended(journal.appendTick(tick)), (first) => {
      if (!(first instanceof Error)) queue.push({ first, tick });
    });
  }

  /** Asks for a delivery when there is room for it, so that it holds what has come by then of everybody. */
  async *#whenThereIsRoom<T>(deliveries: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
    const iterator = deliveries[Symbol.asyncIterator]();
    try {
      for (;;) {
        await this.#room(signal);
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  /** Waits until there is room for another delivery, and every lane can be written. */
  async #room(signal: AbortSignal): Promise<void> {
    const { queue, refusals } = this.#parts;
    if (refusals.has('journal')) await pause(limits.refusedPauseMs, signal);
    for (const lane of LANES) await refusals.whenTaken(lane, signal);
    const { openDeliveriesMax, openReadingsMax } = limits;
    const hasRoom = (): boolean => this.#open.deliveries < openDeliveriesMax && this.#open.readings < openReadingsMax;
    if (!hasRoom()) await this.#changed.until(hasRoom, signal);
    if (queue.waiting > limits.processingItemsMax) await queue.whenBelow(limits.processingItemsMax, signal);
  }

  async #take(delivery: Delivery<RawMessage>, signal: AbortSignal): Promise<void> {
    const { intake, quarantine, queue, clock } = this.#parts;
    // Messages are not held on to: at full rate thousands of them wait for the disk, and would outlive the space for new objects.
    const { items, ...settlement } = delivery;
    const taken = intake.take(items, clock);
    const number = ++this.#taken;
    const { readings, arrivals, quarantined, senders } = taken;
    const toJournal = readings.length + arrivals.length;
    this.#open.deliveries += 1;
    this.#open.readings += toJournal;
    // Before its readings, and with nothing taken meanwhile, so that they are not safe alone if this fails.
    const kept =
      quarantined.length === 0 || (await this.#setAside(async () => quarantine.append(quarantined, senders)));
    this.#inOrder(kept === true ? this.#journaled(readings, arrivals) : Promise.reject(kept), async (first) => {
      this.#open.deliveries -= 1;
      this.#open.readings -= toJournal;
      this.#changed.notify();
      if (first instanceof Error) {
        intake.settled(taken, false, refusalLabel(first));
        this.#refusedThrough = this.#taken;
        this.#refusedFor = first;
        return this.#nack(settlement);
      }
      intake.settled(taken, true);
      if (toJournal > 0) {
        intake.position = first + toJournal - 1;
        queue.push({ first, readings, arrivals });
      }
      return number > this.#refusedThrough ? settlement.ack() : this.#nack(settlement);
    });
    // What is refused comes again at once.
    if (kept !== true) await pause(limits.refusedPauseMs, signal);
  }

  /** Writes to the quarantine; the error if that failed. */
  async #setAside(write: () => Promise<unknown>): Promise<true | Error> {
    const { refusals } = this.#parts;
    try {
      await write();
      refusals.succeeded('quarantine');
      return true;
    } catch (error) {
      refusals.failed('quarantine', error);
      return asError(error);
    }
  }

  async #journaled(readings: readonly AcceptedReading[], arrivals: readonly ArrivalItem[]): Promise<number> {
    // None says nothing of whether the journal can be written.
    if (readings.length + arrivals.length === 0) return 0;
    return this.#appended(this.#parts.journal.appendReadings(readings, arrivals));
  }

  /** Notes whether the journal can be written. */
  async #appended(safe: Promise<number>): Promise<number> {
    const { queue, refusals } = this.#parts;
    try {
      const first = await safe;
      refusals.succeeded('journal');
      return first;
    } catch (error) {
      refusals.failed('journal', error);
      queue.look();
      throw error;
    }
  }

  /** Has `settle` called when what was appended before is settled, with the position of the first item, or why it is not safe. */
  #inOrder(safe: Promise<number>, settle: (first: number | Error) => unknown): void {
    const settled = safe.catch(asError);
    this.#settling = this.#settling.then(async () => void (await settle(await settled)));
    this.#settling.catch((error: unknown) => (this.#failure ??= asError(error)));
  }

  async #nack(settlement: Settlement): Promise<void> {
    await settlement.nack(this.#refusedFor ?? new Error('not kept'), durationMs(limits.refusedPauseMs));
  }
}

/** What is left to do with a delivery whose messages were read. */
type Settlement = Omit<Delivery<RawMessage>, 'items'>;

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(messageOf(error)));
