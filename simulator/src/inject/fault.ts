import { createHash } from 'node:crypto';

import { type DurationMs, type EpochMs, shift } from '@floorwatch/contracts';

import { slipOf } from '../daily-pattern.ts';
import { hashText, hashUnit } from '../random.ts';
import { type FloorSensor, measure } from '../sensor.ts';
import { hasOtherUnit } from './other-unit.ts';

/** One reading that a fault touches. */
export interface FaultyMoment {
  /** What the sensor would have shown. */
  readonly value: number;
  readonly at: EpochMs;
  /** The fault's size in the sensor's unit, with its sign. */
  readonly magnitude: number;
  /** How much of the fault's time has passed, in [0, 1). */
  readonly progress: number;
  /** What the sensor would have shown at the fault's first reading. */
  readonly first: number;
  /** Readings that the fault has touched before this one. */
  readonly count: number;
  /** A normally distributed number of its own, mean 0, standard deviation 1. */
  readonly gaussian: number;
  readonly sensor: Pick<FloorSensor, 'low' | 'high' | 'signal'>;
}

/**
 * What a fault does to the values of its sensor while it lasts: the value that it shows instead, before it is cut and rounded; undefined:
 * it sends nothing.
 */
type FaultType = (moment: FaultyMoment) => number | undefined;

/** Every kind of fault. Adding one here is all that a new kind needs. */
export const FAULT_TYPES = {
  /** One or a few readings far off. */
  spike: ({ value, magnitude }) => value + magnitude,
  /** The level is another one for a while, as after a wrong setting or a slipped sensor. */
  shift: ({ value, magnitude }) => value + magnitude,
  /** The value moves away little by little, as with a fouled or ageing sensor. */
  drift: ({ value, magnitude, progress }) => value + magnitude * progress,
  /** The value stays as it was, as with a frozen transmitter; the magnitude means nothing. */
  stuck: ({ first }) => first,
  /** The values scatter by so much more, as with a loose contact. */
  noise: ({ value, magnitude, gaussian }) => value + magnitude * gaussian,
  /** The sensor shows the end of its range, the upper one with a positive magnitude, as with a broken wire. */
  rail: ({ magnitude, sensor }) => (magnitude < 0 ? sensor.low : sensor.high),
  /** The sensor sends nothing; the magnitude means nothing. */
  gap: () => undefined,
  /** Every other reading is off: an impossible rate of change, as when two devices publish under one name. */
  swing: ({ value, magnitude, count }) => (count % 2 === 0 ? value + magnitude : value),
  /** The daily pattern lags behind by so many hours, as when a schedule runs by the wrong clock. */
  season: ({ value, at, magnitude, sensor }) =>
    sensor.signal.kind === 'process' ? value + slipOf(sensor.signal, at, magnitude) : value,
  /** The device sends another unit, such as °F for °C, and says so; see `other-unit.ts`. The magnitude means nothing. */
  unit: ({ value }) => value,
} as const satisfies Record<string, FaultType>;

export type FaultTypeName = keyof typeof FAULT_TYPES;

export const FAULT_TYPE_NAMES = [
  'spike',
  'shift',
  'drift',
  'stuck',
  'noise',
  'rail',
  'gap',
  'swing',
  'season',
  'unit',
] as const satisfies readonly FaultTypeName[];

/** A fault that a schedule holds. */
export interface PlannedFault {
  readonly sensor: FloorSensor;
  readonly type: FaultTypeName;
  /** From the start of the floor to the fault's beginning. */
  readonly after: DurationMs;
  /** Longer than 0. */
  readonly lasts: DurationMs;
  /** In the sensor's unit, with its sign; of a `season` in hours. */
  readonly magnitude: number;
}

/** A fault at its time: it changes every reading of its sensor with `from` ≤ time < `to`, in the floor's time, and no other. */
export interface Fault extends PlannedFault {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

/** @param start the floor's time of its beginning. */
export const placeFault = (planned: PlannedFault, start: EpochMs): Fault => {
  const from = shift(start, planned.after);
  return { ...planned, from, to: shift(from, planned.lasts) };
};

/**
 * The value of a reading of the fault's sensor at `at` while the fault lasts; undefined: the sensor sends nothing.
 *
 * @param first what the sensor would have shown at the first reading that the fault touched.
 * @param count readings that it has touched before.
 */
export function faultyValue(
  fault: Fault,
  value: number,
  at: EpochMs,
  first: number,
  count: number,
): number | undefined {
  const type: FaultType = FAULT_TYPES[fault.type];
  const { sensor, magnitude } = fault;
  const progress = (at - fault.from) / (fault.to - fault.from);
  const gaussian = gaussianOf(hashText(faultId(fault), 0), count);
  const changed = type({ value, at, magnitude, progress, first, count, gaussian, sensor });
  return changed === undefined ? undefined : measure(sensor, changed);
}

/** Why a sensor can't have faults of a type, as the end of a sentence that begins with its name; undefined if it can. */
export function findUnfit(type: FaultTypeName, { signal, unit }: FloorSensor): string | undefined {
  if (type === 'season' && (signal.kind !== 'process' || signal.dayAmplitude === 0)) return 'has no daily pattern';
  return type === 'unit' && !hasOtherUnit(unit) ? `is in ${unit}, for which there is no other unit` : undefined;
}

/** Number `count` of a sequence of about normally distributed ones (a sum of twelve uniform ones), by its seed. */
function gaussianOf(seed: number, count: number): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += hashUnit(seed, 12 * count + i);
  return sum;
}

/** A name that is the same whenever the same fault is injected into the same floor at the same time. */
export function faultId(fault: Fault): string {
  const { sensor, type, from } = fault;
  return createHash('sha256').update(`${type}/${sensor.device}/${sensor.metric}/${from}`).digest('hex').slice(0, 16);
}
