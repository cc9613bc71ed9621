import { type EpochMs, epochMs, minutes, seconds } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { SIMULATED_ENGINE } from '../../deploy/local/src/simulated-engine.ts';
import { SensorUnits } from '../../edge-agent/src/ingest/sensor-units.ts';
import { engineConfigSchema } from '../../edge-agent/src/sensor-engine-config.ts';
import { LiveEngine } from '../../edge-agent/test/support/live-items.ts';
import { createFloor } from '../../simulator/src/generate/floor.ts';
import { FloorGenerator } from '../../simulator/src/generate/floor-generator.ts';
import { Injector } from '../../simulator/src/inject/injector.ts';
import { demoSchedule } from '../../simulator/src/inject/schedule.ts';
import { type TruthLine, truthOf } from '../../simulator/src/inject/truth.ts';
import { floorBatches } from '../../simulator/src/run-floor.ts';
import { matchTruth, type TruthScore } from '../../simulator/src/score/match-truth.ts';

const BEGIN = epochMs(Date.UTC(2026, 2, 2, 9));
const MACHINES = 12;
const TICK_MS = 5_000;

/**
 * What `npm start` shows of a floor: for five minutes, and again for an hour after it was stopped and started. Time is the floor's own, so that an hour takes
 * a second; the engine, its configuration, the floor, its faults and the score are the product's.
 */
function startStopStart(seed: number, awayMs: number): TruthScore {
  const sensors = createFloor({ seed, machines: MACHINES });
  const numbers = new Map(sensors.map((sensor, number) => [sensor, number]));
  const engine = new LiveEngine(engineConfigSchema.parse(SIMULATED_ENGINE));
  const units = new SensorUnits([]);
  const truth: TruthLine[] = [];
  const live = (start: EpochMs, end: EpochMs): void => {
    const generator = new FloorGenerator(sensors, seed, start);
    const injector = new Injector(demoSchedule(sensors, seed, start), start, (fault) => {
      truth.push(truthOf(fault, (at) => at));
    });
    engine.take([{ kind: 'start', at: start }]);
    let tick = start;
    for (const batch of floorBatches(generator, injector, end)) {
      for (const { sensor, at, value, unit = sensor.unit } of batch) {
        for (; tick <= at; tick = epochMs(tick + TICK_MS)) {
          engine.take([{ kind: 'tick', clock: { now: tick, synchronised: true, sinceStartMs: tick - start } }]);
        }
        const { device, metric } = sensor;
        const named = { device, metric, eventTime: at, value, unit, quality: 'good' } as const;
        engine.take([{ kind: 'reading', reading: units.sort(numbers.get(sensor)!, named), receivedAt: at }]);
      }
    }
  };
  const stopped = epochMs(BEGIN + minutes(5));
  const again = epochMs(stopped + awayMs);
  live(BEGIN, stopped);
  live(again, epochMs(again + minutes(60)));
  const episodes = engine.final().map(({ device, metric, openedAt, anomalyKind, severity, detector }) => {
    return { sensor: { site: 'local', gateway: 'floor', device, metric }, openedAt, anomalyKind, severity, detector };
  });
  return matchTruth(truth, episodes, { sensors: sensors.length, ms: minutes(65) });
}

describe('a floor that is started, stopped and started again', () => {
  it.each([
    [1, seconds(20)],
    [2, seconds(20)],
    [3, seconds(20)],
    [4, minutes(10)],
    [5, minutes(10)],
    [6, minutes(10)],
  ])('finds its faults, and at most one thing that is none (seed %d, away for %d ms)', (seed, awayMs) => {
    const { recall, precision, falseAlarms, byKind } = startStopStart(seed, awayMs);
    expect(recall).toBeGreaterThan(0.9);
    expect(precision).toBeGreaterThanOrEqual(0.9);
    expect(falseAlarms).toBeLessThanOrEqual(1);
    // A silence of each fault that is one, and none of the stop.
    expect(byKind['silent']?.precision).toBe(1);
  });
});
