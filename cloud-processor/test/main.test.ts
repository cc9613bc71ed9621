import { durationMs, type WindowView } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { describe, expect, it, vi } from 'vitest';

import { type ChildProgram, programs, resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import { anomaly, BASE, batchOf, BUCKET, GATEWAY, messageOf, rollups, tick } from './support/floor.ts';
import { configFile, connectPublisher, hasStream } from './support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const resources = resourcesPerTest();
const HOUR = durationMs(3_600_000);

const run = (...parameters: string[]): ChildProgram => resources.program(programs.processor, parameters);

/** The address that the program says it listens at. */
async function addressOf(program: ChildProgram): Promise<string> {
  return (await program.printed(/"http":"(http:\/\/127\.0\.0\.1:\d+)"/))[1]!;
}

async function get<T>(address: string, query: string): Promise<T> {
  const response = await fetch(`${address}${query}`);
  if (!response.ok) throw new Error(`${query}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

describe('floorwatch-processor', () => {
  it.each([
    [['--help'], 0, /Usage: floorwatch-processor/],
    [['set-up', '--help'], 0, /--config <file>/],
    [['--version'], 0, /^\d+\.\d+\.\d+/],
    [['run'], 2, /required option '--config <file>'/],
    [['run', 'fly', '--config', 'x'], 2, /too many arguments/],
    [['--config', '/does/not/exist.yaml'], 2, /configuration file \/does\/not\/exist\.yaml can't be read/],
  ])('%j ends with %d', async (parameters, code, message) => {
    const program = run(...parameters);
    expect(await program.exited).toEqual({ code, signal: null });
    expect(code === 0 ? program.stdout : program.stderr).toMatch(message);
  });

  it('with a broken configuration ends with 2 and one message that names the field', async () => {
    const file = await configFile(resources, 'nats://127.0.0.1:1', { windows: { sizes: ['15s'] } });
    const program = run('--config', file);
    expect(await program.exited).toEqual({ code: 2, signal: null });
    expect(program.stderr).toContain('windows.sizes.0: "15s" must be a multiple of 10 s');
    expect(program.stderr).not.toContain('    at ');
  });

  it('refuses to share a data folder or a port', async () => {
    const { url } = await resources.nats();
    const first = await configFile(resources, url);
    const address = await addressOf(run('--config', first));
    const second = run('--config', first);
    expect(await second.exited).toEqual({ code: 2, signal: null });
    expect(second.stderr).toMatch(/dataDir: .* is in use by another processor/);
    const third = run('--config', await configFile(resources, url, { http: { port: Number(new URL(address).port) } }));
    expect(await third.exited).toEqual({ code: 2, signal: null });
    expect(third.stderr).toMatch(/http\.port: port \d+ .* is already in use/);
  });

  it('sets its store up, twice', async () => {
    const file = await configFile(resources, 'nats://127.0.0.1:1');
    for (const _ of [1, 2]) {
      const program = run('set-up', '--config', file, '--json');
      expect(await program.exited).toEqual({ code: 0, signal: null });
      expect(JSON.parse(program.stdout)).toMatchObject([
        { what: expect.stringContaining('floorwatch.duckdb') as string },
      ]);
    }
  });

  it('killed again and again while it reads stores what an undisturbed one stores', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const file = await configFile(resources, url);
    let program = run('--config', file);
    await waitFor('the stream exists', () => hasStream(publisher));
    const minutes = 40;
    const stop = new AbortController();
    const kills = (async () => {
      while (!stop.signal.aborted) {
        await addressOf(program);
        await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 300));
        if (stop.signal.aborted) return;
        await program.kill9();
        program = run('--config', file);
      }
    })();
    for (let i = 1; i <= minutes * 6; i++) {
      const at = BASE + (i - 1) * BUCKET;
      const values = [0, 1_000, 2_000].map((more) => ({ sensor: 0, at: at + more, value: i + more / 7 }));
      await publisher.publish(batchOf([rollups(2 * i - 1, values), tick(2 * i, at)]));
      if (i % 6 !== 0) continue;
      const first = (i / 6) * 2 - 1;
      const records = [anomaly(first, i, 'opened'), anomaly(first + 1, i, 'closed', 9)];
      await publisher.publish(batchOf(records, { lane: 'anomaly' }));
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    await publisher.publish(batchOf([tick(minutes * 12 + 1, BASE + 24 * HOUR)]));
    stop.abort();
    await kills;
    const address = await addressOf(program);
    const sensor = encodeURIComponent(`${GATEWAY.site}/${GATEWAY.gateway}/press-01/temperature`);
    const range = `from=${BASE}&to=${BASE + HOUR}&limit=1000`;
    const windows = await waitFor(
      'all windows are sealed',
      async () => {
        const page = await get<{ items: WindowView[] }>(address, `/api/v1/windows?sensor=${sensor}&size=1m&${range}`);
        return page.items.length === minutes && page.items.every(({ open }) => !open) && page.items;
      },
      { timeoutMs: 30_000 },
    );
    expect(windows.map(({ start, n, revision, incomplete }) => ({ start, n, revision, incomplete }))).toEqual(
      Array.from({ length: minutes }, (_, minute) => ({
        start: BASE + minute * 60_000,
        n: 18,
        revision: 0,
        incomplete: false,
      })),
    );
    const [hour] = (await get<{ items: WindowView[] }>(address, `/api/v1/windows?sensor=${sensor}&size=1h&${range}`))
      .items;
    const values = Array.from({ length: minutes * 6 }, (_, i) =>
      [0, 1_000, 2_000].map((more) => i + 1 + more / 7),
    ).flat();
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    expect(hour).toMatchObject({ n: values.length, min: 1, open: false });
    expect(hour!.mean).toBeCloseTo(mean, 6);
    const episodes = await waitFor('all episodes are closed', async () => {
      const page = await get<{ items: { phase: string }[] }>(address, `/api/v1/anomalies?${range}`);
      return page.items.length === minutes && page.items.every(({ phase }) => phase === 'closed') && page.items;
    });
    expect(episodes).toHaveLength(minutes);
    const status = await get<{ ok: boolean; deadLetters: { newest: unknown[] } }>(address, '/api/v1/processor');
    expect(status).toMatchObject({ ok: true, deadLetters: { open: 0, newest: [] } });
    const metrics = await (await fetch(`${address}/metrics`)).text();
    expect(metrics).toMatch(/^floorwatch_processor_rows_written_total \d+/m);
    expect(await program.stop('SIGINT')).toEqual({ code: 0, signal: null });
  });

  it('lists, shows, tries again and drops dead letters, of the running processor and of its folder', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const free = await freePort();
    const file = await configFile(resources, url, { http: { port: free } });
    const program = run('run', '--config', file);
    await addressOf(program);
    await waitFor('the stream exists', () => hasStream(publisher));
    const { subject } = messageOf(batchOf([tick(1, BASE)]), 1);
    for (const text of ['no JSON', 'nor this']) await publisher.client.publish(subject, text);
    const letters = async (...parameters: string[]): Promise<{ code: number | null; lines: string[] }> => {
      const command = run('dead-letters', ...parameters, '--config', file, '--json');
      const { code } = await command.exited;
      return {
        code,
        lines: command.stdout
          .trim()
          .split('\n')
          .filter((line) => line !== ''),
      };
    };
    const ids = async (): Promise<string[]> =>
      (await letters('list')).lines.map((line) => (JSON.parse(line) as { id: string }).id);
    const [second = '', first = ''] = await waitFor('both are dead letters', async () => {
      const found = await ids();
      return found.length === 2 && found;
    });
    const shown = JSON.parse((await letters('show', first)).lines[0] ?? '') as { data: string };
    expect(Buffer.from(shown.data, 'base64').toString()).toBe('no JSON');
    // Published once more, it is as bad as before, at another place of the stream.
    expect(await letters('retry', first)).toMatchObject({ code: 0 });
    const [again = ''] = await waitFor('it comes back', async () => {
      const found = await ids();
      return found.length === 2 && !found.includes(first) && found;
    });
    expect(await letters('drop', second, 'batch-0-none')).toMatchObject({ code: 1 });
    expect(await ids()).toEqual([again]);
    const foreign = { method: 'DELETE', headers: { origin: 'http://elsewhere.example' } };
    expect((await fetch(`http://127.0.0.1:${free}/api/v1/dead-letters/${again}`, foreign)).status).toBe(403);
    await program.stop('SIGINT');

    expect(await ids()).toEqual([again]);
    expect(await letters('retry', again)).toMatchObject({ code: 1 });
    expect(await letters('drop', again)).toMatchObject({ code: 0 });
    expect(await ids()).toEqual([]);
  });
});
