/**
 * Rows of numbers, one per sensor, in one flat array: a sensor's whole state lies on neighbouring cache lines, and a snapshot is a
 * copy. Slots are small whole numbers that the owner gives to sensors; rows are made as slots are used.
 */
export class RowTable {
  /** The numbers of all rows. Replaced when the table grows, so it is read anew for every reading. */
  state: Float64Array;

  readonly #fields: number;
  readonly #clearRow: (state: Float64Array, offset: number) => void;
  /** Rows in use: one more than the highest slot so far. */
  #rows = 0;

  /**
   * @param fields numbers per row
   * @param slots rows to make room for at first
   * @param clearRow puts the row that begins at `offset` into its first state
   */
  constructor(fields: number, slots: number, clearRow: (state: Float64Array, offset: number) => void) {
    this.#fields = fields;
    this.#clearRow = clearRow;
    this.state = new Float64Array(fields * Math.max(1, slots));
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

  /** The rows in use, as bytes of this machine's byte order. */
  snapshot(): Uint8Array {
    return new Uint8Array(this.state.buffer.slice(0, this.#rows * this.#fields * Float64Array.BYTES_PER_ELEMENT));
  }

  /** Replaces all rows. @throws RangeError when `bytes` does not consist of whole rows */
  restore(bytes: Uint8Array): void {
    const rowBytes = this.#fields * Float64Array.BYTES_PER_ELEMENT;
    if (bytes.length % rowBytes !== 0) {
      throw new RangeError(`a snapshot of ${bytes.length} bytes does not consist of rows of ${rowBytes} bytes`);
    }
    this.#rows = 0;
    this.#growTo(bytes.length / rowBytes);
    new Uint8Array(this.state.buffer).set(bytes);
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
