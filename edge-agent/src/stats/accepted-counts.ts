import { COUNT_MS, type EpochMs, epochMs, type HashSum, hashText, intervalStart, shift } from '@floorwatch/contracts';

import { numbersOf, requireSection, StateError, type StateSection } from '../state-section.ts';
import { capacityFor, growFloat64 } from './grow.ts';
import { statsLimits } from './limits.ts';
import type { ReadingInHand } from './reading-in-hand.ts';

/** Every later release must be able to read it (docs/agent-snapshot-format.md). Files of earlier releases have none. */
const SECTION = 'accepted-counts';
const VERSION = 1;

// One sensor's readings of one event hour.
const SLOT = 0;
const HOUR = 1;
const SINCE = 2;
const N = 3;
const HIGH = 4;
const LOW = 5;
/** 1: it has changed since it was last told. */
const NEWS = 6;
/** 1: it has changed or was told since the watermark last came to a new hour. */
const RECENT = 7;
const FIELDS = 8;

/** Slots of one hour: more than an agent has sensors. */
const SLOTS = 2 ** 20;
const keyOf = (slot: number, hour: number): number => (hour / COUNT_MS) * SLOTS + slot;

/** What was accepted of the sensor at `slot` in one event hour. */
export interface AcceptedHour {
  readonly slot: number;
  readonly hour: EpochMs;
  /** Readings counted in all when this count began. */
  readonly since: number;
  readonly n: number;
  /** The sum of their hashes, 16 hexadecimal digits. */
  readonly hash: string;
}

interface Saved {
  readonly total: number;
  readonly counter: string | null;
  readonly completeFrom: number | null;
  readonly hourReached: number | null;
}

/**
 * Counts accepted readings per sensor and event hour, when they are taken and without looking at what is made of them, so that rollups and
 * windows can be held against it.
 *
 * Bounded: an hour is forgotten an hour after it was told last, by the watermark. What comes for it later begins a new count, whose `since`
 * tells it from the one before. At the limit (`statsLimits.countedHoursMax`) everything must be told, and is forgotten.
 */
export class AcceptedCounts {
  #table = new Float64Array(FIELDS * 16);
  #rows = 0;
  readonly #rowOf = new Map<number, number>();
  /** By slot: the hour of its last reading (NaN: none) and that hour's row, because the next one is mostly of the same hour. */
  #lastHour = new Float64Array(0);
  #lastRow = new Float64Array(0);
  /** Readings counted in all. */
  #total = 0;
  #counter: string | undefined;
  #completeFrom: EpochMs | undefined;
  /** The hour that the watermark was in when rows were last looked at for being old. */
  #hourReached = -Infinity;

  /** Whether everything must be told and forgotten. @param sensors how many there are. */
  isFull(sensors: number): boolean {
    return this.#rows >= Math.max(statsLimits.countedHoursMax, statsLimits.countedHoursPerSensorMax * sensors);
  }

  /** The name of this counting; undefined until {@link begin}, and then nothing is told. */
  get counter(): string | undefined {
    return this.#counter;
  }

  /** Hours that begin before may lack readings that an older release took; undefined: there are none. */
  get completeFrom(): EpochMs | undefined {
    return this.#completeFrom;
  }

  /** Gives the counting a name, unless it has one. */
  begin(counter: string): void {
    this.#counter ??= counter;
  }

