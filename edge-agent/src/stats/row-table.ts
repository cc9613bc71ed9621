/** Numbers that one step of preparing a snapshot touches: half a mebibyte, a third of a millisecond. */
const PREPARED_NUMBERS = 2 ** 16;

/**
 * Rows of numbers, one per sensor, in one flat array: a sensor's whole state lies on neighbouring cache lines, and a snapshot is a
 * copy. Slots are small whole numbers that the owner gives to sensors; rows are made as slots are used.
 */
export class RowTable {
  /** The numbers of all rows. Replaced when the table grows, so it is read anew for every reading. */
  state: Float64Array;

  readonly #fields: number;
  readonly #clearRow: (state: Float64Array, offset: number) => void;
  /** Memory for the next snapshot. */
  #spare: Float64Array | undefined;
  /** Rows in use: one more than the highest slot so far. */
  #rows = 0;

  /**
   * @param fields numbers per row
   * @param slots rows to make room for at first
   * @param clearRow puts the row that begins at `offset` into its first state; without it, that is zeros
   */
  constructor(fields: number, slots: number, clearRow?: (state: Float64Array, offset: number) => void) {
    this.#fields = fields;
    this.#clearRow = clearRow ?? ((state, offset) => state.fill(0, offset, offset + fields));
    this.state = new Float64Array(fields * Math.max(1, slots));
  }

  /** Numbers of all rows in use. */
  get size(): number {
    return this.#rows * this.#fields;
  }

  /** Makes rows for slots 0 to `slots` − 1; never fewer than there are. */
  reserve(slots: number): void {
    if (slots > this.#rows) this.#growTo(slots);
  }

  /** Where the row of `slot` begins in `state`. */
  rowOf(slot: number): number {
    if (slot >= this.#rows) this.#growTo(slot + 1);
    return slot * this.#fields;
  }

  /** Puts the row of `slot` back into its first state. */
  clear(slot: number): void {
    this.#clearRow(this.state, this.rowOf(slot));
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
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare?.length !== this.size) return this.state.slice(0, this.size);
    spare.set(this.state.subarray(0, this.size));
    return spare;
  }

  /** Replaces all rows. @throws RangeError when `numbers` does not consist of whole rows */
  restore(numbers: Float64Array): void {
    if (numbers.length % this.#fields !== 0) {
      throw new RangeError(`${numbers.length} numbers are no rows of ${this.#fields}`);
    }
    this.#rows = 0;
    this.#growTo(numbers.length / this.#fields);
    this.state.set(numbers);
  }

  #growTo(rows: number): void {
    if (rows * this.#fields > this.state.length) {
      const grown = new Float64Array(
        this.#fields * Math.max(rows, Math.ceil((this.state.length / this.#fields) * 1.5)),
      );
      grown.set(this.state);
      this.state = grown;
    }
    for (let row = this.#rows; row < rows; row += 1) this.#clearRow(this.state, row * this.#fields);
    this.#rows = rows;
  }
}
