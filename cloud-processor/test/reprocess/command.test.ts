import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';

import { epochMs, type FloorRecord, type WindowView } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { expect, it, vi } from 'vitest';

import { type ChildProgram, programs, resourcesPerTest, waitFor as waitForIt } from '../../../tests/support/index.ts';
import { noCounts, type ReprocessStatus } from '../../src/reprocess/reprocess-state.ts';
import { BASE, batchOf, MINUTE, rollups, start, tick } from '../support/floor.ts';
import { connectPublisher, hasStream } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

const resources = resourcesPerTest();
const waitFor: typeof waitForIt = async (what, look, options) =>
  waitForIt(what, look, { timeoutMs: 60_000, ...options });
const MINUTES = 240;
const RANGE = ['--from', new Date(BASE).toISOString(), '--to', String(BASE + MINUTES * MINUTE)];

const run = (...parameters: string[]): ChildProgram => resources.program(programs.processor, parameters);

/** A processor that has stored some hours, and ways to start it again and to ask it. */
async function stored() {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  const folder = await resources.directory();
  const file = path.join(folder, 'config.yaml');
  const database = path.join(folder, 'floorwatch.duckdb');
  const port = await freePort();
  const config = {
    nats: { servers: [url] },
    dataDir: path.join(folder, 'data'),
    checkpoint: { intervalSeconds: 0.2 },
    store: { kind: 'duckdb', file: database, retentionDays: 0 },
    http: { port },
  };
  await writeFile(file, JSON.stringify(config));
  const begin = async (): Promise<ChildProgram> => {
    const program = run('run', '--config', file);
    await program.printed(/"http":"http/);
    return program;
  };
  const windows = async (): Promise<readonly WindowView[]> => {
    const query = `sensor=${encodeURIComponent('plant-1/gw-1/press-01/temperature')}&size=1m&from=${BASE}&to=${BASE + MINUTES * MINUTE}&limit=5000`;
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/windows?${query}`);
    if (!response.ok) return [];
    return ((await response.json()) as { items: readonly WindowView[] }).items;
  };
  const isWriting = async (): Promise<boolean> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/reprocess`);
    return response.ok && ((await response.json()) as ReprocessStatus).counts.windows.missing > 0;
  };
  const program = await begin();
  await waitFor('the stream exists', () => hasStream(publisher));
  let number = 1;
  await publisher.publish(batchOf([start()]));
  for (let minute = 0; minute < MINUTES; minute += 10) {
    const records = Array.from({ length: 10 }, (_, i): FloorRecord[] => {
      const at = BASE + (minute + i) * MINUTE;
      const late = i === 7 && minute > 0 ? [{ sensor: 0, at: at - 10 * MINUTE, value: 1 / 3 }] : [];
      const readings = [0, 1, 2].flatMap((sensor) => [{ sensor, at, value: Math.sin(at + sensor) }]);
      return [rollups(++number, [...readings, ...late]), tick(++number, at)];
    });
    await publisher.publish(batchOf(records.flat()));
  }
  await publisher.publish(batchOf([tick(++number, BASE + 6 * 60 * MINUTE)]));
  await waitFor('all is stored', async () => {
    const found = await windows();
    return found.length === MINUTES && found.filter(({ revision }) => revision === 1).length === MINUTES / 10 - 1;
  });
  return { file, begin, windows, isWriting, database, program };
}

it('asks the running processor, does it alone without one, and says in words and exit codes how it went', async () => {
  const { file, begin, windows, program, database } = await stored();
  const before = await windows();
  const first = run('reprocess', '--config', file, ...RANGE, '--json');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  const status = JSON.parse(first.stdout) as { state: string; counts: { windows: Record<string, number> } };
  expect(status).toMatchObject({ state: 'done', counts: { windows: { missing: 0, changed: 0, kept: 0, partial: 0 } } });
  expect(status.counts.windows['same']).toBeGreaterThan(3 * MINUTES);
  expect(first.stderr).toMatch(/partition \d+ \(\d+ of 16\): /);

  expect(await program.stop('SIGINT')).toEqual({ code: 0, signal: null });
  await rm(database);
  const alone = run('reprocess', '--config', file, ...RANGE);
  expect(await alone.exited).toEqual({ code: 0, signal: null });
  expect(alone.stdout).toMatch(/windows: 0 as stored, \d+ written \(\d+ were missing, 0 different\)/);
  expect(alone.stdout).toMatch(/\ndone\n$/);
  await begin();
  await waitFor('the store can be asked', async () => (await windows()).length > 0);
  expect(await windows()).toEqual(before);
});

