import { durationMs } from '@floorwatch/contracts';

import { Random } from '../random.ts';
import type { FloorSensor } from '../sensor.ts';
import type { PlannedFault } from './fault.ts';

/** The first faults come early, so that someone who has just started sees some; after that one a minute. */
const FIRST_MS = 26_000;
const SECOND_MS = 42_000;
const PERIOD_MS = 60_000;
const SHIFT_MS = 40_000;
/** Readings that a sensor must have sent before it is chosen: nothing stands out from too few. */
const HISTORY_READINGS = 48;
/** Readings that a spike changes. */
const SPIKE_READINGS = 2;
/** Magnitudes in multiples of the sensor's spread: unmistakable, and still values that a plant shows when something breaks. */
const MAGNITUDE_LOW = 14;
const MAGNITUDE_HIGH = 20;

/** The faults of a demonstration, without end: spikes and level shifts in turn, each on another sensor, never two at once. */
export function* demoSchedule(sensors: readonly FloorSensor[], seed: number): Generator<PlannedFault, void> {
  const random = new Random(seed, 'faults');
  // A count or a level that moves all the time has no band of its own to stand out from.
  const candidates = shuffle(
    sensors.filter(({ signal }) => signal.kind === 'process'),
    random,
  );
  for (let index = 0; candidates.length > 0; index++) {
    const after = index === 0 ? FIRST_MS : SECOND_MS + (index - 1) * PERIOD_MS;
    const chosen = candidates.findIndex(({ intervalMs }) => intervalMs * HISTORY_READINGS <= after);
    if (chosen < 0) continue;
    const [sensor] = candidates.splice(chosen, 1);
    if (sensor === undefined) return;
    candidates.push(sensor);
    const type = index % 2 === 0 ? 'spike' : 'shift';
    const lasts = type === 'spike' ? SPIKE_READINGS * sensor.intervalMs : Math.max(SHIFT_MS, 4 * sensor.intervalMs);
    const magnitude = magnitudeFor(sensor, random);
    yield { sensor, type, after: durationMs(after), lasts: durationMs(Math.ceil(lasts)), magnitude };
  }
}

/** Up or down, whichever the sensor's range has room for; a coin decides where it has room for both. */
function magnitudeFor(sensor: FloorSensor, random: Random): number {
  const size = random.between(MAGNITUDE_LOW, MAGNITUDE_HIGH) * sensor.spread;
  const coin = random.uniform();
  if (sensor.signal.kind !== 'process') return size;
  const { base, loadGain } = sensor.signal;
  const roomBelow = base + Math.min(0, loadGain) - size > sensor.low;
  const roomAbove = base + Math.max(0, loadGain) + size < sensor.high;
  return roomBelow && (coin < 0.4 || !roomAbove) ? -size : size;
}

function shuffle<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, key: random.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
