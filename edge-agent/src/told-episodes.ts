import { createHash } from 'node:crypto';

import type { AnomalyRecord } from '@floorwatch/contracts';

import { EpisodeCounts, type SavedEpisodeCounts } from './episode-counts.ts';
import { limits } from './limits.ts';
import type { StateSection } from './state-section.ts';

/** An episode's last record, without its number. */
export type EpisodeRecord = Omit<AnomalyRecord, 'number'>;

interface Saved {
  readonly open: readonly EpisodeRecord[];
  readonly ended: readonly string[];
  readonly counts: SavedEpisodeCounts;
}

const SECTION = 'told-episodes';

/** The episodes as the records tell of them. */
export class ToldEpisodes {
  /** The last record of every episode that is open; the engine bounds their number by its sensors and detectors. */
  readonly #open = new Map<string, EpisodeRecord>();
  /** Those that ended because another engine took over. It can find the same again, and then it is another episode. */
  readonly #ended = new Set<string>();
  /** How many records told of, to be told as well. */
  readonly counts = new EpisodeCounts();

  get open(): ReadonlyMap<string, EpisodeRecord> {
    return this.#open;
  }

  /** The id under which records tell of an episode of the engine: its own, unless one with it has ended. */
  idOf(id: string): string {
    let free = id;
    while (this.#ended.has(free)) free = createHash('sha256').update(`again ${free}`).digest('hex').slice(0, 32);
    return free;
  }

  /** Takes in a record, told now or before. */
  learn(record: EpisodeRecord): void {
    if (!this.#open.has(record.id)) this.counts.opened(record.id, record.openedAt);
    if (record.phase === 'closed') this.counts.closed(record.id, record.openedAt);
    if (record.phase !== 'closed') {
      this.#open.set(record.id, record);
      return;
    }
    this.#open.delete(record.id);
    if (record.closeReason !== 'upgraded') return;
    this.#ended.add(record.id);
    const [oldest] = this.#ended;
    if (this.#ended.size > limits.endedEpisodesMax && oldest !== undefined) this.#ended.delete(oldest);
  }

  snapshot(): StateSection {
    const values: Saved = { open: [...this.#open.values()], ended: [...this.#ended], counts: this.counts.snapshot() };
    return { name: SECTION, version: 1, values, arrays: {} };
  }

  /** Takes up what {@link snapshot} gave; sections of others are passed over. */
  restore(sections: readonly StateSection[]): void {
    const saved = sections.find(({ name }) => name === SECTION)?.values as Saved | undefined;
    if (saved === undefined) return;
    for (const record of saved.open) this.#open.set(record.id, record);
    for (const id of saved.ended) this.#ended.add(id);
    this.counts.restore(saved.counts);
  }
}
