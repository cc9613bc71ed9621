import { StartError } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import { Random } from '../random.ts';
import type { FloorSensor, SignalSpec } from '../sensor.ts';
import { MACHINE_KINDS, type MetricSpec } from './machines.ts';

/** Machines of the same kind differ by up to this share in what they show. */
const INDIVIDUALITY = 0.08;

/** What a floor is made of. The same options give the same floor. */
export interface FloorOptions {
  readonly seed: number;
  /** Number of machines, at least 1. */
  readonly machines: number;
  /** Readings per second of the whole floor; every sensor's cadence is scaled alike. Undefined: the cadences of the machine kinds. */
  readonly ratePerSecond?: number;
}

/**
 * The sensors of a floor, machine by machine.
 *
 * @throws StartError if the rate would need a sensor to send more than once in a millisecond.
 */
export function createFloor(options: FloorOptions): FloorSensor[] {
  const sensors: FloorSensor[] = [];
  for (let index = 0; index < options.machines; index++) {
    const kind = MACHINE_KINDS[index % MACHINE_KINDS.length];
    if (kind === undefined) break;
    const ordinal = Math.floor(index / MACHINE_KINDS.length) + 1;
    const device = `${kind.name}-${String(ordinal).padStart(2, '0')}`;
    for (const metric of kind.metrics) sensors.push(createSensor(options.seed, device, metric));
  }
  return options.ratePerSecond === undefined ? sensors : scaleCadence(sensors, options, options.ratePerSecond);
}

/** Readings per second of all `sensors`. */
export const rateOf = (sensors: readonly FloorSensor[]): number =>
  sensors.reduce((sum, { intervalMs }) => sum + 1_000 / intervalMs, 0);

function createSensor(seed: number, device: string, spec: MetricSpec): FloorSensor {
  const random = new Random(seed, device, spec.metric, 'figures');
  const factor = (): number => random.between(1 - INDIVIDUALITY, 1 + INDIVIDUALITY);
  const signal = individual(spec.signal, factor);
  return { ...spec, device, signal, spread: Math.max(spreadOf(signal), 2 * spec.resolution) };
}

function individual(signal: SignalSpec, factor: () => number): SignalSpec {
  if (signal.kind === 'process') {
    return { ...signal, base: signal.base * factor(), loadGain: signal.loadGain * factor() };
  }
  if (signal.kind === 'tank') return { ...signal, cycleMs: Math.round(signal.cycleMs * factor()) };
  return { ...signal, perMinute: signal.perMinute * factor() };
}

/** See `FloorSensor.spread`. */
function spreadOf(signal: SignalSpec): number {
  if (signal.kind === 'process') {
    return Math.hypot(signal.noise, signal.rippleAmplitude / Math.SQRT2, signal.loadGain * jobShare(signal));
  }
  return signal.kind === 'tank' ? signal.noise + 2 : signal.perMinute;
}

/** The share of its load gain that a sensor moves by within a minute of a change of job; slow ones follow little of it. */
const jobShare = ({ loadLagMs }: { loadLagMs: number }): number => 0.07 * (60_000 / (60_000 + loadLagMs));

function scaleCadence(sensors: readonly FloorSensor[], options: FloorOptions, ratePerSecond: number): FloorSensor[] {
  const factor = rateOf(sensors) / ratePerSecond;
  const scaled = sensors.map((sensor) => ({ ...sensor, intervalMs: sensor.intervalMs * factor }));
  const shortest = scaled.reduce((least, { intervalMs }) => Math.min(least, intervalMs), Infinity);
  if (shortest < limits.sensorIntervalMsMin) {
    throw new StartError(
      'usage',
      `--rate ${ratePerSecond}: the ${sensors.length} sensors of ${options.machines} machines can't send that often, ` +
        `at most once in a millisecond each; use a lower rate, or --machines ${machinesFor(ratePerSecond)}`,
    );
  }
  return scaled;
}

/** Whole turns through {@link MACHINE_KINDS} that can send so much with the fastest sensor at its limit. */
function machinesFor(ratePerSecond: number): number {
  const metrics = MACHINE_KINDS.flatMap((kind) => kind.metrics);
  const fastestMs = metrics.reduce((least, { intervalMs }) => Math.min(least, intervalMs), Infinity);
  const ratePerTurn = metrics.reduce((sum, { intervalMs }) => sum + 1_000 / intervalMs, 0);
  const turns = (ratePerSecond * limits.sensorIntervalMsMin) / fastestMs / ratePerTurn;
  return Math.ceil(turns) * MACHINE_KINDS.length;
}
