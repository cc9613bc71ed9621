import { appendFileSync, closeSync, openSync } from 'node:fs';

import { type DurationMs, type EpochMs, shift } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';

import { createFloor, rateOf } from './generate/floor.ts';
import { FloorGenerator } from './generate/floor-generator.ts';
import type { Fault, FaultTypeName, PlannedFault } from './inject/fault.ts';
import { readFaultFile } from './inject/fault-file.ts';
import { Injector } from './inject/injector.ts';
import { demoSchedule } from './inject/schedule.ts';
import { truthOf } from './inject/truth.ts';
import { Timeline } from './publish/timeline.ts';
import { count } from './report.ts';
import type { FloorSensor, SourceReading } from './sensor.ts';
import { runSession, type SessionOptions } from './session.ts';

export interface RunOptions extends SessionOptions {
  readonly machines: number;
  readonly seed: number;
  /** Readings per second of the whole floor; undefined: the cadences of its machines. */
  readonly rate?: number;
  /** How many times faster than the clock the floor's time passes; Infinity: as fast as readings are taken. */
  readonly speedUp: number;
  /** The floor's time at the beginning, which then is the event time too; undefined: now, and event times are the clock's. */
  readonly start?: EpochMs;
  /** How long to run, in the floor's time; undefined: without end. */
  readonly duration?: DurationMs;
  /** `demo`, `none`, or a file of faults. */
  readonly faults: string;
  /** File to which the ground truth is appended. */
  readonly truth?: string;
}

/**
 * Simulates a floor: generate → inject → publish.
 *
 * @returns the exit code.
 * @throws StartError if the options don't go together.
 */
export async function runFloor(options: RunOptions, signal: AbortSignal): Promise<number> {
  if (options.speedUp === Infinity && options.start === undefined) {
    throw new StartError(
      'usage',
      '--speed-up max: give --start too; there is no clock that the event times could follow',
    );
  }
  if (options.payload === 'value' && options.start !== undefined) {
    throw new StartError('usage', '--payload value: a bare number has no event time; leave out --start');
  }
  const sensors = createFloor({
    seed: options.seed,
    machines: options.machines,
    ...(options.rate === undefined ? {} : { ratePerSecond: options.rate }),
  });
  const schedule = await readSchedule(options, sensors);
  const truth = options.truth === undefined ? undefined : openTruth(options.truth);
  const injected: Record<string, number> = {};
  process.stderr.write(
    `a floor of ${count(options.machines)} machines with ${count(sensors.length)} sensors, ` +
      `${count(rateOf(sensors))} readings/s of its own time, seed ${options.seed}\n`,
  );
  try {
    return await runSession(
      'run',
      options,
      options.duration === undefined,
      async (now, note) => {
        const start = options.start ?? now;
        const timeline = new Timeline(start, now, options.speedUp, options.start === undefined ? 'now' : 'source');
        const generator = new FloorGenerator(sensors, options.seed, start);
        const injector = new Injector(schedule(start), start, (fault) => {
          injected[fault.type] = (injected[fault.type] ?? 0) + 1;
          if (truth !== undefined) {
            const line = truthOf(fault, (at) => timeline.eventTimeOf(at, now));
            // Written before the reading goes out: no fault is ever without its line.
            appendFileSync(truth, `${JSON.stringify(line)}\n`);
          }
          note(describe(fault));
        });
        const end = options.duration === undefined ? undefined : shift(start, options.duration);
        return {
          batches: floorBatches(generator, injector, end),
          timeline,
          share: () => (end === undefined ? undefined : Math.min(1, (generator.at - start) / (end - start))),
          summary: () => ({ faults: injected }),
        };
      },
      signal,
    );
  } finally {
    if (truth !== undefined) closeSync(truth);
  }
}

/** The readings of a floor with its faults, up to `end` (exclusive, in the floor's time). */
export function* floorBatches(
  generator: FloorGenerator,
  injector: Injector,
  end: EpochMs | undefined,
): Generator<SourceReading<FloorSensor>[], void> {
  const last = end ?? Infinity;
  while (generator.at < last) yield injector.inject(generator.step().filter(({ at }) => at < last));
}

/** The faults of a floor, by the time of its beginning. */
async function readSchedule(
  options: RunOptions,
  sensors: readonly FloorSensor[],
): Promise<(start: EpochMs) => Iterable<PlannedFault>> {
  if (options.faults === 'none') return () => [];
  if (options.faults === 'demo') return (start) => demoSchedule(sensors, options.seed, start);
  const faults = await readFaultFile(options.faults, sensors);
  return () => faults;
}

function openTruth(file: string): number {
  try {
    return openSync(file, 'a');
  } catch (error) {
    throw new StartError('usage', `--truth ${file}: can't be written: ${messageOf(error)}`, { cause: error });
  }
}

function describe({ type, sensor, magnitude, from, to }: Fault): string {
  const number = `${magnitude > 0 ? '+' : ''}${Number(magnitude.toPrecision(3))}`;
  const size = type === 'season' ? `${number} h` : `${number} ${sensor.unit}`;
  const what = SIZELESS.has(type) ? type : `${type} of ${size}`;
  return `injecting: ${what} on ${sensor.device}/${sensor.metric} for ${(to - from) / 1_000} s`;
}

const SIZELESS: ReadonlySet<FaultTypeName> = new Set(['stuck', 'gap', 'unit']);
