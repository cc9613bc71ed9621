import { SensorRows } from './sensor-rows.ts';

/** Numbers that one step of preparing a snapshot touches: half a mebibyte, a third of a millisecond. */
const PREPARED_NUMBERS = 2 ** 16;

/** The part of {@link SensorRows} that one statistic or detector has: some numbers for each sensor. */
export class RowTable {
  readonly #rows: SensorRows;
  readonly #offset: number;
  readonly #fields: number;
  readonly #clearRow: (state: Float64Array, offset: number) => void;
  /** Memory for the next snapshot. */
  #spare: Float64Array | undefined;

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

  /**
   * Makes the memory ready that the next snapshot needs, some of it with every step: memory that was never touched costs five times as much
   * to write as memory that was. Without it, or when rows have been added since, a snapshot only takes longer.
   */
  *prepareSnapshot(): Generator<undefined> {
    const spare = new Float64Array(this.size);
    for (let begin = 0; begin < spare.length; begin += PREPARED_NUMBERS) {
      spare.fill(0, begin, begin + PREPARED_NUMBERS);
      yield;
    }
    this.#spare = spare;
  }

  /** A copy of the rows in use. */
  snapshot(): Float64Array {
    const copy = this.#spare?.length === this.size ? this.#spare : new Float64Array(this.size);
    this.#spare = undefined;
    const { state } = this;
    for (let slot = 0, to = 0; to < copy.length; slot += 1) {
      const row = this.rowOf(slot);
      for (let i = row; i < row + this.#fields; i += 1) copy[to++] = state[i]!;
    }
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
