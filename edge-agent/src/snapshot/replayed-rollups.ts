import { type Collector, epochMs, type Rollup, type RollupSensor } from '@floorwatch/contracts';

import type { EngineOutput, SensorEngine } from '../sensor-engine.ts';

type HeldRollup = Rollup & { readonly named: RollupSensor };

/**
 * The rollups of a replay whose engine has other rules or another configuration than the one that made the first records of the same
 * readings. Those records stand, so what they count must not be counted again; what they do not count must go out.
 *
 * A record that came from position q of the journal counts all readings of its bucket up to q that no record before it counts. So the
 * replay goes from position to position: it gives this as the collector to the engine, and after each position says what had been told
 * there. At the end, {@link take} is what the engine has let out and nobody had told; it goes out as records of the new epoch, and what is
 * still open goes on.
 *
 * Example: the bucket 10:00:00 was told at position 40 with three readings; the new engine, whose watermark is further back, still has
 * them open. `told` after position 40 forgets the three. A fourth one at position 45 begins the bucket anew, and goes out alone.
 */
export class ReplayedRollups implements Collector<EngineOutput> {
  readonly #engine: SensorEngine;
  /** By sensor and start, in the order in which they were let out. */
  readonly #held = new Map<string, HeldRollup[]>();

  constructor(engine: SensorEngine) {
    this.#engine = engine;
  }

  /** Keeps rollups. Episodes and ticks of a replay are of no use: the records that were made first stand. */
  emit(output: EngineOutput): void {
    if (output.kind !== 'rollups') return;
    for (const rollup of output.rollups) {
      const named = output.sensors[rollup.sensor]!;
      const key = keyOf(named, rollup.start);
      this.#held.set(key, [...(this.#held.get(key) ?? []), { ...rollup, named }]);
    }
  }

  /** Says that a record from the position just replayed tells of this bucket. */
  told(sensor: RollupSensor, start: number): void {
    this.#held.delete(keyOf(sensor, start));
    this.#engine.discardRollup(sensor.device, sensor.metric, epochMs(start));
  }

  /** What has to go out. Nothing is held afterwards. */
  take(): EngineOutput[] {
    const held = [...this.#held.values()].flat();
    this.#held.clear();
    return held.map(({ named, ...rollup }) => ({
      kind: 'rollups',
      rollups: [{ ...rollup, sensor: 0 }],
      sensors: [named],
    }));
  }
}

const keyOf = ({ device, metric }: RollupSensor, start: number): string => JSON.stringify([device, metric, start]);
