import type { Row, WindowRow } from '@floorwatch/contracts';
import { expect, it } from 'vitest';

import { WindowComparison } from '../../src/reprocess/compare-windows.ts';
import { windowCells } from '../../src/window/cells.ts';
import { LateWindows } from '../../src/window/late-windows.ts';
import { orderOf } from '../../src/window/record-order.ts';
import { rowKey } from '../../src/write/row-key.ts';
import { windowRow } from '../write/sample-rows.ts';

it('takes a window that was marked after its seal for the same', async () => {
  const sealed = windowRow({ revision: 0, incomplete: false });
  for (const [stored, same] of [
    [{ ...sealed, revision: 1, incomplete: true }, 1],
    [{ ...sealed, revision: 2, incomplete: true }, 0],
    [{ ...sealed, revision: 1 }, 0],
  ] as const) {
    const written: Row[] = [];
    const page = async () => ({ items: [stored], next: null });
    const counts = { same: 0, missing: 0, changed: 0, kept: 0 };
    const output = { isDry: false, unsent: () => undefined, put: async (row: Row) => void written.push(row) };
    const windows = new WindowComparison({ windows: page, windowsByTime: page }, output, counts);
    await windows.add([sealed]);
    await windows.end();
    expect(counts).toEqual({ same, missing: 0, changed: 1 - same, kept: 0 });
    expect(written).toHaveLength(1 - same);
  }
});

it('corrects what it has made itself, also when the store confirms that while it is asked', async () => {
  const sealed = windowRow({ revision: 0, through: { run: 1, number: 10 } });
  const { sensor, unit, size, start } = sealed;
  const [unsent, stored] = [new Map<string, Row>(), new Map<string, Row>()];
  const output = {
    isDry: false,
    unsent: (key: string) => unsent.get(key),
    put: async (row: Row) => void unsent.set(rowKey(row), row),
  };
  /** What was stored when it was asked; until it answers, everything lands. */
  const page = async () => {
    const items = [...stored.values()] as WindowRow[];
    for (const [key, row] of unsent) stored.set(key, row);
    unsent.clear();
    return { items, next: null };
  };
  const counts = { same: 0, missing: 0, changed: 0, kept: 0 };
  const windows = new WindowComparison({ windows: page, windowsByTime: page }, output, counts);
  await windows.add([sealed]);
  for (const number of [12, 14]) {
    const late = new LateWindows(10);
    late.add({ sensor, unit, size, start, incomplete: false }, orderOf({ run: 1, number }), windowCells(sealed));
    await windows.correct(late, () => true);
  }
  await page();
  const { n } = sealed.aggregate;
  expect([...stored.values()]).toMatchObject([
    { aggregate: { n: 3 * n }, revision: 2, through: { run: 1, number: 14 } },
  ]);
  expect(counts).toEqual({ same: 0, missing: 1, changed: 0, kept: 0 });
});

it.each([
  ['holds more readings', { aggregate: { ...windowRow().aggregate, n: windowRow().aggregate.n + 1 } }],
  ['holds a later record', { through: { run: 9, number: 9 } }],
])('leaves a stored window alone that %s', async (_what, more) => {
  const page = async () => ({ items: [windowRow(more)], next: null });
  const written: Row[] = [];
  const counts = { same: 0, missing: 0, changed: 0, kept: 0 };
  const output = { isDry: false, unsent: () => undefined, put: async (row: Row) => void written.push(row) };
  const windows = new WindowComparison({ windows: page, windowsByTime: page }, output, counts);
  await windows.add([windowRow()]);
  await windows.end();
  expect([written, counts]).toEqual([[], { same: 0, missing: 0, changed: 0, kept: 1 }]);
});
