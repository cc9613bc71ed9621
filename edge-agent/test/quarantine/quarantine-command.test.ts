import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { epochMs } from '@floorwatch/contracts';
import { serveHttp } from '@floorwatch/runtime';
import { Command } from 'commander';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import type { QuarantinedReading } from '../../src/ingest/quarantined-reading.ts';
import { addQuarantine } from '../../src/quarantine/command.ts';
import { quarantineRoutes } from '../../src/quarantine/quarantine-routes.ts';
import { Quarantine } from '../../src/quarantine/quarantine.ts';

const NOW = epochMs(Date.UTC(2026, 0, 31, 12));

const reading = (value: number): QuarantinedReading => ({
  reading: { device: 'press', metric: 'temp', eventTime: epochMs(NOW * 2), value, unit: '°C', quality: 'good' },
  receivedAt: epochMs(NOW + value),
  reason: 'time-in-future',
});

describe('floorwatch-agent quarantine', () => {
  const resources = resourcesPerTest();
  let dataDir: string;
  let configFile: string;
  let out: string[];
  let errors: string[];

  beforeEach(async () => {
    dataDir = await resources.directory();
    configFile = path.join(dataDir, 'agent.json');
    [out, errors] = [[], []];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text).trimEnd()) > 0);
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => errors.push(String(text).trimEnd()) > 0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  async function open(readings: readonly QuarantinedReading[]): Promise<Quarantine> {
    const quarantine = await Quarantine.open({ dataDir, bytesMax: 1024 * 1024, durability: 'process', inFlightMax: 8 });
    resources.defer(async () => quarantine.close());
    await quarantine.append(readings);
    return quarantine;
  }

  /** An agent's page, with the quarantine alone. */
  async function serve(quarantine: Quarantine): Promise<{ port: number; taken: unknown[] }> {
    const taken: unknown[] = [];
    const desk = {
      quarantine,
      latest: () => NOW + 600_000,
      submit: async (message: { released?: unknown }) => void taken.push(message.released),
    };
    const app = new Hono().route('/quarantine', quarantineRoutes(desk));
    const server = await serveHttp(app, { host: '127.0.0.1', port: 0 }, 'http.port');
    resources.defer(async () => server.close());
    return { port: server.port, taken };
  }

  async function run(port: number, ...args: readonly string[]): Promise<number | undefined> {
    const config = { site: 's', gateway: 'g', storage: { dataDir }, http: { port } };
    await writeFile(configFile, JSON.stringify(config));
    let code: number | undefined;
    const program = new Command().exitOverride();
    addQuarantine(program, (ended) => (code = ended));
    await program.parseAsync(['quarantine', ...args, '--config', configFile], { from: 'user' });
    return code;
  }

  it('lists, releases and drops through the running agent', async () => {
    const quarantine = await open([1, 2, 3, 4].map(reading));
    const { port, taken } = await serve(quarantine);
    expect(await run(port, 'list')).toBe(0);
    expect(out).toHaveLength(5);
    expect(out[0]).toMatch(
      /^1 {2}received 2026-01-31T12:00:00.001Z {2}says 2082-.* press\/temp = 1 °C {2}time-in-future$/,
    );
    expect(out[4]).toBe('4 readings');

    expect(await run(port, 'release', '1', '2', '--time', 'as-received')).toBe(0);
    expect(taken).toMatchObject([1, 2].map((value) => ({ device: 'press', value, eventTime: NOW + value })));
    expect(await run(port, 'release', '--all', '--device', 'press', '--time', 'as-sent', '--json')).toBe(1);
    expect(out.slice(-3).map((line): unknown => JSON.parse(line))).toEqual([
      { id: 3, problem: expect.stringMatching('time-in-future') },
      { id: 4, problem: expect.stringMatching('time-in-future') },
      { released: 0, failed: 2 },
    ]);
    expect(await run(port, 'release', '3', '--shift-ms', `-${NOW}`)).toBe(0);
    expect(await run(port, 'drop', '4', '3')).toBe(1);
    expect(errors).toEqual(['3: there is no such reading in quarantine']);
    expect(quarantine.view().items).toBe(0);
  });

  it('settles more than fits one request', async () => {
    const quarantine = await open(Array.from({ length: 2_500 }, (_, i) => reading(i)));
    const { port, taken } = await serve(quarantine);
    expect(await run(port, 'release', '--all', '--time', 'as-received', '--json')).toBe(0);
    expect(JSON.parse(out.at(-1) ?? '')).toEqual({ released: 2_500, failed: 0 });
    expect(taken).toHaveLength(2_500);
  });

  it('reads and clears the folder while no agent runs, and cannot release then', async () => {
    await (await open([1, 2].map(reading))).close();
    expect(await run(1, 'list', '--json')).toBe(0);
    expect(out.map((line): unknown => JSON.parse(line))).toEqual([
      { id: 1, ...reading(1) },
      { id: 2, ...reading(2) },
    ]);
    await expect(run(1, 'release', '--all', '--time', 'as-received')).rejects.toThrow('no agent runs');
    expect(await run(1, 'drop', '--all')).toBe(0);
    expect(out.at(-1)).toBe('2 dropped');
  });

  it('says so when an agent holds the folder and does not answer', async () => {
    await open([]);
    await expect(run(1, 'list')).rejects.toMatchObject({ name: 'StartError', message: expect.stringMatching('HTTP') });
  });

  it('says so when there never was anything', async () => {
    await expect(run(1, 'list')).rejects.toThrow('nothing was ever in quarantine');
  });

  it.each([
    [['release', '1'], 'either --time or --shift-ms'],
    [['release', '1', '--time', 'as-sent', '--shift-ms', '5'], 'either --time or --shift-ms'],
    [['release', '--time', 'as-sent'], '--all'],
    [['release', '1', '--all', '--time', 'as-sent'], '--all'],
    [['drop', 'x'], 'x is not the number of a reading'],
  ])('%j: %s', async (args, message) => {
    await (await open([])).close();
    await expect(run(1, ...args)).rejects.toThrow(message);
  });

  it('does nothing for a page in a browser, and says what is wrong with a request', async () => {
    const { port } = await serve(await open([reading(1)]));
    const ask = async (init: RequestInit, suffix = '/drop'): Promise<[number, unknown]> => {
      const response = await fetch(`http://127.0.0.1:${port}/quarantine${suffix}`, { method: 'POST', ...init });
      return [response.status, await response.text()];
    };
    expect((await ask({ headers: { origin: 'http://evil.example' }, body: '{"select":{}}' }))[0]).toBe(403);
    expect(await ask({ body: '{"select":{"ids":[0]}}' })).toEqual([400, expect.stringMatching('ids')]);
    expect(await ask({ body: 'drop all' })).toEqual([400, expect.stringMatching('JSON')]);
    expect((await ask({ body: `"${'x'.repeat(100_000)}"` }))[0]).toBe(413);
    expect(await ask({ body: '{"select":{}}' }, '/release')).toEqual([400, expect.stringMatching('time')]);
    expect(await ask({ body: '{"select":{}}' })).toEqual([200, expect.stringMatching('"settled":1')]);
  });
});
