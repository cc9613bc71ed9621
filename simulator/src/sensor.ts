import type { EpochMs, SensorName } from '@floorwatch/contracts';

/** A sensor as its messages show it. */
export interface PublishedSensor extends SensorName {
  readonly unit?: string;
}

/** A value on its way to the broker. `at` is in the time of where it comes from: a recording's, or the simulated floor's. */
export interface SourceReading<S extends PublishedSensor = PublishedSensor> {
  readonly sensor: S;
  readonly at: EpochMs;
  readonly value: number;
  /** What the message says that the value is in, where that is not the sensor's unit. */
  readonly unit?: string;
}

/** A sensor of the simulated floor. */
export interface FloorSensor extends PublishedSensor {
  readonly unit: string;
  /** Time between two readings. */
  readonly intervalMs: number;
  /** What the sensor can show at most and at least, in its unit. */
  readonly low: number;
  readonly high: number;
  /** Distance between two values that it can tell apart, in its unit. */
  readonly resolution: number;
  /** About the standard deviation of a minute of normal operation, in its unit: what a fault's magnitude is a multiple of. */
  readonly spread: number;
  /** How its value comes about. */
  readonly signal: SignalSpec;
}

/** Where a sensor's values come from; amplitudes are in the sensor's unit. */
export type SignalSpec = ProcessSignal | TankSignal | CounterSignal;

/** A physical quantity around a base value, driven by the machine's load, the time of day and noise. */
export interface ProcessSignal {
  readonly kind: 'process';
  readonly base: number;
  /** Added at full load. */
  readonly loadGain: number;
  /** How slowly the load acts: time constant of a first-order lag. */
  readonly loadLagMs: number;
  /** Amplitude over the day, warmest at 15:00 UTC. */
  readonly dayAmplitude: number;
  /** Amplitude and period of the machine's own rhythm, such as the stroke of a press. */
  readonly rippleAmplitude: number;
  readonly ripplePeriodMs: number;
  /** Standard deviation of the noise, and for how long it remembers itself. */
  readonly noise: number;
  readonly noiseMemoryMs: number;
}

/** A level in percent that falls while the machine draws from the tank and rises while it is refilled. */
export interface TankSignal {
  readonly kind: 'tank';
  readonly cycleMs: number;
  readonly noise: number;
}

/** A count that only rises, as fast as the machine is loaded. */
export interface CounterSignal {
  readonly kind: 'counter';
  /** Counts per minute at full load. */
  readonly perMinute: number;
}

/** What the sensor shows of `value`: within its range and in steps of its resolution. */
export function measure(sensor: Pick<FloorSensor, 'low' | 'high' | 'resolution'>, value: number): number {
  const within = Math.min(sensor.high, Math.max(sensor.low, value));
  // Multiplying by the inverse would leave 0.30000000000000004; dividing by it gives the nearest double to the decimal.
  const steps = Math.round(1 / sensor.resolution);
  return steps > 1 ? Math.round(within * steps) / steps : Math.round(within / sensor.resolution) * sensor.resolution;
}
