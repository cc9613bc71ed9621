import type { EpochMs } from '@floorwatch/contracts';

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

/** The signal of `sensor`, in the state of a machine that has been running for long. */
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
      const now = load.at(time);
      lagged = lagged === undefined ? now : lagged + (now - lagged) * -Math.expm1(-elapsed / spec.loadLagMs);
      const ripple = spec.rippleAmplitude * Math.sin((2 * Math.PI * time) / spec.ripplePeriodMs + ripplePhase);
      return spec.base + spec.loadGain * lagged + dailyPattern(spec, time) + ripple + noise(elapsed);
    },
  };
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
      count += last === undefined ? 0 : (spec.perMinute * load.at(time) * (time - last)) / 60_000;
      last = time;
      return Math.floor(count);
    },
  };
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
