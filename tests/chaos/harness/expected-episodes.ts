import { epochMs, type GatewayName, type Reading } from '@floorwatch/contracts';
import { type EngineConfig, type EngineOutput, SensorEngine } from '@floorwatch/edge-agent';

import type { EpisodeHistory } from './stream-oracle.ts';

const END_OF_TIME = epochMs(8_640_000_000_000_000);

/**
 * The episodes that an agent would have found in these readings if nothing had ever disturbed it: the engine alone, in one run. Readings
 * of a sensor must come in the order in which it sent them; how sensors lie between one another makes no difference.
 */
export function expectedEpisodes(
  config: EngineConfig,
  gateway: GatewayName,
  readings: Iterable<Reading>,
): Map<string, EpisodeHistory> {
  const episodes = new Map<string, EpisodeHistory>();
  const engine = new SensorEngine(config, gateway);
  const out = {
    emit(output: EngineOutput): void {
      if (output.kind !== 'episode') return;
      const { id, phase, detector, closeReason } = output.episode;
      const { opened, closed } = episodes.get(id) ?? { opened: 0, closed: 0 };
      episodes.set(id, {
        opened: opened + (phase === 'opened' ? 1 : 0),
        closed: closed + (phase === 'closed' ? 1 : 0),
        closeReason,
        detector,
        openedIn: '',
        lastIn: '',
      });
    },
  };
  engine.advance({ now: END_OF_TIME, synchronised: false, sinceStartMs: 0 }, out);
  for (const reading of readings) engine.accept(reading, out);
  return episodes;
}

const EXAMPLES_MAX = 10;

/** How the episodes that were found differ from those that were expected, in words; empty: not at all. */
export function compareEpisodes(
  expected: ReadonlyMap<string, EpisodeHistory>,
  found: ReadonlyMap<string, EpisodeHistory>,
): string[] {
  const differences: string[] = [];
  const say = ({ opened, closed, closeReason }: EpisodeHistory): string =>
    `opened ${opened}, closed ${closed} (${closeReason ?? 'open'})`;
  for (const [id, episode] of expected) {
    const is = found.get(id);
    if (is === undefined) differences.push(`episode ${id} (${episode.detector}) is missing`);
    else if (say(is) !== say(episode))
      differences.push(`episode ${id} (${episode.detector}): ${say(is)} instead of ${say(episode)}`);
  }
  for (const [id, { detector }] of found)
    if (!expected.has(id)) differences.push(`episode ${id} (${detector}) was found by the agent alone`);
  return differences.length > EXAMPLES_MAX
    ? [...differences.slice(0, EXAMPLES_MAX), `… and ${differences.length - EXAMPLES_MAX} more`]
    : differences;
}
