import { type Reading, sensorKey } from '@floorwatch/contracts';

import type { Series } from './series.ts';

const MINUTE_MS = 60_000;

/** What a window holds. */
export interface WindowSum {
  n: number;
  sum: number;
  min: number;
  max: number;
}

/** Windows by {@link windowKey}. */
export type WindowSums = Map<string, WindowSum>;

/** A sensor and the start of a minute of event time. */
export const windowKey = (sensor: string, at: number): string => `${sensor} ${at - (at % MINUTE_MS)}`;

/** What was made, and what of it was acknowledged. The truth that everything else is compared with. */
export class Ledger {
  readonly series: Series;
  /** Readings made, by sensor. */
  readonly #made: number[];
  /** Acknowledged, by sensor: one entry for every reading made. */
  readonly #acknowledged: boolean[][];
  #acknowledgements = 0;
  #repeats = 0;

  constructor(series: Series) {
    this.series = series;
    this.#made = Array.from({ length: series.sensors }, () => 0);
    this.#acknowledged = Array.from({ length: series.sensors }, () => []);
  }

  /** Makes the next reading of a sensor; the caller sends it until it is acknowledged. */
  next(sensor: number): { readonly index: number; readonly reading: Reading } {
    const index = this.#made[sensor] ?? 0;
    this.#made[sensor] = index + 1;
    this.#acknowledged[sensor]?.push(false);
    return { index, reading: this.series.reading(sensor, index) };
  }

  /** A PUBACK came for it. */
  acknowledge(sensor: number, index: number): void {
    const acknowledged = this.#acknowledged[sensor];
    if (acknowledged?.[index] !== false) throw new Error(`reading ${index} of sensor ${sensor} was acknowledged twice`);
    acknowledged[index] = true;
    this.#acknowledgements += 1;
  }

  /** One was sent again. */
  countRepeat(): void {
    this.#repeats += 1;
  }

  get made(): number {
    return this.#made.reduce((sum, made) => sum + made, 0);
  }

  /** Readings made by one sensor. */
  madeBy(sensor: number): number {
    return this.#made[sensor] ?? 0;
  }

  /** Readings made by the sensor that has made the fewest. */
  get slowest(): number {
    return this.#made.reduce((least, made) => Math.min(least, made), Infinity);
  }

  get acknowledged(): number {
    return this.#acknowledgements;
  }

  /** Readings sent again, each time counted. */
  get repeats(): number {
    return this.#repeats;
  }

  /** Every reading that was acknowledged, sensor by sensor in the order of event time. */
  *readings(): Generator<Reading> {
    for (const [sensor, acknowledged] of this.#acknowledged.entries()) {
      for (const [index, is] of acknowledged.entries()) if (is) yield this.series.reading(sensor, index);
    }
  }

  /** What every minute of every sensor must hold. */
  windows(): WindowSums {
    return Ledger.windowsOf([this]);
  }

  /** The same of several ledgers together. */
  static windowsOf(ledgers: readonly Ledger[]): WindowSums {
    const windows: WindowSums = new Map();
    for (const reading of ledgers.flatMap((ledger) => [...ledger.readings()])) {
      addToWindow(windows, windowKey(sensorKey(reading), reading.eventTime), {
        n: 1,
        sum: reading.value,
        min: reading.value,
        max: reading.value,
      });
    }
    return windows;
  }
}

/** Adds a part of a window to what is known of it. */
export function addToWindow(windows: WindowSums, key: string, part: Readonly<WindowSum>): void {
  const window = windows.get(key);
  if (window === undefined) {
    windows.set(key, { ...part });
    return;
  }
  window.n += part.n;
  window.sum += part.sum;
  window.min = Math.min(window.min, part.min);
  window.max = Math.max(window.max, part.max);
}

/** How two lists of windows differ. */
export interface WindowDifference {
  /** Readings too few and too many, summed over the windows. A lower bound: one lost and one doubled in the same window cancel out here. */
  readonly lost: number;
  readonly doubled: number;
  /** Windows whose sum, smallest or largest value differs although the count agrees. */
  readonly changed: number;
  /** The first few, in words. */
  readonly examples: readonly string[];
}

const EXAMPLES_MAX = 10;
/** As a share of the sum; one reading is a thousandth of it and more. */
const SUM_TOLERANCE = 1e-9;

export function compareWindows(expected: WindowSums, found: WindowSums): WindowDifference {
  const examples: string[] = [];
  const difference = { lost: 0, doubled: 0, changed: 0 };
  const tell = (text: string): void => {
    if (examples.length < EXAMPLES_MAX) examples.push(text);
  };
  for (const [key, { n, sum, min, max }] of expected) {
    const is = found.get(key);
    if (is?.n !== n) {
      const more = (is?.n ?? 0) - n;
      difference[more < 0 ? 'lost' : 'doubled'] += Math.abs(more);
      tell(`${key}: ${is?.n ?? 0} readings instead of ${n}`);
    } else if (Math.abs(is.sum - sum) > SUM_TOLERANCE * Math.abs(sum) || is.min !== min || is.max !== max) {
      difference.changed += 1;
      tell(`${key}: sum ${is.sum}, min ${is.min}, max ${is.max} instead of ${sum}, ${min}, ${max}`);
    }
  }
  for (const [key, { n }] of found) {
    if (expected.has(key)) continue;
    difference.doubled += n;
    tell(`${key}: ${n} readings that nobody sent`);
  }
  return { ...difference, examples };
}
