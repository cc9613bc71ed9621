import { expect, it } from 'vitest';

import { RowTable } from '../../src/stats/row-table.ts';

const FIELDS = 3;
const startRow = (state: Float64Array, offset: number): void => void state.fill(-1, offset, offset + FIELDS);

it('a row starts as it was told to, and keeps what was written when the table grows', () => {
  const table = new RowTable(FIELDS, undefined, startRow);
  for (let slot = 0; slot < 100; slot += 1) {
    const offset = table.rowOf(slot);
    expect([...table.state.subarray(offset, offset + FIELDS)]).toEqual([-1, -1, -1]);
    table.state[offset] = slot;
  }
  for (let slot = 0; slot < 100; slot += 1) expect(table.state[table.rowOf(slot)]).toBe(slot);
});

it('a cleared row starts anew, the others stay', () => {
  const table = new RowTable(FIELDS, undefined, startRow);
  table.reserve(2);
  for (const slot of [0, 1]) table.state[table.rowOf(slot)] = 7;
  table.clear(0);
  expect([table.state[table.rowOf(0)], table.state[table.rowOf(1)]]).toEqual([-1, 7]);
});

it('a snapshot holds the rows in use; rows that come after it start anew', () => {
  const table = new RowTable(FIELDS, undefined, startRow);
  table.reserve(2);
  table.state[table.rowOf(1)] = 5;
  const other = new RowTable(FIELDS, undefined, startRow);
  other.reserve(5);
  other.state[other.rowOf(4)] = 9;
  other.restore(table.snapshot());
  expect(other.snapshot()).toEqual(
    Float64Array.of(...table.snapshot(), ...Array.from({ length: 3 * FIELDS }, () => -1)),
  );
  expect([1, 4].map((slot) => other.state[other.rowOf(slot)])).toEqual([5, -1]);
});
