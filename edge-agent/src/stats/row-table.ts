import type { PastNumbers } from '../state-section.ts';
import { RowsCut } from './rows-cut.ts';
import { SensorRows } from './sensor-rows.ts';

/** The part of {@link SensorRows} that one statistic or detector has: some numbers for each sensor. */
export class RowTable {
  readonly #rows: SensorRows;
  readonly #offset: number;
  readonly #fields: number;
  readonly #clearRow: (state: Float64Array, offset: number) => void;

  /**
   * @param fields numbers per row
   * @param rows without it, the table has rows of its own
   * @param clearRow puts the row that begins at `offset` into its first state; without it, that is zeros
   */
  constructor(
    fields: number,
    rows: SensorRows = new SensorRows(),
    clearRow: (state: Float64Array, offset: number) => void = (state, offset) => state.fill(0, offset, offset + fields),
  ) {
    this.#rows = rows;
    this.#fields = fields;
    this.#clearRow = clearRow;
    this.#offset = rows.addPart(fields, clearRow);
  }

  /** The numbers of all rows, those of others among them. Replaced when the table grows, so it is read anew for every reading. */
  get state(): Float64Array {
    return this.#rows.state;
  }

  /** Numbers of all rows in use. */
  get size(): number {
    return this.#rows.count * this.#fields;
  }

  /** Makes rows for slots 0 to `slots` − 1; never fewer than there are. */
  reserve(slots: number): void {
    this.#rows.reserve(slots);
  }

  /** Where the row of `slot` begins in `state`. */
  rowOf(slot: number): number {
    return this.#rows.rowOf(slot) + this.#offset;
  }

  /** Puts the row of `slot` back into its first state. */
  clear(slot: number): void {
    const row = this.rowOf(slot);
    this.#clearRow(this.state, row);
  }

  /** The rows in use at the moment of a cut. */
  past(cut: RowsCut): PastNumbers {
    return cut.part(this.#offset, this.#fields);
  }

  /** A copy of the rows in use. */
  snapshot(): Float64Array {
    const copy = new Float64Array(this.size);
    new RowsCut(this.#rows).part(this.#offset, this.#fields).copyTo(copy, 0);
    return copy;
  }

  /** Replaces the first rows and clears the others. @throws RangeError when `numbers` does not consist of whole rows */
  restore(numbers: Float64Array): void {
    if (numbers.length % this.#fields !== 0) {
      throw new RangeError(`${numbers.length} numbers are no rows of ${this.#fields}`);
    }
    const rows = numbers.length / this.#fields;
    this.reserve(rows);
    for (let slot = 0; slot < rows; slot += 1) {
      this.state.set(numbers.subarray(slot * this.#fields, (slot + 1) * this.#fields), this.rowOf(slot));
    }
    for (let slot = rows; slot < this.#rows.count; slot += 1) this.clear(slot);
  }
}
