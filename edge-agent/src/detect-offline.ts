import { epochMs, type GatewayName, type Reading } from '@floorwatch/contracts';

import { type EngineConfig, forRecordings } from './sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from './sensor-engine.ts';

/** A clock behind which every recording lies, so that event time alone moves the watermark. */
const END_OF_TIME = epochMs(8_640_000_000_000_000);

/** What a gateway with this configuration would have found in the readings, by the code that it would run. */
export function detectOffline(config: EngineConfig, gateway: GatewayName, readings: Iterable<Reading>): EpisodeEvent[] {
  const episodes: EpisodeEvent[] = [];
  const engine = new SensorEngine(forRecordings(config), gateway);
  const out = {
    emit(output: EngineOutput): void {
      if (output.kind === 'episode') episodes.push(output.episode);
    },
  };
  engine.advance({ now: END_OF_TIME, synchronised: false, sinceStartMs: 0 }, out);
  for (const reading of readings) engine.accept(reading, out);
  engine.close(out);
  return episodes;
}
