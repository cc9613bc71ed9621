import { expect, it } from 'vitest';

import { processorLimits } from '../../src/limits.ts';
import { RefusedTables } from '../../src/write/refused-tables.ts';
import { gatewayRow, windowRow } from './sample-rows.ts';

const { refusedRowsTold } = processorLimits;
const NOW = 1_000_000;

/** As many rows of windows as make the table a refused one, all refused. */
function refusedWindows(): RefusedTables {
  const tables = new RefusedTables();
  for (let i = 0; i < refusedRowsTold; i++) {
    tables.note([windowRow()], [{ index: 0, code: 'unfit', reason: 'field type conflict' }], NOW);
  }
  return tables;
}

it('a table of which the store takes nothing is told, until it takes a row of it again', () => {
  const tables = refusedWindows();
  expect(tables.at(NOW)).toMatchObject([{ table: 'window', rows: refusedRowsTold, reason: 'field type conflict' }]);
  tables.note([gatewayRow()], [], NOW);
  expect(tables.at(NOW)).toHaveLength(1);
  tables.note([windowRow()], [], NOW);
  expect(tables.at(NOW)).toEqual([]);
});

it('a row that is too old to be written neither ends nor makes a row of refusals', () => {
  const expired = { index: 0, code: 'expired', reason: 'older than the store keeps rows' } as const;
  const tables = refusedWindows();
  tables.note([windowRow()], [expired], NOW);
  tables.note([windowRow(), windowRow()], [expired, { index: 1, code: 'unfit', reason: 'again' }], NOW);
  expect(tables.at(NOW)).toMatchObject([{ table: 'window', rows: refusedRowsTold + 1, reason: 'again' }]);
  const others = new RefusedTables();
  for (let i = 0; i < 2 * refusedRowsTold; i++) others.note([windowRow()], [expired], NOW);
  expect(others.at(NOW)).toEqual([]);
});
