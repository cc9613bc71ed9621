import { setImmediate as nextTurn } from 'node:timers/promises';

import { type ClockQuality, type EpochMs, LANES } from '@floorwatch/contracts';
import { type Logger, pause, VERSION } from '@floorwatch/runtime';

import type { Intake } from './ingest/intake.ts';
import type { ItemProcessor } from './item-processor.ts';
import type { JournalItem, StartItem } from './journal/journal-item.ts';
import { limits } from './limits.ts';
import { commitUntilTaken } from './processing-queue.ts';
import type { RecordWriter } from './record-writer.ts';
import type { Refusals } from './refusals.ts';
import type { Restored } from './restore.ts';
import { newEpoch, ordinalOf } from './spool/epoch.ts';
import type { ReplayView } from './status/durable-views.ts';
import type { Storage } from './storage.ts';

export interface RecoveryParts {
  readonly storage: Pick<Storage, 'journal' | 'lanes'>;
  readonly intake: Intake;
  readonly processor: ItemProcessor;
  readonly writer: RecordWriter;
  readonly restored: Pick<Restored, 'header' | 'outputHash' | 'upgrade' | 'upgrades'>;
  readonly refusals: Refusals;
  readonly logger: Logger;
}

/**
 * Brings the agent from its snapshot to where it was: processes what the journal holds behind it, and begins a new epoch. Outputs that the
 * lanes have already are not made twice (see {@link RecordWriter}).
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #begun = performance.now();
  #state: ReplayView['state'] = 'running';
  #items = 0;
  #itemsTotal = 0;
  #durationMs = 0;
  /** Items that were safe once and are not there. */
  #lost = 0;
  /** The highest ordinal of an epoch seen. */
  #ordinal = 0;
  #loggedAt = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#ordinal = parts.restored.header?.ordinal ?? 0;
  }

  /** Whether what the lanes held was made in another way, and has ended. */
  get upgraded(): boolean {
    return this.#parts.restored.upgrade !== undefined;
  }

  /** Ordinal of the newest epoch. */
  get ordinal(): number {
    return this.#ordinal;
  }

  get view(): ReplayView {
    const durationMs = this.#state === 'done' ? this.#durationMs : performance.now() - this.#begun;
    return { state: this.#state, items: this.#items, itemsTotal: this.#itemsTotal, durationMs };
  }

  /** Items that were safe once and could not be read by this start. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Replays the journal.
   *
   * @returns false if `signal` aborted before everything was in the lanes.
   * @throws StartError if it holds what this release can't read.
   */
  async replay(signal: AbortSignal): Promise<boolean> {
    const { journal, lanes } = this.#parts.storage;
    const { writer, processor, intake, logger } = this.#parts;
    for (const lane of LANES) this.#ordinal = Math.max(this.#ordinal, ordinalOf(lanes[lane].epoch));
    const from = processor.position + 1;
    // With `durability: process` a power cut can take more of the journal than of the lanes.
    await journal.advanceTo(Math.max(from, intake.position + 1, ...LANES.map((lane) => writer.through(lane) + 1)));
    this.#itemsTotal = Math.max(0, journal.next - Math.max(from, journal.first));
    let next = from;
    for await (const { first, items } of journal.read(from)) {
      this.#missing(next, first);
      for (const [index, item] of items.entries()) {
        const isStart = item.kind === 'start';
        if (isStart && !(await this.#commit(signal))) return false;
        this.#process(item, first + index);
        if (++this.#items % limits.replayStepItems !== 0 && writer.bytes < limits.stepBytesMax) continue;
        if (!(await this.#commit(signal))) return false;
        await this.#breathe();
      }
      next = first + items.length;
    }
    this.#missing(next, journal.next);
    if (!(await this.#commit(signal))) return false;
    this.#durationMs = performance.now() - this.#begun;
    this.#state = 'done';
    const { items, durationMs } = this.view;
    if (items > 0) logger.info({ items, durationMs: Math.round(durationMs) }, 'read again what was accepted before');
    if (this.#lost > 0)
      logger.error({ items: this.#lost }, 'readings that were accepted before can not be read any more');
    return true;
  }

  #process(item: JournalItem, position: number): void {
    const { processor, intake } = this.#parts;
    switch (item.kind) {
      case 'reading':
        // The intake is ahead of what was processed when a snapshot is taken.
        if (position > intake.position) {
          intake.replay(item);
          intake.position = position;
        }
        processor.reading(item, position);
        break;
      case 'arrival':
        processor.arrival(item, position);
        break;
      case 'tick':
        processor.tick(item, position);
        break;
      case 'start':
        this.#ordinal = Math.max(this.#ordinal, ordinalOf(item.epoch));
        processor.start(item, position);
        break;
    }
  }

  #missing(from: number, before: number): void {
    if (before > from) this.#lost += this.#parts.storage.journal.lostIn({ from, to: before - 1 });
  }

  async #commit(signal: AbortSignal): Promise<boolean> {
    return commitUntilTaken(this.#parts.writer, this.#parts.refusals, signal);
  }

  /** Lets others have a turn, and says how far it is. */
  async #breathe(): Promise<void> {
    await nextTurn();
    const now = performance.now();
    if (now - Math.max(this.#begun, this.#loggedAt) < limits.replayLoggedMs) return;
    this.#loggedAt = now;
    const { items, itemsTotal } = this.view;
    this.#parts.logger.info({ items, itemsTotal }, 'reading again what was accepted before');
  }

  /**
   * Begins an epoch of its own for this start. Tries until the disk takes it.
   *
   * @returns false if `signal` aborted before.
   */
  async begin(at: EpochMs, clock: ClockQuality, signal: AbortSignal): Promise<boolean> {
    const { processor, refusals } = this.#parts;
    const { outputHash, upgrades } = this.#parts.restored;
    this.#ordinal += 1;
    const item: StartItem = { epoch: newEpoch(this.#ordinal), at, clock, version: VERSION, outputHash, upgrades };
    const position = await this.#append(item, signal);
    if (position === undefined) return false;
    refusals.succeeded('journal');
    processor.start(item, position);
    return this.#commit(signal);
  }

  async #append(item: StartItem, signal: AbortSignal): Promise<number | undefined> {
    const { refusals, storage } = this.#parts;
    while (!signal.aborted) {
      try {
        return await storage.journal.appendStart(item);
      } catch (error) {
        refusals.failed('journal', error);
        await pause(limits.refusedPauseMs, signal);
      }
    }
    return undefined;
  }
}
