import { numbersOf, requireSection, type StateArray, StateError, type StateSection } from '../state-section.ts';
import { closing, type EpisodeEvent, type EpisodeTracker, type OpenEpisode } from './episode-tracker.ts';
import type { RelatedEpisodes } from './related-episodes.ts';

/** What has to be told of a fault until it is over: every later release must be able to read it (docs/agent-snapshot-format.md). */
const SECTION = 'episodes';
const VERSION = 1;
const pastOf = (detector: string): string => `past:${detector}`;

interface SavedEpisode {
  readonly detector: string;
  readonly slot: number;
  readonly episode: OpenEpisode;
}

/** The open episodes of all trackers, in the order in which those of a device know each other, and what is kept of closed ones. */
export function episodesSection(trackers: readonly EpisodeTracker[], related: RelatedEpisodes): StateSection {
  const open: SavedEpisode[] = [];
  for (const { tracker, slot } of related.open()) {
    const episode = tracker.openEpisode(slot);
    if (episode !== undefined) open.push({ detector: tracker.detector.name, slot, episode });
  }
  const arrays: Record<string, StateArray> = {};
  for (const tracker of trackers) arrays[pastOf(tracker.detector.name)] = tracker.snapshotPast();
  return { name: SECTION, version: VERSION, values: { open }, arrays };
}

/**
 * Takes up the episodes: those of detectors that are not there any more are passed over.
 *
 * @param goOn whether open episodes go on. If not, they count as closed with their last record, so that a fault which opens again
 *   soon after is known as one that comes and goes.
 */
export function restoreEpisodes(
  sections: readonly StateSection[],
  trackers: readonly EpisodeTracker[],
  related: RelatedEpisodes,
  goOn: boolean,
): void {
  const section = requireSection(sections, SECTION, VERSION);
  const named = new Map(trackers.map((tracker) => [tracker.detector.name, tracker]));
  for (const tracker of trackers) {
    const array = pastOf(tracker.detector.name);
    if (section.arrays[array] !== undefined) tracker.restorePast(numbersOf(section, array));
  }
  for (const { detector, slot, episode } of savedIn(section)) {
    const tracker = named.get(detector);
    if (tracker === undefined) continue;
    tracker.restoreOpen(slot, episode);
    if (goOn) related.add(tracker, slot, episode.opened);
    else tracker.close(slot, episode.sentAt, 'upgraded');
  }
}

/**
 * The last record of every open episode that a snapshot holds, as `closed` with reason `upgraded`: what goes out when a release or
 * configuration that decides otherwise takes over. Needs neither detectors nor the configuration that the snapshot was made with.
 *
 * @throws StateError if there is no such section or a newer release wrote it.
 */
export function upgradedEpisodes(sections: readonly StateSection[]): EpisodeEvent[] {
  const section = requireSection(sections, SECTION, VERSION);
  return savedIn(section).map(({ episode }) => closing(episode, 'upgraded', episode.sentAt));
}

function savedIn(section: StateSection): readonly SavedEpisode[] {
  const { open } = (section.values ?? {}) as { readonly open?: unknown };
  if (!Array.isArray(open)) throw new StateError('malformed', section.name, 'has no list of open episodes');
  return open as readonly SavedEpisode[];
}
