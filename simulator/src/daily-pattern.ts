import type { ProcessSignal } from './sensor.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WARMEST_MS = 15 * HOUR_MS;

/** What the time of day adds to a signal, in its unit: most at 15:00 UTC. */
export const dailyPattern = ({ dayAmplitude }: Pick<ProcessSignal, 'dayAmplitude'>, time: number): number =>
  dayAmplitude * Math.cos((2 * Math.PI * (time - WARMEST_MS)) / DAY_MS);

/** What is added to a signal at `time` if its day lags behind by `hours`. */
export const slipOf = (signal: Pick<ProcessSignal, 'dayAmplitude'>, time: number, hours: number): number =>
  dailyPattern(signal, time - hours * HOUR_MS) - dailyPattern(signal, time);
