import { type ClockQuality, type Collector, type EpochMs, epochMs, type StatusRecord } from '@floorwatch/contracts';

import type { ArrivalItem, ReadingItem, StartItem, TickItem } from './journal/journal-item.ts';
import { limits } from './limits.ts';
import type { RecordWriter } from './record-writer.ts';
import type { EngineOutput, SensorEngine } from './sensor-engine.ts';
import type { StateSection } from './state-section.ts';
import type { Upgrade } from './upgrade.ts';

/** What a status record says besides what the items tell. */
export type StatusFacts = Pick<StatusRecord, 'version' | 'configHash' | 'counters'>;

/** What has become of the items so far, beyond the engine's state. */
interface Progress {
  /** When the start was whose epoch the outputs belong to. */
  startedAt: EpochMs;
  /** Ticks since then. */
  ticks: number;
  /** The clock's quality at the last tick or start; readings came in between. */
  quality: ClockQuality;
  /** The clock at the last item. */
  now: EpochMs;
}

const SECTION = 'progress';

/**
 * Turns the journal's items into outputs, one after the other. Live and in a replay it is the same code, and what it makes depends on the
 * items alone (but for the counters in a status record).
 */
export class ItemProcessor {
  readonly #engine: SensorEngine;
  readonly #writer: RecordWriter;
  readonly #statusFacts: () => StatusFacts;
  /** While a replay judges in another way than what the lanes hold was made. */
  #upgrade: Upgrade | undefined;
  readonly #progress: Progress = { startedAt: epochMs(0), ticks: 0, quality: 'unknown', now: epochMs(0) };
  /** Position of the last item. */
  #position = 0;
  #readings = 0;

  constructor(
    engine: SensorEngine,
    writer: RecordWriter,
    upgrade: Upgrade | undefined,
    statusFacts: () => StatusFacts,
  ) {
    this.#engine = engine;
    this.#writer = writer;
    this.#upgrade = upgrade;
    this.#statusFacts = statusFacts;
  }

  get #out(): Collector<EngineOutput> {
    return this.#upgrade ?? this.#writer;
  }

  /** Position of the last item that was processed. */
  get position(): number {
    return this.#position;
  }

  /** Readings processed since the start, replayed ones included. */
  get readings(): number {
    return this.#readings;
  }

  reading(item: ReadingItem, position: number): void {
    const { reading } = item;
    this.#begin(position, item.receivedAt, this.#progress.quality);
    this.#readings += 1;
    this.#engine.accept(reading, this.#out, this.#upgrade?.counts(reading), item);
    this.#upgrade?.passed();
  }

  arrival({ sensor, receivedAt }: ArrivalItem, position: number): void {
    this.#begin(position, receivedAt, this.#progress.quality);
    this.#engine.hear(sensor, receivedAt, this.#out);
    this.#upgrade?.passed();
  }

  tick({ now, quality, sinceStartMs, deaf = false }: TickItem, position: number): void {
    this.#begin(position, now, quality);
    this.#engine.advance({ now, synchronised: quality !== 'unsynchronised', sinceStartMs, deaf }, this.#out);
    if (this.#progress.ticks % limits.ticksPerStatus === 0) {
      const { startedAt } = this.#progress;
      const { sensorCount: sensors } = this.#engine;
      this.#writer.addStatus(() => ({ at: now, startedAt, clock: quality, sensors, ...this.#statusFacts() }));
    }
    this.#progress.ticks += 1;
    this.#upgrade?.passed();
  }

  /** Nothing may wait to be committed: the item's outputs begin an epoch. */
  start({ epoch, at, clock, upgrades }: StartItem, position: number): void {
    this.#engine.start(at);
    this.#begin(position, at, clock);
    this.#writer.addStart(epoch);
    this.#engine.beginCounting(epoch);
    this.#progress.startedAt = at;
    this.#progress.ticks = 0;
    if (this.#upgrade === undefined) return;
    if (upgrades && position >= this.#upgrade.end) {
      this.#upgrade.finish();
      this.#upgrade = undefined;
    } else this.#upgrade.passed();
  }

  #begin(position: number, now: EpochMs, quality: ClockQuality): void {
    this.#position = position;
    this.#progress.quality = quality;
    this.#progress.now = now;
    this.#writer.begin({ position, now, quality });
    this.#upgrade?.begin(position);
  }

  snapshot(): StateSection {
    return { name: SECTION, version: 1, values: { ...this.#progress }, arrays: {} };
  }

  /** Takes up what {@link snapshot} gave; sections of others are passed over. */
  restore(sections: readonly StateSection[], position: number): void {
    const section = sections.find(({ name }) => name === SECTION);
    Object.assign(this.#progress, section?.values);
    this.#position = position;
  }
}
