import { type EpochMs, epochMs } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import { Random } from '../random.ts';
import { type FloorSensor, measure, type SourceReading } from '../sensor.ts';
import { MachineLoad } from './machine-load.ts';
import { createSignal, type Signal } from './signal.ts';

/** Devices do not keep their cadence exactly: readings come up to this share of the interval early or late. */
const JITTER = 0.02;

interface Slot {
  readonly sensor: FloorSensor;
  readonly signal: Signal;
  readonly random: Random;
  readonly first: number;
  count: number;
  next: EpochMs;
}

/**
 * The readings of a floor in the order of their times. Pure: the same sensors, seed and start give the same readings.
 */
export class FloorGenerator {
  readonly #slots: Slot[];
  #at: EpochMs;

  /** @param start the floor's time of the beginning; the time of day matters, because load and climate follow it. */
  constructor(sensors: readonly FloorSensor[], seed: number, start: EpochMs) {
    this.#at = start;
    const loads = new Map<string, MachineLoad>();
    this.#slots = sensors.map((sensor) => {
      let load = loads.get(sensor.device);
      if (load === undefined) {
        load = new MachineLoad(seed, sensor.device);
        loads.set(sensor.device, load);
      }
      const random = new Random(seed, sensor.device, sensor.metric, 'cadence');
      // Sensors start spread over one interval, or all would send at the same moment.
      const first = start + random.uniform() * sensor.intervalMs;
      const signal = createSignal(sensor, load, seed);
      return { sensor, signal, random, first, count: 0, next: epochMs(Math.round(first)) };
    });
  }

  /** The floor's time up to which readings have been made. */
  get at(): EpochMs {
    return this.#at;
  }

  /** The readings of the next {@link limits.stepMs} of the floor's time; of two with the same time, the first sensor's is first. */
  step(): SourceReading<FloorSensor>[] {
    const end = epochMs(this.#at + limits.stepMs);
    const readings: SourceReading<FloorSensor>[] = [];
    for (const slot of this.#slots) {
      while (slot.next < end) {
        const at = slot.next;
        readings.push({ sensor: slot.sensor, at, value: measure(slot.sensor, slot.signal.at(at)) });
        slot.count += 1;
        const { intervalMs } = slot.sensor;
        const due = slot.first + (slot.count + JITTER * (2 * slot.random.uniform() - 1)) * intervalMs;
        slot.next = epochMs(Math.max(at + 1, Math.round(due)));
      }
    }
    this.#at = end;
    return readings.sort((a, b) => a.at - b.at);
  }
}
