import { limits, seconds } from '@floorwatch/contracts';

import type { EpisodeEvent, EpisodeTracker } from './episode-tracker.ts';

/** Episodes of one device that open within this time of each other may have one cause. */
const TOGETHER_MS = seconds(10);

interface KnownEpisode {
  readonly tracker: EpisodeTracker;
  readonly slot: number;
  readonly id: string;
  readonly openedAt: number;
}

/** The open episodes of every device, so that those which begin together can name each other. */
export class RelatedEpisodes {
  /** Devices with an open episode only. */
  readonly #byDevice = new Map<string, KnownEpisode[]>();

  /**
   * Hears of a record before it goes out.
   *
   * @returns the records that go out: that one, with the ids of those that began together with it if it opens, and these again, which
   *   now name it.
   */
  follow(tracker: EpisodeTracker, slot: number, episode: EpisodeEvent): EpisodeEvent[] {
    if (episode.phase === 'updated') return [episode];
    const { device, id, openedAt } = episode;
    const open = this.#byDevice.get(device) ?? [];
    if (episode.phase === 'closed') {
      const left = open.filter((other) => other.id !== id);
      if (left.length > 0) this.#byDevice.set(device, left);
      else this.#byDevice.delete(device);
      return [episode];
    }
    const together = open.filter((other) => Math.abs(other.openedAt - openedAt) <= TOGETHER_MS);
    this.add(tracker, slot, episode);
    if (together.length === 0) return [episode];
    const ids = together.slice(0, limits.relatedMax).map((other) => other.id);
    tracker.relate(slot, ids);
    const renamed = together.map((other) => other.tracker.relate(other.slot, [id]));
    return [{ ...episode, related: ids }, ...renamed.filter((record) => record !== undefined)];
  }

  /** Makes an open episode known without telling the others of it. */
  add(tracker: EpisodeTracker, slot: number, { device, id, openedAt }: EpisodeEvent): void {
    this.#byDevice.set(device, [...(this.#byDevice.get(device) ?? []), { tracker, slot, id, openedAt }]);
  }

  /** All open episodes; those of a device in the order in which they opened. */
  *open(): Generator<{ readonly tracker: EpisodeTracker; readonly slot: number }> {
    for (const episodes of this.#byDevice.values()) yield* episodes;
  }
}
