import { createHash } from 'node:crypto';

import { type DurationMs, type EpochMs, shift } from '@floorwatch/contracts';

import { type FloorSensor, measure } from '../sensor.ts';

/** What a fault does to the values of its sensor while it lasts. */
interface FaultType {
  /**
   * The value that the sensor shows instead, before it is cut and rounded; undefined: it sends nothing.
   *
   * @param value what it would have shown.
   * @param magnitude the fault's size in the sensor's unit, with its sign.
   * @param progress how much of the fault's time has passed, in [0, 1).
   */
  apply(value: number, magnitude: number, progress: number): number | undefined;
}

/** Every kind of fault. Adding one here is all that a new kind needs. */
export const FAULT_TYPES = {
  /** One or a few readings far off. */
  spike: { apply: (value, magnitude) => value + magnitude },
  /** The level is another one for a while, as after a wrong setting or a slipped sensor. */
  shift: { apply: (value, magnitude) => value + magnitude },
} as const satisfies Record<string, FaultType>;

export type FaultTypeName = keyof typeof FAULT_TYPES;

export const FAULT_TYPE_NAMES = ['spike', 'shift'] as const satisfies readonly FaultTypeName[];

/** A fault that a schedule holds. */
export interface PlannedFault {
  readonly sensor: FloorSensor;
  readonly type: FaultTypeName;
  /** From the start of the floor to the fault's beginning. */
  readonly after: DurationMs;
  /** Longer than 0. */
  readonly lasts: DurationMs;
  /** In the sensor's unit, with its sign. */
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

/** The value of a reading of the fault's sensor at `at` while the fault lasts; undefined: the sensor sends nothing. */
export function faultyValue(fault: Fault, value: number, at: EpochMs): number | undefined {
  const type: FaultType = FAULT_TYPES[fault.type];
  const progress = (at - fault.from) / (fault.to - fault.from);
  const changed = type.apply(value, fault.magnitude, progress);
  return changed === undefined ? undefined : measure(fault.sensor, changed);
}

/** A name that is the same whenever the same fault is injected into the same floor at the same time. */
export function faultId(fault: Fault): string {
  const { sensor, type, from } = fault;
  return createHash('sha256').update(`${type}/${sensor.device}/${sensor.metric}/${from}`).digest('hex').slice(0, 16);
}
