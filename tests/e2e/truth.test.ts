import path from 'node:path';

import { expect, it } from 'vitest';

import { programs, resourcesPerTest, waitFor } from '../support/index.ts';
import { Floor } from './floor.ts';

const resources = resourcesPerTest();

/** What `floorwatch-simulator score --json` prints, as far as it is looked at here. */
interface Score {
  readonly faults: number;
  readonly recall: number;
  readonly precision: number;
  readonly byType: Readonly<
    Record<string, { readonly injected: number; readonly found: number; readonly kinds: object }>
  >;
}

it('half an hour of a simulated floor: every type of fault that was injected is found in the store', async () => {
  const floor = await Floor.start(resources, { store: 'duckdb' });
  const truth = path.join(await resources.directory(), 'truth.ndjson');
  const run = ['--machines', '12', '--duration', '30m', '--start', '2026-03-02T09:00:00Z', '--speed-up', 'max'];
  await floor.simulator('run', ...run, '--truth', truth).exited;
  // What lasts to the end stays open: all is there when nothing changes any more.
  let before = '';
  await waitFor(
    'all episodes are in the store',
    async () => {
      const rows = await floor.anomalies();
      const now = JSON.stringify(rows);
      const isStill = now === before;
      before = now;
      return isStill && rows.length > 15;
    },
    { timeoutMs: 60_000, intervalMs: 3_000 },
  );

  const scored = resources.program(programs.simulator, ['score', '--truth', truth, '--api', floor.apiUrl, '--json']);
  expect((await scored.exited).code).toBe(0);
  const score = JSON.parse(scored.stdout) as Score;
  expect(score.faults).toBeGreaterThan(15);
  expect(score.recall).toBeGreaterThan(0.9);
  expect(score.precision).toBeGreaterThan(0.8);
  for (const type of ['spike', 'shift', 'noise', 'gap', 'stuck', 'unit', 'swing', 'season', 'drift', 'rail']) {
    expect(score.byType[type]?.found, type).toBeGreaterThan(0);
  }
  expect(score.byType['gap']?.kinds).toHaveProperty('silent');
  expect(score.byType['stuck']?.kinds).toHaveProperty('stuck');
  expect(score.byType['unit']?.kinds).toHaveProperty('unit');
}, 180_000);
