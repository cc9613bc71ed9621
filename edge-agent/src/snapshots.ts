import { epochMs, type Lane } from '@floorwatch/contracts';
import { type Logger, messageOf } from '@floorwatch/runtime';

import { limits } from './limits.ts';
import type { SnapshotFile } from './snapshot/snapshot-file.ts';
import type { CapturedSection } from './state-section.ts';
import type { SnapshotView } from './status/durable-views.ts';

/** What stands at the beginning of a snapshot. */
export interface SnapshotHeader {
  readonly site: string;
  readonly gateway: string;
  /** Every item of the journal up to this position is in it, and nothing behind. */
  readonly position: number;
  /** Ordinal of the epoch in hand. */
  readonly ordinal: number;
  readonly outputHash: string;
  /** In each lane, the first record that comes from items behind `position`. */
  readonly lanes: Readonly<Record<Lane, number>>;
  /** When it was taken, by the gateway's clock, epoch ms. */
  readonly at: number;
}

/** The state as of one moment. */
export interface Captured {
  readonly header: SnapshotHeader;
  readonly sections: readonly CapturedSection[];
  /** To be called when the sections are not needed any more. */
  readonly release: () => void;
}

export interface SnapshotParts {
  readonly file: SnapshotFile;
  readonly capture: () => Captured;
  /** Readings processed since the start. */
  readonly readings: () => number;
  /** Whether the journal needs room. */
  readonly isPressing: () => boolean;
  /** Called when a snapshot is safe, with the one before it, which is kept too: what only serves to come there is not needed any more. */
  readonly covered: (before: SnapshotHeader) => Promise<void>;
  /** Called when one could not be saved. */
  readonly failed: () => void;
  readonly logger: Logger;
}

/** How often snapshots are taken: whichever comes first. */
export interface SnapshotSchedule {
  readonly snapshotMs: number;
  readonly snapshotReadings: number;
}

/**
 * Takes snapshots between two steps of the processing, when every output of what was processed is safe, and writes them while it goes on.
 * Two are kept, so the journal is kept as far back as the older one.
 */
export class Snapshots {
  readonly #parts: SnapshotParts;
  readonly #schedule: SnapshotSchedule;
  /** The newest one. */
  #newest: SnapshotHeader | undefined;
  /** Position of the one before it, if it was saved since the start. */
  #before: number | undefined;
  #takenMs = performance.now();
  #takenReadings = 0;
  #saving = false;
  #running: Promise<void> = Promise.resolve();
  #view: SnapshotView;

  /** @param loaded the one that this start went on from. */
  constructor(
    parts: SnapshotParts,
    schedule: SnapshotSchedule,
    loaded: { readonly header: SnapshotHeader; readonly bytes: number } | undefined,
  ) {
    this.#parts = parts;
    this.#schedule = schedule;
    this.#newest = loaded?.header;
    const at = loaded === undefined ? null : epochMs(loaded.header.at);
    this.#view = { at, bytes: loaded?.bytes ?? 0, durationMs: 0, pauseMs: 0, failures: 0 };
  }

  get view(): SnapshotView {
    return this.#view;
  }

  /** To be called between two steps: takes a snapshot if it is time. */
  betweenSteps(): void {
    if (!this.#saving && this.#isDue()) this.#running = this.#take();
  }

  /** The next one is taken as soon as possible. */
  hurry(): void {
    this.#takenMs = -Infinity;
  }

  #isDue(): boolean {
    const { snapshotMs, snapshotReadings } = this.#schedule;
    const sinceMs = performance.now() - this.#takenMs;
    const readings = this.#parts.readings() - this.#takenReadings;
    if (sinceMs >= snapshotMs || readings >= snapshotReadings) return true;
    return sinceMs >= limits.pressingSnapshotMs && this.#parts.isPressing();
  }

  /**
   * Takes the last one, unless nothing has happened since the newest. To be called when nothing is processed any more, and every output of
   * what was is safe.
   */
  async takeLast(): Promise<void> {
    await this.#running;
    await this.#take();
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #take(): Promise<void> {
    const { file, capture, readings, isPressing, covered, failed, logger } = this.#parts;
    const begun = performance.now();
    const { header, sections, release } = capture();
    const { position } = header;
    // A second one of the same position covers the journal up to there.
    if (position === this.#newest?.position && (position === this.#before || !isPressing())) {
      release();
      this.#takenMs = begun;
      return;
    }
    const pauseMs = performance.now() - begun;
    this.#saving = true;
    this.#takenMs = begun;
    this.#takenReadings = readings();
    try {
      const bytes = await file.save(header, sections);
      const { failures } = this.#view;
      const durationMs = performance.now() - begun;
      this.#view = { at: epochMs(header.at), bytes, durationMs, pauseMs, failures };
      const before = this.#newest;
      this.#newest = header;
      this.#before = before?.position;
      if (before !== undefined) await covered(before);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'the state of the sensors could not be saved; trying again later');
      this.#view = { ...this.#view, failures: this.#view.failures + 1, lastError: messageOf(error) };
      failed();
    } finally {
      release();
      this.#saving = false;
    }
  }
}
