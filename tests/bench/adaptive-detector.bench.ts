import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { publish } from './report.ts';

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'detector-cost.mjs');

interface Cost {
  readonly name: string;
  readonly median: number;
  readonly best: number;
  readonly bytesAllocated: number;
}

interface Memory {
  readonly sensors: number;
  readonly state: number;
  readonly resident: number;
}

it('what the detectors cost per reading with 10,000 sensors in turn, and per sensor', () => {
  const figures = JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8' })) as {
    cost: Cost[];
    memory: Memory[];
    engineMemory: Omit<Memory, 'state'>[];
  };
  expect(figures.cost).toHaveLength(6);
  publish({
    name: 'adaptive-detector',
    columns: ['detector', 'ns per reading (median)', 'ns (best round)', 'bytes allocated per reading'],
    rows: figures.cost.map(({ name, median, best, bytesAllocated }) => [
      name,
      median.toFixed(0),
      best.toFixed(0),
      bytesAllocated.toFixed(1),
    ]),
  });
  publish({
    name: 'engine-memory',
    columns: ['sensors', 'bytes of resident memory per sensor, the whole engine with its names'],
    rows: figures.engineMemory.map(({ sensors, resident }) => [`${sensors}`, resident.toFixed(0)]),
  });
  expect(figures.memory).toHaveLength(2);
  publish({
    name: 'adaptive-detector-memory',
    columns: ['sensors', 'bytes of state per sensor', 'bytes of resident memory per sensor'],
    rows: figures.memory.map(({ sensors, state, resident }) => [`${sensors}`, `${state}`, resident.toFixed(0)]),
  });
});
