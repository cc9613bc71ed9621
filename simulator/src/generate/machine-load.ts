import type { EpochMs } from '@floorwatch/contracts';

import { hashText, hashUnit, Random } from '../random.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A machine changes over from one job to the next in this time, and a shift hands over in the longer one. */
const JOB_RAMP_MS = 150_000;
const SHIFT_RAMP_MS = 20 * 60_000;
/** The share of its load that a machine has in each shift: late 14–22, night 22–6, early 6–14 UTC. */
const SHIFTS = [
  { fromHour: 6, share: 1 },
  { fromHour: 14, share: 0.95 },
  { fromHour: 22, share: 0.85 },
] as const;

/**
 * How hard a machine works, 0 to 1, as a pure function of time: jobs of equal length with a level each, times the share of
 * the shift. All sensors of a machine follow the same load, which is what couples them.
 */
export class MachineLoad {
  readonly #hash: number;
  readonly #jobMs: number;
  readonly #phaseMs: number;

  constructor(seed: number, device: string) {
    const random = new Random(seed, device, 'load');
    this.#hash = hashText(`${seed}/${device}/jobs`, 1);
    this.#jobMs = Math.round(random.between(8, 20)) * 60_000;
    this.#phaseMs = Math.round(random.uniform() * this.#jobMs);
  }

  at(time: EpochMs): number {
    const t = time + this.#phaseMs;
    const job = Math.floor(t / this.#jobMs);
    const done = smoothStep((t - job * this.#jobMs) / JOB_RAMP_MS);
    return (this.#level(job - 1) * (1 - done) + this.#level(job) * done) * shiftShare(time);
  }

  #level(job: number): number {
    return 0.65 + 0.35 * hashUnit(this.#hash, job);
  }
}

/** The share of load of the shift at `time`, with a smooth hand-over. */
export function shiftShare(time: EpochMs): number {
  const ofDay = time - Math.floor(time / DAY_MS) * DAY_MS;
  let index = SHIFTS.findLastIndex(({ fromHour }) => ofDay >= fromHour * HOUR_MS);
  if (index < 0) index = SHIFTS.length - 1;
  const now = SHIFTS[index] ?? SHIFTS[0];
  const before = SHIFTS[(index + SHIFTS.length - 1) % SHIFTS.length] ?? SHIFTS[0];
  const sinceStart = (ofDay - now.fromHour * HOUR_MS + DAY_MS) % DAY_MS;
  const done = smoothStep(sinceStart / SHIFT_RAMP_MS);
  return before.share * (1 - done) + now.share * done;
}

/** 0 up to x = 0, 1 from x = 1, without a corner between them. */
function smoothStep(x: number): number {
  if (x <= 0) return 0;
  return x >= 1 ? 1 : x * x * (3 - 2 * x);
}
