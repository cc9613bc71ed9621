import { type EpochMs, epochMs, limits } from '@floorwatch/contracts';

import { LearnedState } from './learned-state.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import { RowTable } from './row-table.ts';
import type { SensorRows } from './sensor-rows.ts';

const SIZE = limits.contextReadingsMax;

// One sensor's row.
/** Readings so far; the next one goes to position count modulo SIZE. */
const COUNT = 0;
const AT = 1;
const VALUE = AT + SIZE;
const FIELDS = VALUE + SIZE;

/** Each sensor's last readings, for the context of an anomaly. */
export class RecentReadings {
  readonly #table: RowTable;
  readonly state: LearnedState;

  constructor(rows?: SensorRows) {
    this.#table = new RowTable(FIELDS, rows);
    this.state = new LearnedState({ version: 1, basis: { readings: SIZE } }, { rows: this.#table });
  }

  reserve(slots: number): void {
    this.#table.reserve(slots);
  }

  add(slot: number, { eventTime, value }: ReadingInHand): void {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const count = s[o + COUNT]!;
    const place = o + (count % SIZE);
    s[place + AT] = eventTime;
    s[place + VALUE] = value;
    s[o + COUNT] = count + 1;
  }

  /** The last readings, oldest first. */
  list(slot: number): { at: EpochMs; value: number }[] {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const count = s[o + COUNT]!;
    const length = Math.min(count, SIZE);
    return Array.from({ length }, (_, i) => {
      const place = o + ((count - length + i) % SIZE);
      return { at: epochMs(s[place + AT]!), value: s[place + VALUE]! };
    });
  }
}
