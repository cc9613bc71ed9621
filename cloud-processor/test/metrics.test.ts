import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { seconds } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import type { Registry } from 'prom-client';
import { describe, expect, it, vi } from 'vitest';

import { repositoryRoot, resourcesPerTest } from '../../tests/support/index.ts';
import { Tenure } from '../src/claim/tenure.ts';
import { processorConfigSchema } from '../src/config.ts';
import { deafObserver } from '../src/floor-observer.ts';
import { createMetrics } from '../src/metrics.ts';
import { Pipeline } from '../src/pipeline.ts';
import { createServeApp, FloorView } from '../src/serve/index.ts';
import { BASE, batchOf, messageOf, MINUTE, rollups, tick } from './support/floor.ts';
import { MemoryStore } from './support/memory-store.ts';

const resources = resourcesPerTest();
const PREFIX = 'floorwatch_processor_';

/** A pipeline that has read and saved something, and its metrics. */
async function measured(): Promise<Registry> {
  const dataDir = await resources.directory();
  const store = new MemoryStore();
  const config = processorConfigSchema.parse({ dataDir, partitions: [3], store: { kind: 'duckdb', file: 'not used' } });
  const logger = createLogger('test', 'silent');
  const pipeline = new Pipeline({ config, store, observer: deafObserver, logger });
  await pipeline.open();
  resources.defer(() => pipeline.close());
  const metrics = createMetrics(pipeline);
  const view = new FloorView({ silentAfterMs: seconds(1) });
  const health = () => pipeline.health();
  createServeApp({ store, view, openWindows: pipeline, token: undefined, metrics, health, logger, exportDir: dataDir });
  const { runner } = pipeline.lanes[0]!;
  const readings = [0, 1, 2].map((sensor) => ({ sensor, at: BASE + 5 * MINUTE, value: sensor }));
  const late = rollups(3, [{ sensor: 0, at: BASE, value: 1 }]);
  for (const record of [rollups(1, readings), tick(2, BASE + 5 * MINUTE), late]) {
    const message = messageOf(batchOf([record]), record.number);
    runner.target.apply({ ...message, seq: record.number, timestampNanos: BigInt(BASE) * 1_000_000n } as never);
  }
  runner.begun = true;
  // Nobody takes claims here.
  const mayAct = vi.spyOn(Tenure.prototype, 'mayAct', 'get').mockReturnValue(true);
  await runner.checkpoint();
  mayAct.mockRestore();
  return metrics;
}

describe('metrics', () => {
  it('tell of checkpoints, and of windows and late readings gateway by gateway', async () => {
    const text = await (await measured()).metrics();
    const value = (name: string): number => {
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${PREFIX}${name} `));
      return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ')));
    };
    // Three sensors in three sizes; the late reading has a window of its own only in the longest.
    expect(value('gateway_open_windows{site="plant-1",gateway="gw-1"}')).toBe(9);
    expect(value('open_windows{partition="3"}')).toBe(9);
    expect(value('gateway_window_bytes{site="plant-1",gateway="gw-1"}')).toBeGreaterThan(9 * 100);
    expect(value('late_readings_total{site="plant-1",gateway="gw-1",size="1m"}')).toBe(1);
    expect(value('checkpoint_bytes{partition="3"}')).toBeGreaterThan(1_000);
    expect(value('checkpoint_duration_seconds{partition="3"}')).toBeGreaterThan(0);
    expect(value('checkpoint_age_seconds{partition="3"}')).toBeGreaterThanOrEqual(0);
    expect(value('checkpoint_age_seconds{partition="3"}')).toBeLessThan(60);
    expect(value('rows_expired_total')).toBe(0);
    expect(value('reprocessing')).toBe(0);
  });

  it('have each a line in the documentation that says the same', async () => {
    const metrics = await (await measured()).getMetricsAsJSON();
    const own = metrics.filter(({ name }) => !/^floorwatch_processor_(process|nodejs)_/.test(name));
    const page = await readFile(path.join(repositoryRoot, 'docs/processor-metrics.md'), 'utf8');
    for (const { name, type, help } of own) expect(page).toMatch(lineOf(name, String(type), help));
    const told = [...page.matchAll(/^\| `(floorwatch_processor_\w+)`/gm)].map(([, name]) => name);
    expect(new Set(told)).toEqual(new Set(own.map(({ name }) => name)));
  });
});

/** Its line, whatever the labels are. */
const lineOf = (name: string, type: string, help: string): RegExp =>
  new RegExp(
    `^\\| \`${name}\` \\| ${type} \\| [^|]* \\| ${help.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)} \\|$`,
    'm',
  );
