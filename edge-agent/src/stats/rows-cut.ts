import type { PastNumbers } from '../state-section.ts';
import type { SensorRows } from './sensor-rows.ts';

/** Rows for which memory is taken at a time. */
const BLOCK_ROWS = 64;

/**
 * All rows as they were at one moment. A row is copied only when a reading is about to change it, so the moment itself costs next to nothing,
 * however many sensors there are; the others are read where they are.
 */
export class RowsCut {
  /** Rows that there were. */
  readonly count: number;
  readonly #rows: SensorRows;
  /** By slot: 1 + the place of its copy, 0 while the row is what it was. */
  readonly #places: Uint32Array;
  readonly #blocks: Float64Array[] = [];
  #copies = 0;

  constructor(rows: SensorRows) {
    this.#rows = rows;
    this.count = rows.count;
    this.#places = new Uint32Array(this.count);
  }

  /** The row is about to change. */
  keep(slot: number): void {
    if (slot >= this.count || this.#places[slot] !== 0) return;
    const { stride, state } = this.#rows;
    const place = this.#copies % BLOCK_ROWS;
    if (place === 0) this.#blocks.push(new Float64Array(BLOCK_ROWS * stride));
    const row = slot * stride;
    this.#blocks.at(-1)?.set(state.subarray(row, row + stride), place * stride);
    this.#copies += 1;
    this.#places[slot] = this.#copies;
  }

  /** The numbers that one part of the rows had, row by row. @param offset where in a row the part begins. */
  part(offset: number, fields: number): PastNumbers {
    return {
      type: 'float64',
      length: this.count * fields,
      copyTo: (into, begin) => {
        let slot = Math.floor(begin / fields);
        let field = begin - slot * fields;
        for (let i = 0; i < into.length; slot += 1) {
          const place = this.#places[slot]! - 1;
          const from = place < 0 ? this.#rows.state : this.#blocks[Math.floor(place / BLOCK_ROWS)]!;
          const row = (place < 0 ? slot : place % BLOCK_ROWS) * this.#rows.stride + offset;
          for (; field < fields && i < into.length; field += 1, i += 1) into[i] = from[row + field]!;
          field = 0;
        }
      },
    };
  }
}
