import type { EpochMs } from '@floorwatch/contracts';

import { type Fault, faultId, type FaultTypeName } from './fault.ts';

/** One line of the ground truth: a fault as it shows in what was published. */
export interface TruthLine {
  readonly id: string;
  readonly device: string;
  readonly metric: string;
  readonly unit: string;
  readonly type: FaultTypeName;
  /** Every reading of the sensor with `from` ≤ event time < `to` is changed, and no other. Epoch milliseconds. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** In the sensor's unit, with its sign; of a `season` in hours. */
  readonly magnitude: number;
}

/** @param eventTimeOf the published event time of an instant of the floor. */
export const truthOf = (fault: Fault, eventTimeOf: (at: EpochMs) => EpochMs): TruthLine => ({
  id: faultId(fault),
  device: fault.sensor.device,
  metric: fault.sensor.metric,
  unit: fault.sensor.unit,
  type: fault.type,
  from: eventTimeOf(fault.from),
  to: eventTimeOf(fault.to),
  magnitude: fault.magnitude,
});
