import { type DurationMs, durationMs } from '@floorwatch/contracts';

import { LearnedState } from './learned-state.ts';
import type { MovingStatistic } from './moving-statistic.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import { RowTable } from './row-table.ts';
import type { SensorRows } from './sensor-rows.ts';

const PANES = 12;
/** What is kept of a pane, and where. */
const FIELDS = 4;
const [N, REFERENCE, MEAN, M2] = [0, 1, 2, 3] as const;
// One sensor's row: its panes, behind them the sum of all panes except the current one, and at last the number of the newest
// reading's pane since the epoch, NaN for a slot without readings.
const CLOSED = PANES * FIELDS;
const NEWEST = CLOSED + FIELDS;
const STRIDE = NEWEST + 1;

function clearRow(s: Float64Array, o: number): void {
  s.fill(0, o, o + NEWEST);
  s[o + NEWEST] = NaN;
}

/**
 * Mean and variance of each sensor's readings in the last stretch of event time, whatever their number.
 *
 * The stretch is cut into 12 panes aligned to the epoch, each a mergeable sum: the window is the pane of the newest reading and the
 * 11 before it, so it covers between 11 and 12 panes of time. Nothing is ever subtracted; a pane is forgotten as a whole. The sum of
 * the panes that no longer change is kept, so that asking costs one merge (Chan, Golub, LeVeque 1979).
 *
 * Example: a window of 12 minutes has panes of one minute. At 10:07:30 it covers 09:56:00 to 10:07:30.
 */
export class TimeWindow implements MovingStatistic {
  readonly state: LearnedState;
  readonly #paneMs: DurationMs;
  readonly #table: RowTable;
  /** The sum that the last call of `#merge` made; members, so that asking allocates nothing. */
  #n = 0;
  #reference = 0;
  #mean = 0;
  #m2 = 0;

  /** @param length event time that the window covers, at least 12 ms; panes are rounded up to whole milliseconds. */
  constructor(length: DurationMs, rows?: SensorRows) {
    this.#table = new RowTable(STRIDE, rows, clearRow);
    this.#paneMs = durationMs(Math.ceil(length / PANES));
    this.state = new LearnedState({ version: 1, basis: { form: 'time', paneMs: this.#paneMs } }, { rows: this.#table });
  }

  reserve(slots: number): void {
    this.#table.reserve(slots);
  }

  add(slot: number, { eventTime, value }: ReadingInHand): void {
    const pane = Math.floor(eventTime / this.#paneMs);
    const begin = this.#table.rowOf(slot);
    const panes = this.#table.state;
    if (pane !== panes[begin + NEWEST]) this.#moveTo(slot, pane);
    const p = begin + placeOf(pane);
    const n = panes[p + N]! + 1;
    panes[p + N] = n;
    if (n === 1) {
      panes[p + REFERENCE] = value;
      return;
    }
    const shifted = value - panes[p + REFERENCE]!;
    const delta = shifted - panes[p + MEAN]!;
    const mean = panes[p + MEAN]! + delta / n;
    panes[p + MEAN] = mean;
    panes[p + M2] = panes[p + M2]! + delta * (shifted - mean);
  }

  /** Makes `pane` the current one: forgets what is now too old and sums up the rest. */
  #moveTo(slot: number, pane: number): void {
    const begin = this.#table.rowOf(slot);
    const panes = this.#table.state;
    const newest = panes[begin + NEWEST]!;
    panes[begin + NEWEST] = pane;
    // Also right for a new slot: no pane is cleared, and all are empty.
    const passed = Math.min(pane - newest, PANES);
    for (let i = 0; i < passed; i++) {
      const p = begin + placeOf(pane - i);
      panes.fill(0, p, p + FIELDS);
    }
    this.#n = 0;
    for (let i = PANES - 1; i > 0; i--) this.#merge(begin + placeOf(pane - i));
    panes[begin + CLOSED + N] = this.#n;
    panes[begin + CLOSED + REFERENCE] = this.#reference;
    panes[begin + CLOSED + MEAN] = this.#mean;
    panes[begin + CLOSED + M2] = this.#m2;
  }

  /** Merges the sum at `p` into the members. The references are subtracted first, which is exact for nearby ones. */
  #merge(p: number): void {
    const panes = this.#table.state;
    const n = panes[p + N]!;
    if (n === 0) return;
    if (this.#n === 0) {
      this.#n = n;
      this.#reference = panes[p + REFERENCE]!;
      this.#mean = panes[p + MEAN]!;
      this.#m2 = panes[p + M2]!;
      return;
    }
    const delta = panes[p + REFERENCE]! - this.#reference + (panes[p + MEAN]! - this.#mean);
    const total = this.#n + n;
    this.#m2 += panes[p + M2]! + delta * delta * ((this.#n * n) / total);
    this.#mean += (delta * n) / total;
    this.#n = total;
  }

  /** Leaves the sum of the slot's window in the members. */
  #sum(slot: number): void {
    this.#n = 0;
    const begin = this.#table.rowOf(slot);
    const newest = this.#table.state[begin + NEWEST]!;
    if (Number.isNaN(newest)) return;
    this.#merge(begin + CLOSED);
    this.#merge(begin + placeOf(newest));
  }

  count(slot: number): number {
    this.#sum(slot);
    return this.#n;
  }

  mean(slot: number): number {
    this.#sum(slot);
    return this.#n === 0 ? NaN : this.#reference + this.#mean;
  }

  deviation(slot: number, value: number): number {
    this.#sum(slot);
    return this.#n === 0 ? NaN : value - this.#reference - this.#mean;
  }

  variance(slot: number): number {
    this.#sum(slot);
    return this.#n === 0 ? NaN : this.#m2 / this.#n;
  }
}

/** Where pane number `pane`, which may be negative, lies among a slot's panes. */
function placeOf(pane: number): number {
  // `%` of large numbers costs ten times as much.
  return (pane - Math.floor(pane / PANES) * PANES) * FIELDS;
}
