import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { resourcesPerSuite } from '../support/index.ts';
import { publish } from './report.ts';

const STARTS = 5;

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'processor-windows.mjs');
const resources = resourcesPerSuite();

async function run<T>(...parameters: readonly string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, ...parameters]);
  return JSON.parse(stdout) as T;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

it('what 100,000 open windows take, hold up and delay', async () => {
  const [folder, empty] = [await resources.directory(), await resources.directory()];
  const held = await run<{
    readonly windows: number;
    readonly bytes: number;
    readonly arrayBytes: number;
    readonly stretches: readonly number[];
    readonly fileBytes: number;
  }>('hold', folder);
  expect(held.windows).toBeGreaterThan(100_000);
  const starts: { readonly windows: number; readonly milliseconds: number; readonly cpuMilliseconds: number }[] = [];
  const emptyStarts: (typeof starts)[number][] = [];
  for (let i = 0; i < STARTS; i++) {
    starts.push(await run('load', folder));
    emptyStarts.push(await run('load', empty));
  }
  expect(starts.map(({ windows }) => windows)).toEqual(starts.map(() => held.windows));
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const startRow = (what: string, of: typeof starts): string[] => {
    const [wall, cpu] = [of.map(({ milliseconds }) => milliseconds), of.map((start) => start.cpuMilliseconds)];
    return [what, `${ms(median(wall))}, at best ${ms(Math.min(...wall))}; ${ms(median(cpu))} of processor time`];
  };
  publish({
    name: 'processor-windows',
    columns: ['100,002 open windows of 33,334 sensors', ''],
    rows: [
      ['state of a window', `${held.arrayBytes.toFixed(0)} bytes`],
      ['with its share of the names of sensors and the maps to find them', `${held.bytes.toFixed(0)} bytes`],
      ['a checkpoint', `${(held.fileBytes / 1e6).toFixed(1)} MB`],
      ['longest stretch that a checkpoint holds up all else, median of 20', `${median(held.stretches).toFixed(1)} ms`],
      ['the longest of the 20', `${Math.max(...held.stretches).toFixed(1)} ms`],
      startRow('from the start of the process until the checkpoint is loaded', starts),
      startRow('the same with an empty folder', emptyStarts),
    ],
  });
});
