import { expect, it } from 'vitest';

import { windowCells } from '../../src/window/cells.ts';
import { LateWindows } from '../../src/window/late-windows.ts';
import { orderOf } from '../../src/window/record-order.ts';
import { windowRow } from '../write/sample-rows.ts';

it.each([true, false])('a correction leaves the mark of a window as it is (incomplete: %s)', (incomplete) => {
  const base = windowRow({ incomplete, through: { run: 1, number: 10 } });
  const { sensor, unit, size, start } = base;
  const late = new LateWindows(10);
  late.add({ sensor, unit, size, start, incomplete: !incomplete }, orderOf({ run: 1, number: 11 }), windowCells(base));
  expect(late.correct(sensor, size, start, base)).toMatchObject({ incomplete, revision: base.revision + 1 });
});
