import { type EpochMs, epochMs, limits } from '@floorwatch/contracts';

import { LearnedState } from './learned-state.ts';
import { RowTable } from './row-table.ts';

const SIZE = limits.contextReadingsMax;

// One sensor's row.
/** Readings so far; the next one goes to position count modulo SIZE. */
const COUNT = 0;
const AT = 1;
const VALUE = AT + SIZE;
const FIELDS = VALUE + SIZE;

/** Each sensor's last readings, for the context of an anomaly. */
export class RecentReadings {
  readonly #table = new RowTable(FIELDS, 1);
  readonly state = new LearnedState({ version: 1, basis: { readings: SIZE } }, { rows: this.#table });

  reserve(slots: number): void {
    this.#table.reserve(slots);
  }

  add(slot: number, at: EpochMs, value: number): void {
    const s = this.#table.state;
    const o = slot * FIELDS;
    const count = s[o + COUNT]!;
    const place = o + (count % SIZE);
    s[place + AT] = at;
    s[place + VALUE] = value;
    s[o + COUNT] = count + 1;
  }

  /** The last readings, oldest first. */
  list(slot: number): { at: EpochMs; value: number }[] {
    const s = this.#table.state;
    const o = slot * FIELDS;
    const count = s[o + COUNT]!;
    const length = Math.min(count, SIZE);
    return Array.from({ length }, (_, i) => {
      const place = o + ((count - length + i) % SIZE);
      return { at: epochMs(s[place + AT]!), value: s[place + VALUE]! };
    });
  }
}
