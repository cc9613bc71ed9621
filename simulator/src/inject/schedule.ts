import { durationMs, type EpochMs } from '@floorwatch/contracts';

import { slipOf } from '../daily-pattern.ts';
import { Random } from '../random.ts';
import type { FloorSensor } from '../sensor.ts';
import { type FaultTypeName, findUnfit, type PlannedFault } from './fault.ts';

/** The first faults come early, so that someone who has just started sees some; after that one a minute. */
const FIRST_MS = 26_000;
const SECOND_MS = 42_000;
const PERIOD_MS = 60_000;
/** A pause between faults, so that never two are there at once. */
const PAUSE_MS = 20_000;
/** The first four are those that a detector finds without a history. */
const FIRST_TYPES = ['spike', 'shift', 'spike', 'shift'] as const satisfies readonly FaultTypeName[];
const TYPES = [
  'noise',
  'gap',
  'stuck',
  'unit',
  'spike',
  'swing',
  'season',
  'drift',
  'rail',
  'shift',
] as const satisfies readonly FaultTypeName[];
/** How long a fault lasts: as long as both of these, in readings of its sensor and in milliseconds. */
const LENGTHS: Readonly<Record<FaultTypeName, { readonly readings: number; readonly ms: number }>> = {
  spike: { readings: 2, ms: 0 },
  shift: { readings: 4, ms: 40_000 },
  drift: { readings: 120, ms: 90_000 },
  stuck: { readings: 120, ms: 60_000 },
  noise: { readings: 96, ms: 60_000 },
  rail: { readings: 10, ms: 20_000 },
  gap: { readings: 30, ms: 60_000 },
  swing: { readings: 12, ms: 10_000 },
  season: { readings: 30, ms: 60_000 },
  unit: { readings: 20, ms: 40_000 },
};
/** Readings that a sensor must have sent before it is chosen: nothing stands out from too few. */
const HISTORY_READINGS = 48;
/** Magnitudes in multiples of the sensor's spread: unmistakable, and still values that a plant shows when something breaks. */
const MAGNITUDE_LOW = 14;
const MAGNITUDE_HIGH = 20;

/** The noise of temperatures and humidities remembers itself for at least so long. */
const SLOW_MEMORY_MS = 15_000;
/** Hours by which a daily pattern may lag behind. */
const SLIPS_H = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12] as const;

/**
 * The faults of a demonstration, without end: at first spikes and level shifts, then every type in turn, each on another sensor, never two
 * at once, one a minute unless they last longer.
 *
 * @param start the floor's time of its beginning: how far a slip of the daily pattern can be seen depends on the time of day.
 */
export function* demoSchedule(
  sensors: readonly FloorSensor[],
  seed: number,
  start: EpochMs,
): Generator<PlannedFault, void> {
  const random = new Random(seed, 'faults');
  // A count or a level that moves all the time has no band of its own to stand out from.
  const candidates = shuffle(
    sensors.filter(({ signal }) => signal.kind === 'process'),
    random,
  );
  let after = FIRST_MS;
  for (let index = 0; candidates.length > 0; index++) {
    const type = FIRST_TYPES[index] ?? TYPES[(index - FIRST_TYPES.length) % TYPES.length] ?? 'spike';
    const ready = candidates.filter(({ intervalMs }) => intervalMs * HISTORY_READINGS <= after);
    const fault = planFault(type, ready, start + after, random) ?? planFault('shift', ready, start + after, random);
    if (fault !== undefined) {
      const { sensor } = fault;
      // To the end, so that all others come first.
      candidates.push(...candidates.splice(candidates.indexOf(sensor), 1));
      const { readings, ms } = LENGTHS[fault.type];
      const lasts = Math.ceil(Math.max(readings * sensor.intervalMs, ms));
      yield { ...fault, after: durationMs(after), lasts: durationMs(lasts) };
      if (index > 0) after = Math.max(after, after + lasts + PAUSE_MS - PERIOD_MS);
    }
    after = index === 0 ? SECOND_MS : after + PERIOD_MS;
  }
}

/** A fault on the first of `candidates` that can have one of this type that nobody can miss; undefined if none can. */
function planFault(
  type: FaultTypeName,
  candidates: readonly FloorSensor[],
  at: number,
  random: Random,
): Pick<PlannedFault, 'type' | 'sensor' | 'magnitude'> | undefined {
  const able = candidates.filter((sensor) => findUnfit(type, sensor) === undefined);
  // What is impossible depends on how slow a quantity is: a temperature can't swing from second to second, a current can.
  const slow = type === 'swing' ? able.filter(isSlow) : [];
  const fit = slow.length > 0 ? slow : able;
  if (type === 'season') {
    for (const sensor of fit) {
      const hours = SLIPS_H.reduce((most, h) => (slipIn(sensor, at, h) > slipIn(sensor, at, most) ? h : most));
      if (slipIn(sensor, at, hours) >= MAGNITUDE_LOW * sensor.spread) return { type, sensor, magnitude: hours };
    }
    return undefined;
  }
  const [sensor] = fit;
  return sensor && { type, sensor, magnitude: magnitudeFor(sensor, random) };
}

const isSlow = ({ signal }: FloorSensor): boolean =>
  signal.kind === 'process' && signal.noiseMemoryMs >= SLOW_MEMORY_MS;

/** How far off a sensor is at a time if its day lags behind by `hours`, in its unit. */
const slipIn = ({ signal }: FloorSensor, at: number, hours: number): number =>
  signal.kind === 'process' ? Math.abs(slipOf(signal, at, hours)) : 0;

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
