import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { publish } from './report.ts';

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'detector-cost.mjs');

/** What is measured, and how the report calls it. */
const COSTS = {
  'z-score': 'plain rolling z-score, 64 readings',
  adaptive: 'adaptive',
  stuck: 'stuck',
  interval: 'interval',
  scoring: 'moving statistics, every detector and episodes (`stats` and `score`)',
  'plain-engine': 'the whole engine, statistics and z-score alone',
  engine: 'the whole engine, every detector on',
} as const;
const SENSORS = ['10000', '100000'] as const;

/** Space for new objects so large, in MB, that none is collected while allocations are counted. */
const ROOMY = ['--min-semi-space-size=256', '--max-semi-space-size=512'] as const;

interface Cost {
  readonly median: number;
  readonly best: number;
}

interface Allocation {
  readonly bytes: number;
}

interface Memory {
  readonly state: number;
  readonly resident: number;
}

const measure = (what: readonly string[], flags: readonly string[] = []): unknown =>
  JSON.parse(execFileSync(process.execPath, [...flags, script, ...what], { encoding: 'utf8' }));

it('what the detectors cost per reading with 10,000 sensors in turn, and per sensor', () => {
  const costs = Object.entries(COSTS).map(([which, name]) => {
    const { median, best } = measure(['cost', which]) as Cost;
    const { bytes } = measure(['allocation', which], ROOMY) as Allocation;
    expect(median, name).toBeGreaterThan(0);
    return [name, median.toFixed(0), best.toFixed(0), bytes.toFixed(1)];
  });
  publish({
    name: 'adaptive-detector',
    columns: ['detector', 'ns per reading (median)', 'ns (best)', 'bytes allocated per reading'],
    rows: costs,
  });
  publish({
    name: 'adaptive-detector-memory',
    columns: ['sensors', 'bytes of state per sensor', 'bytes of resident memory per sensor'],
    rows: SENSORS.map((sensors) => {
      const { state, resident } = measure(['memory', sensors]) as Memory;
      return [sensors, `${state}`, resident.toFixed(0)];
    }),
  });
  publish({
    name: 'engine-memory',
    columns: ['sensors', 'bytes of resident memory per sensor, the whole engine with its names'],
    rows: SENSORS.map((sensors) => [sensors, (measure(['engine', sensors]) as Memory).resident.toFixed(0)]),
  });
});
