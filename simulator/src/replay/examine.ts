import { StartError } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import { count } from '../report.ts';
import type { Recording } from './recording.ts';

/** What recordings hold, all of them read. */
export interface RecordingContents {
  readonly readings: number;
  readonly sensors: number;
  /** Event times of the first and the last reading, epoch milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Speeds that a person can work with: 1, 2 and 5 times a power of ten. */
const ROUND_STEPS = [5, 2, 1] as const;

/**
 * Reads recordings from beginning to end, and publishes nothing.
 *
 * @throws StartError if they hold no reading.
 * @throws Error that names the file if it is damaged.
 */
export async function examine(recordings: readonly Recording[], signal: AbortSignal): Promise<RecordingContents> {
  let [readings, fromMs, toMs] = [0, Infinity, -Infinity];
  const sensors = new Set<string>();
  for (const { device, plan } of recordings) for (const { metric } of plan.values) sensors.add(`${device}/${metric}`);
  for (const recording of recordings) {
    for await (const batch of recording.batches()) {
      signal.throwIfAborted();
      readings += batch.length;
      for (const { at } of batch) {
        if (at < fromMs) fromMs = at;
        if (at > toMs) toMs = at;
      }
    }
    recording.restart();
  }
  if (readings === 0) throw new StartError('usage', `${recordings[0]?.file ?? 'the recording'}: holds no reading`);
  return { readings, sensors: sensors.size, fromMs, toMs };
}

/**
 * A speed at which every sensor has enough readings for a chart within a minute and all of it takes about ten minutes, if that is not more
 * than a laptop takes. A week of a sensor that reports once a minute passes at 1,000 times its pace.
 */
export function speedFor({ readings, sensors, fromMs, toMs }: RecordingContents): number {
  const recordedPerMs = readings / Math.max(1, toMs - fromMs);
  const forChart = (sensors * limits.autoSensorReadingsPerSecond) / 1_000;
  const wantedPerMs = Math.min(Math.max(forChart, readings / limits.autoMs), limits.autoReadingsPerSecondMax / 1_000);
  const exact = Math.max(1, wantedPerMs / recordedPerMs);
  const power = 10 ** Math.floor(Math.log10(exact));
  return power * (ROUND_STEPS.find((step) => step * power <= exact) ?? 1);
}

/** `4,032 readings of 1 sensor in 14.0 days; at 1,000 times their pace they take 20 minutes`. */
export function describeContents({ readings, sensors, fromMs, toMs }: RecordingContents, speed: number): string {
  const spanMs = toMs - fromMs;
  const pace =
    speed === Infinity
      ? 'they are published as fast as they are taken'
      : `at ${count(speed)} times their pace they take ${spanText(spanMs / speed)}`;
  return `${count(readings)} readings of ${count(sensors)} ${sensors === 1 ? 'sensor' : 'sensors'} in ${spanText(spanMs)}; ${pace}`;
}

function spanText(ms: number): string {
  const units = [
    [86_400_000, 'days'],
    [3_600_000, 'hours'],
    [60_000, 'minutes'],
  ] as const;
  const [unitMs, unit] = units.find(([size]) => ms >= 2 * size) ?? [1_000, 'seconds'];
  const amount = ms / unitMs;
  return `${amount < 10 ? Number(amount.toFixed(1)) : count(amount)} ${unit}`;
}
