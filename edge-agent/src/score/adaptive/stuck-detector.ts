import { BLOCKS_MIN, learnMaximum, maximumDecades, sizeAbove } from './block-maxima.ts';
import { BLOCK_READINGS, STUCK_DECADES_MIN } from './parameters.ts';
import { RowTable } from '../../stats/row-table.ts';
import type { SensorRows } from '../../stats/sensor-rows.ts';

// One sensor's row.
const COUNT = 0;
const LAST_VALUE = 1;
/** Repetitions of the last value: 0 for a value that came once. */
const RUN = 2;
/** Longest run of the current block, and the mean and variance of log(1 + longest run) of past ones. */
const BLOCK_MAX = 3;
const LOG_MEAN = 4;
const LOG_VARIANCE = 5;
/** A run above this is improbable. */
const RUN_MAX = 6;
/** The longest finished run, forgotten slowly, and the reading that ended it. */
const LONGEST = 7;
const LONGEST_COUNT = 8;
/** The reading up to which nothing is reported, because a run was. */
const QUIET_UNTIL = 9;
/** Readings in the current block. */
const BLOCK_FILL = 10;
/** Readings that were another value than the one before. */
const CHANGES = 11;
const FIELDS = 12;

/** A sensor that has hardly ever changed is a switch or a setting, and its next run proves nothing. */
const CHANGES_MIN = 10;

/** Shorter runs are never reported. */
const RUN_MIN = 5;
/** Before there is a history, a run is reported when it is this long and five times the longest one so far. */
const EARLY_RUN_MIN = 50;
const EARLY_FACTOR = 5;
/** The longest run fades by one part in this many per reading. */
const LONGEST_READINGS = 3000;
/** Readings after a report without another one: water at its freezing point, a machine that is switched off. */
const QUIET_READINGS = 500;

/**
 * A run of equal values that the sensor's own history makes improbable: longer than the longest run of every hundred readings by
 * {@link STUCK_DECADES_MIN} decades, and longer than any run of late. Reported once per run. Works from the first reading on.
 */
export class StuckDetector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  /** The state of all sensors. */
  readonly table: RowTable;

  constructor(rows?: SensorRows) {
    this.table = new RowTable(FIELDS, rows, clearRow);
  }

  /** Decades of improbability when the run that `values[index]` extends has just become improbable, else 0. */
  accept(slot: number, values: Float64Array, index: number): number {
    const value = values[index]!;
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    const count = s[o + COUNT]! + 1;
    s[o + COUNT] = count;
    let decades = 0;
    if (value === s[o + LAST_VALUE] && count > 1) {
      const run = s[o + RUN]! + 1;
      s[o + RUN] = run;
      if (run > s[o + BLOCK_MAX]!) s[o + BLOCK_MAX] = run;
      if (run > s[o + RUN_MAX]!) decades = report(s, o, run, count);
    } else {
      if (s[o + RUN]! >= RUN_MIN) endRun(s, o, count);
      s[o + RUN] = 0;
      s[o + LAST_VALUE] = value;
      if (count > 1) s[o + CHANGES] = s[o + CHANGES]! + 1;
    }
    const fill = s[o + BLOCK_FILL]! + 1;
    s[o + BLOCK_FILL] = fill;
    if (fill === BLOCK_READINGS) closeBlock(s, o, count);
    return decades;
  }

  /** Repetitions of the sensor's last value, 0 if it came once. */
  run(slot: number): number {
    const o = this.table.rowOf(slot);
    return this.table.state[o + RUN]!;
  }

  /** The longest run that the sensor's history makes probable, in repetitions. */
  longestExpected(slot: number): number {
    const o = this.table.rowOf(slot);
    return Math.floor(this.table.state[o + RUN_MAX]!);
  }

  /** Forgets the sensor in `slot`, so that the slot can be given to another one. */
  forget(slot: number): void {
    this.table.clear(slot);
  }
}

function clearRow(s: Float64Array, o: number): void {
  s.fill(0, o, o + FIELDS);
  s[o + RUN_MAX] = EARLY_RUN_MIN;
}

/** The longest run of late, as it has faded by reading `count`. */
const longestOfLate = (s: Float64Array, o: number, count: number): number =>
  s[o + LONGEST]! * (1 - 1 / LONGEST_READINGS) ** (count - s[o + LONGEST_COUNT]!);

function report(s: Float64Array, o: number, run: number, count: number): number {
  if (s[o + CHANGES]! < CHANGES_MIN || count < s[o + QUIET_UNTIL]! || run <= longestOfLate(s, o, count)) return 0;
  // Reported once: until it ends, the run itself keeps further ones quiet.
  if (s[o + QUIET_UNTIL]! > count - run) return 0;
  s[o + QUIET_UNTIL] = count + QUIET_READINGS;
  const blocks = Math.floor((count - 1) / BLOCK_READINGS);
  if (blocks < BLOCKS_MIN) return STUCK_DECADES_MIN;
  return maximumDecades(Math.log1p(run), s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, blocks);
}

function endRun(s: Float64Array, o: number, count: number): void {
  const run = s[o + RUN]!;
  if (run > longestOfLate(s, o, count)) {
    s[o + LONGEST] = run;
    s[o + LONGEST_COUNT] = count;
  }
  if (count <= BLOCKS_MIN * BLOCK_READINGS) s[o + RUN_MAX] = Math.max(s[o + RUN_MAX]!, EARLY_FACTOR * run);
}

function closeBlock(s: Float64Array, o: number, count: number): void {
  const blocks = count / BLOCK_READINGS;
  s[o + BLOCK_FILL] = 0;
  learnMaximum(s, o + BLOCK_MAX, blocks);
  if (blocks < BLOCKS_MIN) return;
  const improbable = sizeAbove(STUCK_DECADES_MIN, s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, blocks);
  s[o + RUN_MAX] = Math.max(RUN_MIN - 1, improbable);
}
