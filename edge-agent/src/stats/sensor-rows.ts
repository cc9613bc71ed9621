import { RowsCut } from './rows-cut.ts';

/** Numbers on one cache line. */
const LINE_NUMBERS = 8;

/** A part of every row, and how it looks before the sensor's first reading. */
interface RowPart {
  readonly offset: number;
  readonly clear: (state: Float64Array, offset: number) => void;
}

/**
 * What is kept of each sensor as numbers: one row per sensor in one flat array, in which every statistic and every detector has a part.
 * What one reading touches so lies together. With thousands of sensors a row has left the cache before its next reading comes, and memory
 * is fetched ten times faster from neighbouring lines than from a dozen places.
 *
 * Slots are small whole numbers that the owner gives to sensors; rows are made as slots are used.
 */
export class SensorRows {
  /** The numbers of all rows. Replaced when rows are added, so it is read anew for every reading. */
  state = new Float64Array(0);
  readonly #parts: RowPart[] = [];
  #stride = 0;
  #cut: RowsCut | undefined;
  #count = 0;
  /** Keeps `touch` from being optimised away. */
  touched = 0;

  /** Numbers of one row. */
  get stride(): number {
    return this.#stride;
  }

  /** Rows in use: one more than the highest slot so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds a part to every row.
   *
   * @param fields numbers of the part.
   * @param clear puts the part that begins at `offset` of `state` into its first state.
   * @returns where in a row the part begins.
   * @throws Error if there are rows already.
   */
  addPart(fields: number, clear: RowPart['clear']): number {
    if (this.#count > 0) throw new Error('the rows are in use: they can get no further part');
    const offset = this.#stride;
    this.#parts.push({ offset, clear });
    this.#stride += fields;
    return offset;
  }

  /** Where the row of `slot` begins in `state`. */
  rowOf(slot: number): number {
    if (slot >= this.#count) this.#growTo(slot + 1);
    return slot * this.#stride;
  }

  /** Makes rows for slots 0 to `slots` − 1; never fewer than there are. */
  reserve(slots: number): void {
    if (slots > this.#count) this.#growTo(slots);
  }

  /** Holds on to all rows as they are now, until {@link endCut}. @throws Error if there is a cut already. */
  cut(): RowsCut {
    if (this.#cut !== undefined) throw new Error('the rows are held on to already');
    this.#cut = new RowsCut(this);
    return this.#cut;
  }

  endCut(): void {
    this.#cut = undefined;
  }

  /**
   * To be called before anything of the row of `slot` changes. Also has the whole row fetched into the cache at once: waiting for its lines one
   * after the other takes several times as long.
   */
  touch(slot: number): void {
    this.#cut?.keep(slot);
    const s = this.state;
    const begin = slot * this.#stride;
    const end = begin + this.#stride;
    let sum = 0;
    for (let i = begin; i < end; i += LINE_NUMBERS) sum += s[i]!;
    this.touched = sum;
  }

  #growTo(rows: number): void {
    if (rows * this.#stride > this.state.length) {
      const capacity = Math.max(rows, Math.ceil(this.#count * 1.5));
      const grown = new Float64Array(this.#stride * capacity);
      grown.set(this.state);
      this.state = grown;
    }
    for (let row = this.#count; row < rows; row += 1) {
      for (const { offset, clear } of this.#parts) clear(this.state, row * this.#stride + offset);
    }
    this.#count = rows;
  }
}
