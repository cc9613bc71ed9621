import { type EpochMs, epochMs } from '@floorwatch/contracts';

import { dailyPattern } from '../daily-pattern.ts';
import { Random } from '../random.ts';
import type { CounterSignal, FloorSensor, ProcessSignal, TankSignal } from '../sensor.ts';
import type { MachineLoad } from './machine-load.ts';

/** The share of a tank's cycle in which it is filled, and the levels between which it moves, in percent. */
const REFILL_SHARE = 0.2;
const TANK_LOW = 28;
const TANK_HIGH = 88;
/** Share of the noise's variance that does not remember itself. */
const WHITE_SHARE = 0.4;

/** A sensor's physical value over time, before the sensor cuts and rounds it. Asked with rising times. */
export interface Signal {
  at(time: EpochMs): number;
}

/** The load of so many time constants decides where a quantity stands that follows it, in so many steps each. */
const LAG_MEMORY = 6;
const LAG_STEPS = 8;
/** A counter that starts within a day has counted since its beginning, in steps of a minute. */
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/**
 * The signal of `sensor`, in the state of a machine that has been running for long: a simulation that is started again finds it where it would have come
 * to in between, but for the noise (a counter: within a UTC day).
 */
export function createSignal(sensor: FloorSensor, load: MachineLoad, seed: number): Signal {
  const random = new Random(seed, sensor.device, sensor.metric, 'signal');
  const { signal } = sensor;
  if (signal.kind === 'process') return processSignal(signal, load, random);
  return signal.kind === 'tank' ? tankSignal(signal, random) : counterSignal(signal, load, random);
}

function processSignal(spec: ProcessSignal, load: MachineLoad, random: Random): Signal {
  const ripplePhase = random.uniform() * 2 * Math.PI;
  const noise = correlatedNoise(spec.noise, spec.noiseMemoryMs, random);
  let lagged: number | undefined;
  let last = 0;
  return {
    at(time) {
      const elapsed = time - last;
      last = time;
      lagged =
        lagged === undefined
          ? laggedLoad(load, spec.loadLagMs, time)
          : follow(lagged, load.at(time), elapsed, spec.loadLagMs);
      const ripple = spec.rippleAmplitude * Math.sin((2 * Math.PI * time) / spec.ripplePeriodMs + ripplePhase);
      return spec.base + spec.loadGain * lagged + dailyPattern(spec, time) + ripple + noise(elapsed);
    },
  };
}

/** One step of a first-order lag. */
const follow = (lagged: number, now: number, elapsedMs: number, lagMs: number): number =>
  lagged + (now - lagged) * -Math.expm1(-elapsedMs / lagMs);

/** Where a quantity stands at `time` that has followed the load for long. */
function laggedLoad(load: MachineLoad, lagMs: number, time: EpochMs): number {
  const stepMs = lagMs / LAG_STEPS;
  let lagged = load.at(epochMs(time - LAG_MEMORY * lagMs));
  for (let step = 1 - LAG_MEMORY * LAG_STEPS; step <= 0; step++) {
    lagged = follow(lagged, load.at(epochMs(time + step * stepMs)), stepMs, lagMs);
  }
  return lagged;
}

function tankSignal(spec: TankSignal, random: Random): Signal {
  const phase = random.uniform();
  const noise = correlatedNoise(spec.noise, 5_000, random);
  let last = 0;
  return {
    at(time) {
      const elapsed = time - last;
      last = time;
      const turns = time / spec.cycleMs + phase;
      const position = turns - Math.floor(turns);
      const full =
        position < REFILL_SHARE ? position / REFILL_SHARE : 1 - (position - REFILL_SHARE) / (1 - REFILL_SHARE);
      return TANK_LOW + (TANK_HIGH - TANK_LOW) * full + noise(elapsed);
    },
  };
}

function counterSignal(spec: CounterSignal, load: MachineLoad, random: Random): Signal {
  let count = Math.floor(random.between(10_000, 900_000));
  let last: number | undefined;
  return {
    at(time) {
      count += last === undefined ? sinceMidnight(spec, load, time) : counted(spec, load, last, time);
      last = time;
      return Math.floor(count);
    },
  };
}

const counted = ({ perMinute }: CounterSignal, load: MachineLoad, from: number, to: EpochMs): number =>
  (perMinute * load.at(to) * (to - from)) / MINUTE_MS;

function sinceMidnight(spec: CounterSignal, load: MachineLoad, time: EpochMs): number {
  const midnight = Math.floor(time / DAY_MS) * DAY_MS;
  let count = 0;
  for (let from = midnight; from < time; from += MINUTE_MS) {
    count += counted(spec, load, from, epochMs(Math.min(time, from + MINUTE_MS)));
  }
  return count;
}

/** White noise plus a first-order autoregression whose memory is in time, so that it does not depend on the cadence. */
function correlatedNoise(sd: number, memoryMs: number, random: Random): (elapsedMs: number) => number {
  const whiteSd = sd * Math.sqrt(WHITE_SHARE);
  const slowSd = sd * Math.sqrt(1 - WHITE_SHARE);
  let slow = slowSd * random.gaussian();
  return (elapsedMs) => {
    const kept = Math.exp(-elapsedMs / memoryMs);
    slow = slow * kept + slowSd * Math.sqrt(1 - kept * kept) * random.gaussian();
    return slow + whiteSd * random.gaussian();
  };
}