  add(slot: number, { eventTime: at }: ReadingInHand, hash: Readonly<HashSum>): void {
    if (slot >= this.#lastHour.length) this.#reserve(slot + 1);
    const since = at - this.#lastHour[slot]!;
    const row = since >= 0 && since < COUNT_MS ? this.#lastRow[slot]! : this.#find(slot, at);
    this.#total += 1;
    const t = this.#table;
    const o = row * FIELDS;
    t[o + N]! += 1;
    const low = t[o + LOW]! + hash.low;
    const carry = low >= 2 ** 32 ? 1 : 0;
    const high = t[o + HIGH]! + hash.high + carry;
    t[o + LOW] = low - carry * 2 ** 32;
    t[o + HIGH] = high >= 2 ** 32 ? high - 2 ** 32 : high;
    t[o + NEWS] = 1;
    t[o + RECENT] = 1;
  }

  #reserve(slots: number): void {
    const capacity = capacityFor(slots, this.#lastHour.length);
    this.#lastHour = growFloat64(this.#lastHour, capacity, NaN);
    this.#lastRow = growFloat64(this.#lastRow, capacity);
  }

  /** The row of the hour of `at`, made now if there is none. */
  #find(slot: number, at: number): number {
    const hour = intervalStart(epochMs(at), COUNT_MS);
    let row = this.#rowOf.get(keyOf(slot, hour));
    if (row === undefined) {
      row = this.#rows++;
      if (this.#table.length < this.#rows * FIELDS) this.#table = growFloat64(this.#table, this.#table.length * 2);
      this.#table.set([slot, hour, this.#total, 0, 0, 0, 0, 0], row * FIELDS);
      this.#rowOf.set(keyOf(slot, hour), row);
    }
    this.#lastHour[slot] = hour;
    this.#lastRow[slot] = row;
    return row;
  }

  /**
   * Takes what is to be told of hours that end at or before `until`; it counts as told. Every rollup of them must have gone out before.
   *
   * @param until the watermark; `Infinity`: all hours, and everything is forgotten.
   */
  take(until: number): AcceptedHour[] {
    const taken: AcceptedHour[] = [];
    const t = this.#table;
    for (let o = 0; o < this.#rows * FIELDS; o += FIELDS) {
      if (t[o + NEWS] !== 1 || t[o + HOUR]! + COUNT_MS > until) continue;
      t[o + NEWS] = 0;
      t[o + RECENT] = 1;
      const hash = hashText({ high: t[o + HIGH]!, low: t[o + LOW]! })!;
      taken.push({ slot: t[o + SLOT]!, hour: epochMs(t[o + HOUR]!), since: t[o + SINCE]!, n: t[o + N]!, hash });
    }
    if (until === Infinity) this.#keep(() => false);
    else this.#forgetOld(until);
    return taken;
  }

  /** Second chance: what was neither changed nor told since the watermark came to the hour before is forgotten. */
  #forgetOld(watermark: number): void {
    const hour = intervalStart(epochMs(watermark), COUNT_MS);
    if (hour <= this.#hourReached) return;
    this.#hourReached = hour;
    this.#keep((t, o) => t[o + NEWS] === 1 || t[o + RECENT] === 1);
    for (let o = 0; o < this.#rows * FIELDS; o += FIELDS) this.#table[o + RECENT] = 0;
  }

  #keep(isKept: (table: Float64Array, offset: number) => boolean): void {
    const t = this.#table;
    let rows = 0;
    for (let o = 0; o < this.#rows * FIELDS; o += FIELDS) {
      if (isKept(t, o)) t.copyWithin(rows++ * FIELDS, o, o + FIELDS);
    }
    this.#rows = rows;
    this.#index();
  }

  #index(): void {
    this.#lastHour.fill(NaN);
    this.#rowOf.clear();
    const t = this.#table;
    for (let row = 0; row < this.#rows; row++) {
      this.#rowOf.set(keyOf(t[row * FIELDS + SLOT]!, t[row * FIELDS + HOUR]!), row);
    }
  }

  /** A copy of everything: 64 bytes per sensor and hour. */
  snapshot(): StateSection {
    const values: Saved = {
      total: this.#total,
      counter: this.#counter ?? null,
      completeFrom: this.#completeFrom ?? null,
      hourReached: Number.isFinite(this.#hourReached) ? this.#hourReached : null,
    };
    return { name: SECTION, version: VERSION, values, arrays: { hours: this.#table.slice(0, this.#rows * FIELDS) } };
  }

  /**
   * Takes up what a snapshot holds. If an older release made it, counting begins now.
   *
   * @param newest event time of the newest reading so far: hours up to there had readings that were not counted.
   * @throws StateError
   */
  restore(sections: readonly StateSection[], newest: number): void {
    const section = sections.find(({ name }) => name === SECTION);
    if (section === undefined) {
      if (Number.isFinite(newest)) this.#completeFrom = shift(intervalStart(epochMs(newest), COUNT_MS), COUNT_MS);
      return;
    }
    const { total, counter, completeFrom, hourReached } = requireSection(sections, SECTION, VERSION).values as Saved;
    const hours = numbersOf(section, 'hours');
    if (typeof total !== 'number' || hours.length % FIELDS !== 0) {
      throw new StateError('malformed', SECTION, 'is not what its version says');
    }
    this.#total = total;
    this.#counter = counter ?? undefined;
    this.#completeFrom = completeFrom === null ? undefined : epochMs(completeFrom);
    this.#hourReached = hourReached ?? -Infinity;
    this.#table = growFloat64(hours, Math.max(hours.length, FIELDS * 16));
    this.#rows = hours.length / FIELDS;
    this.#index();
  }
}