it('is safe when the processor is killed in the middle of it', async () => {
  const { file, begin, windows, isWriting, program, database } = await stored();
  const before = await windows();
  expect(await program.stop('SIGINT')).toEqual({ code: 0, signal: null });
  await rm(database);
  for (let round = 0; round < 2; round++) {
    const processor = await begin();
    const command = run('reprocess', '--config', file, ...RANGE);
    await waitFor('windows are being written', isWriting, { intervalMs: 5 });
    await processor.kill9();
    expect(await command.exited).toEqual({ code: 1, signal: null });
    expect(command.stdout).toContain('what was written is right: run it once more');
  }
  await begin();
  const last = run('reprocess', '--config', file, ...RANGE);
  expect(await last.exited).toEqual({ code: 0, signal: null });
  expect(await windows()).toEqual(before);
});

it('does not take a run for its own that somebody else has begun since', async () => {
  const run1: ReprocessStatus = {
    from: epochMs(BASE),
    to: epochMs(BASE + MINUTE),
    dryRun: false,
    state: 'running',
    startedAt: 1,
    endedAt: null,
    partitions: { done: 0, total: 1 },
    now: null,
    counts: noCounts(),
    gateways: [],
    problems: [],
  };
  const run2: ReprocessStatus = { ...run1, state: 'done', startedAt: 2, endedAt: 3 };
  const processor = createServer(({ method }, response) => {
    response.end(JSON.stringify(method === 'POST' ? run1 : run2));
  });
  const port = await freePort();
  processor.listen(port, '127.0.0.1');
  try {
    const folder = await resources.directory();
    const file = path.join(folder, 'config.yaml');
    const store = { kind: 'duckdb', file: path.join(folder, 'x.duckdb') };
    const nats = { servers: ['nats://127.0.0.1:1'] };
    await writeFile(file, JSON.stringify({ nats, dataDir: folder, store, http: { port } }));
    const program = run('reprocess', '--config', file, ...RANGE);
    expect(await program.exited).toEqual({ code: 1, signal: null });
    expect(program.stdout).toContain('this run has ended, and somebody has begun another one');
  } finally {
    processor.close();
  }
});

it.each([
  [['reprocess', '--help'], 0, /Exit code: 0 /],
  [['reprocess', '--config', 'x', '--from', '2026-01-01'], 2, /required option '--to <time>'/],
])('%j ends with %d', async (parameters, code, message) => {
  const program = run(...parameters);
  expect(await program.exited).toEqual({ code, signal: null });
  expect(code === 0 ? program.stdout : program.stderr).toMatch(message);
});

it.each([
  ['yesterday', '2026-01-01', /--from: "yesterday" is not an instant; use epoch milliseconds or ISO 8601/],
  ['2026-01-02', '2026-01-01', /--from: "2026-01-02" is not before --to 2026-01-01; use an earlier one/],
])('from %s to %s is refused before anything is opened', async (from, to, message) => {
  const folder = await resources.directory();
  const file = path.join(folder, 'config.yaml');
  const store = { kind: 'duckdb', file: path.join(folder, 'x.duckdb') };
  await writeFile(file, JSON.stringify({ nats: { servers: ['nats://127.0.0.1:1'] }, dataDir: folder, store }));
  const program = run('reprocess', '--config', file, '--from', from, '--to', to);
  expect(await program.exited).toEqual({ code: 2, signal: null });
  expect(program.stderr).toMatch(message);
});
