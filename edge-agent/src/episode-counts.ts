import {
  addHash,
  COUNT_MS,
  type CountedEpisodes,
  type EpochMs,
  epochMs,
  hashOf,
  type HashSum,
  hashText,
  intervalStart,
  noHashes,
  textHash,
} from '@floorwatch/contracts';

import { limits } from './limits.ts';

interface Hour {
  readonly since: number;
  opened: number;
  readonly openedHash: HashSum;
  closed: number;
  readonly closedHash: HashSum;
  /** It has changed since it was last told. */
  news: boolean;
}

/** As a snapshot holds them. */
export interface SavedEpisodeCounts {
  readonly total: number;
  readonly hours: readonly (CountedEpisodes & { readonly news: boolean })[];
}

/**
 * Counts episodes by the event hour in which they opened, for comparison with what is stored of them.
 *
 * Bounded: beyond `limits.countedEpisodeHoursMax` the hour that was counted first is forgotten when it was told; what comes for it later
 * begins a new count, whose `since` tells it from the one before.
 */
export class EpisodeCounts {
  readonly #hours = new Map<EpochMs, Hour>();
  /** Openings and closings counted in all. */
  #total = 0;

  opened(id: string, openedAt: EpochMs): void {
    const hour = this.#hour(openedAt);
    hour.opened += 1;
    addHash(hour.openedHash, textHash(id));
  }

  closed(id: string, openedAt: EpochMs): void {
    const hour = this.#hour(openedAt);
    hour.closed += 1;
    addHash(hour.closedHash, textHash(id));
  }

  #hour(openedAt: EpochMs): Hour {
    const start = intervalStart(openedAt, COUNT_MS);
    let hour = this.#hours.get(start);
    if (hour === undefined) {
      hour = { since: this.#total, opened: 0, openedHash: noHashes(), closed: 0, closedHash: noHashes(), news: true };
      this.#hours.set(start, hour);
    }
    this.#total += 1;
    hour.news = true;
    return hour;
  }

  /** Whether something changed since it was last told. */
  get hasNews(): boolean {
    for (const { news } of this.#hours.values()) if (news) return true;
    return false;
  }

  /** Takes at most `max` hours that changed since they were last told; they count as told. */
  take(max: number): CountedEpisodes[] {
    const taken: CountedEpisodes[] = [];
    for (const [start, hour] of this.#hours) {
      if (!hour.news) continue;
      if (taken.length >= max) break;
      hour.news = false;
      taken.push(told(start, hour));
    }
    for (const [start, hour] of this.#hours) {
      if (this.#hours.size <= limits.countedEpisodeHoursMax) break;
      if (!hour.news) this.#hours.delete(start);
    }
    return taken;
  }

  snapshot(): SavedEpisodeCounts {
    return {
      total: this.#total,
      hours: Array.from(this.#hours, ([start, hour]) => ({ ...told(start, hour), news: hour.news })),
    };
  }

  restore({ total, hours }: SavedEpisodeCounts): void {
    this.#total = total;
    for (const { hour, openedHash, closedHash, ...counts } of hours) {
      this.#hours.set(epochMs(hour), { ...counts, openedHash: hashOf(openedHash), closedHash: hashOf(closedHash) });
    }
  }
}

const told = (hour: EpochMs, { since, opened, openedHash, closed, closedHash }: Hour): CountedEpisodes => ({
  hour,
  since,
  opened,
  openedHash: hashText(openedHash)!,
  closed,
  closedHash: hashText(closedHash)!,
});
