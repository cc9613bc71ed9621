import { CELLS, mergeCells } from './cells.ts';

/** A pane as it is saved: row `r` is the window of sensor slot `slots[r]`, its state the cells from `r * CELLS`. */
export interface PaneSnapshot {
  readonly size: number;
  readonly start: number;
  readonly slots: Int32Array;
  readonly cells: Float64Array;
  /** By row: the last record merged into the window, see `record-order.ts`. */
  readonly through: Float64Array;
}

/**
 * The open windows of one gateway with the same size and start: they seal together. Sensors are the gateway's slots; a window takes
 * 144 bytes of cells and 17 of bookkeeping, plus 4 per slot of the gateway.
 *
 * Example: slots 7 and 3 have readings: `rows` 2, `#slots` [7, 3], `#rowOf[7]` 1, `#rowOf[3]` 2 (0 stands for none).
 */
export class Pane {
  readonly size: number;
  readonly start: number;
  readonly end: number;
  rows = 0;
  #slots: Int32Array;
  #cells: Float64Array;
  #rowOf: Int32Array;
  #through: Float64Array;
  /** 1 where the window changed since its running value was last taken. */
  #changed: Uint8Array;
  #changedCount = 0;

  /** @param capacity expected number of windows; the pane grows when there are more. */
  constructor(size: number, start: number, capacity: number) {
    this.size = size;
    this.start = start;
    this.end = start + size;
    const room = Math.max(4, capacity);
    this.#slots = new Int32Array(room);
    this.#cells = new Float64Array(room * CELLS);
    this.#rowOf = new Int32Array(room);
    this.#through = new Float64Array(room);
    this.#changed = new Uint8Array(room);
  }

  static restore(snapshot: PaneSnapshot): Pane {
    const pane = new Pane(snapshot.size, snapshot.start, snapshot.slots.length);
    for (const [row, slot] of snapshot.slots.entries()) {
      pane.add(slot, snapshot.cells.subarray(row * CELLS, (row + 1) * CELLS), snapshot.through[row]!);
    }
    return pane;
  }

  /** A copy that later merges do not touch. */
  snapshot(): PaneSnapshot {
    return {
      size: this.size,
      start: this.start,
      slots: this.#slots.slice(0, this.rows),
      cells: this.#cells.slice(0, this.rows * CELLS),
      through: this.#through.slice(0, this.rows),
    };
  }

  get cells(): Float64Array {
    return this.#cells;
  }

  /** Memory that it takes, room to grow included. */
  get bytes(): number {
    const arrays = [this.#slots, this.#cells, this.#rowOf, this.#through, this.#changed];
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The last record merged into the row's window. */
  throughAt(row: number): number {
    return this.#through[row]!;
  }

  slotAt(row: number): number {
    return this.#slots[row]!;
  }

  /** The row of the slot's window, or −1 if it has none. */
  rowOf(slot: number): number {
    return (this.#rowOf[slot] ?? 0) - 1;
  }

  /** Merges a loaded rollup of the record `order` into the slot's window. Returns false, and changes nothing, if the slot has none yet. */
  merge(slot: number, rollup: Float64Array, order: number): boolean {
    const row = (this.#rowOf[slot] ?? 0) - 1;
    if (row < 0) return false;
    mergeCells(this.#cells, row * CELLS, rollup);
    this.#through[row] = order;
    this.#touch(row);
    return true;
  }

  /** Opens the slot's window with a loaded rollup of the record `order`. */
  add(slot: number, rollup: Float64Array, order: number): void {
    if (this.rows === this.#slots.length) this.#grow(enlargedLength(this.rows));
    if (slot >= this.#rowOf.length)
      this.#rowOf = enlarged(this.#rowOf, Math.max(slot + 1, enlargedLength(this.#rowOf.length)));
    const row = this.rows++;
    this.#slots[row] = slot;
    this.#rowOf[slot] = row + 1;
    this.#cells.set(rollup, row * CELLS);
    this.#through[row] = order;
    this.#touch(row);
  }

  /** Calls `take` with the row of each changed window, at most `max` of them, and marks them unchanged. Returns how many. */
  takeChanged(max: number, take: (row: number) => void): number {
    if (this.#changedCount === 0) return 0;
    let taken = 0;
    for (let row = 0; row < this.rows && taken < max; row++) {
      if (this.#changed[row] === 0) continue;
      this.#changed[row] = 0;
      taken++;
      take(row);
    }
    this.#changedCount -= taken;
    return taken;
  }

  /** Gives every slot another number. */
  renumber(slotOf: Int32Array, slots: number): void {
    this.#rowOf = new Int32Array(slots);
    for (let row = 0; row < this.rows; row++) {
      const slot = slotOf[this.slotAt(row)]!;
      this.#slots[row] = slot;
      this.#rowOf[slot] = row + 1;
    }
  }

  #touch(row: number): void {
    if (this.#changed[row] === 1) return;
    this.#changed[row] = 1;
    this.#changedCount++;
  }

  #grow(room: number): void {
    this.#slots = enlarged(this.#slots, room);
    this.#changed = enlarged(this.#changed, room);
    this.#through = enlarged(this.#through, room);
    this.#cells = enlarged(this.#cells, room * CELLS);
  }
}

/** An eighth more: twice as much would leave up to half of it unused, and only the first pane of a size has to grow. */
const enlargedLength = (length: number): number => length + Math.ceil(length / 8) + 16;

function enlarged<T extends Int32Array | Uint8Array | Float64Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(length);
  larger.set(array);
  return larger;
}
