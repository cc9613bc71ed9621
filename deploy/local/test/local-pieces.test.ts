import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

import { describe, expect, it, vi } from 'vitest';

import { freePort } from '@floorwatch/servers';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { ChildLog } from '../src/child-log.ts';
import { agentConfig, processorConfig } from '../src/config-files.ts';
import { openDataDirectory } from '../src/data-directory.ts';
import { LogFile } from '../src/log-file.ts';
import { showLine } from '../src/log-line.ts';
import { type LocalOptions, readOptions } from '../src/options.ts';
import { choosePorts } from '../src/ports.ts';
import { Terminal } from '../src/terminal.ts';

const resources = resourcesPerTest();
const read = (...parameters: string[]): LocalOptions => readOptions(parameters, '/home/someone');

async function occupy(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => server.close());
  return server;
}

describe('options', () => {
  it('without any the simulated floor runs with a DuckDB file', () => {
    expect(read()).toMatchObject({
      fresh: false,
      store: 'duckdb',
      input: { kind: 'simulated', machines: 12 },
      agentOnly: undefined,
    });
  });

  it('files are looked for where the person is', () => {
    expect(read('--data', 'floor', '--replay', 'motor.csv', '--speed', 'max')).toMatchObject({
      dataDirectory: '/home/someone/floor',
      input: { kind: 'recording', replay: { files: ['/home/someone/motor.csv'], speed: 'max', times: 'now' } },
    });
  });

  it.each([
    [['--speed', '2'], '--speed: only together with --replay'],
    [['--replay', 'a.csv', '--speed', '0'], '--speed: must be a number above 0, max or auto; it is 0'],
    [['--zone', 'Europe/Berlin'], '--zone: only together with --replay'],
    [['--replay', 'a.csv', '--machines', '3'], '--machines: not together with --replay'],
    [['--no-simulator', '--machines', '3'], '--machines: not together with --no-simulator'],
    [['--agent-only', '--influx'], '--influx: not together with --agent-only'],
    [['--nats', 'nats://127.0.0.1:4222'], '--nats: only together with --agent-only'],
    [['--influx-port', '8086'], '--influx-port: only together with --influx'],
  ])('%j is refused', (parameters, message) => {
    expect(() => read(...parameters)).toThrow(message);
  });

  it('of a replay are handed on, and its speed is chosen from the files', () => {
    const given = ['--date-order', 'dmy', '--zone', 'Europe/Berlin', '--columns', 'a,b'];
    const { input } = read('--replay', 'a.csv', 'b.csv', '--device', 'oven', ...given);
    expect(input).toMatchObject({
      replay: { speed: 'auto', parameters: ['--device', 'oven', '--columns', 'a,b', ...given.slice(0, 4)] },
    });
  });

  it('the agent alone simulates nothing', () => {
    expect(read('--agent-only')).toMatchObject({
      input: { kind: 'none' },
      agentOnly: { natsUrl: 'nats://127.0.0.1:4222' },
    });
  });
});

describe('ports', () => {
  it('a busy usual port gives way to the next free one, and it is said', async () => {
    const busy = await freePort();
    await occupy(busy);
    await occupy(9464).catch(() => {});
    const said: string[] = [];
    const options = read('--port', String(await freePort()), '--mqtt-port', String(await freePort()));
    const { ports, release } = await choosePorts(options, (message) => said.push(message));
    resources.defer(release);
    expect(ports.agent).toBeGreaterThan(9464);
    expect(said.join('\n')).toContain(
      `port 9464 is in use by another program; the agent's status takes ${ports.agent}`,
    );
  });

  it('a busy port that was asked for is an error that names the option', async () => {
    const busy = await freePort();
    await occupy(busy);
    await expect(choosePorts(read('--port', String(busy)), () => {})).rejects.toThrow(
      `--port: port ${busy} for the page is already in use; stop the program that uses it, or choose another one with --port`,
    );
  });

  it('are chosen for a user without an entry in /etc/passwd', async () => {
    vi.resetModules();
    vi.doMock('node:os', async (original) => ({
      ...(await original<object>()),
      userInfo: () => {
        throw new Error('uv_os_get_passwd returned ENOENT');
      },
    }));
    resources.defer(() => vi.doUnmock('node:os'));
    const fresh = await import('../src/ports.ts');
    const { ports, release } = await fresh.choosePorts(read('--agent-only'), () => {});
    await release();
    expect(ports.mqtt).toBeGreaterThan(0);
  });

  it('floors that start at the same moment take different ports, although nobody listens yet', async () => {
    const options = read('--agent-only');
    const floors = await Promise.all([1, 2, 3].map(async () => choosePorts(options, () => {})));
    for (const { release } of floors) resources.defer(release);
    for (const use of ['mqtt', 'agent'] as const) {
      expect(new Set(floors.map(({ ports }) => ports[use])).size).toBe(3);
    }
  });

  it('a port that was asked for is given again when its floor has ended', async () => {
    const options = read('--agent-only', '--mqtt-port', String(await freePort()));
    const first = await choosePorts(options, () => {});
    await expect(choosePorts(options, () => {})).rejects.toThrow('--mqtt-port: port');
    await first.release();
    const second = await choosePorts(options, () => {});
    resources.defer(second.release);
    expect(second.ports.mqtt).toBe(first.ports.mqtt);
  });

  it('the same port is never given twice', async () => {
    const port = String(await freePort());
    await expect(choosePorts(read('--port', port, '--mqtt-port', port), () => {})).rejects.toThrow(
      `--mqtt-port: port ${port} for MQTT is already in use`,
    );
  });
});

describe('data directory', () => {
  it('remembers that there was a run before, until it is made fresh', async () => {
    const path = join(await resources.directory(), 'data');
    const first = await openDataDirectory(path, false);
    expect(first.hasData).toBe(false);
    await writeFile(join(path, 'store.duckdb'), 'windows');
    await first.release();
    const second = await openDataDirectory(path, false);
    expect(second.hasData).toBe(true);
    expect(await readFile(join(path, 'store.duckdb'), 'utf8')).toBe('windows');
    await second.release();
    const third = await openDataDirectory(path, true);
    expect(third.hasData).toBe(false);
    expect(await readdir(path)).not.toContain('store.duckdb');
    await third.release();
  });

  it('is refused while another floor runs in it', async () => {
    const path = await resources.directory();
    const first = await openDataDirectory(path, false);
    await expect(openDataDirectory(path, true)).rejects.toThrow(
      `a floor runs in ${path} already (process ${process.pid}); stop it with Ctrl-C`,
    );
    await first.release();
  });

  it.each([true, false])('that holds files of others is refused and left as it is (fresh: %s)', async (fresh) => {
    const path = await resources.directory();
    await mkdir(join(path, 'photos'));
    await expect(openDataDirectory(path, fresh)).rejects.toThrow("holds files that are not floorwatch's");
    expect(await readdir(path)).toEqual(['photos']);
    // The refusal holds no lock.
    await expect(openDataDirectory(path, fresh)).rejects.toThrow("holds files that are not floorwatch's");
  });
});

describe('configuration', () => {
  const ports = { page: 1, mqtt: 2, agent: 3, nats: 4, influx: 5 };
  const now = new Date('2026-03-01T06:00:00Z');

  it('a recording with its own times is a gateway of its own, and a later start does not drop it', async () => {
    const options = read('--replay', 'a.csv', '--times', 'file');
    expect(await agentConfig(options, ports, now)).toMatchObject({ gateway: 'recording 2026-03-01 06:00:00' });
    expect(processorConfig(options, ports)).toMatchObject({
      store: { retentionDays: 0 },
      gateway: { mqttUrl: 'mqtt://127.0.0.1:2', statusUrl: 'http://127.0.0.1:3/status' },
    });
    expect(await agentConfig(read(), ports, now)).toMatchObject({ gateway: 'floor' });
    expect(processorConfig(read(), ports)).toMatchObject({ store: { retentionDays: 0 } });
    expect(processorConfig(read('--influx'), ports)).toMatchObject({ store: { retentionDays: 0 } });
  });

  it("of the agent takes a person's topics and rules, and keeps what is this floor's own", async () => {
    const file = join(await resources.directory(), 'mine.yaml');
    const topics = [{ topic: 'plant/{device}/{metric}' }];
    const engine = { limits: { rules: [{ metric: 'level', high: 90 }] } };
    const nats = { servers: ['nats://elsewhere.example:4222'] };
    await writeFile(file, JSON.stringify({ site: 'Leipzig', topics, engine, nats, http: { port: 80 } }));
    const config = await agentConfig(read('--agent-config', file), ports, now);
    expect(config).toMatchObject({ site: 'local', topics, engine, nats: { servers: ['nats://127.0.0.1:4'] } });
    expect(config).toMatchObject({ http: { port: 3 }, broker: { port: 2 } });
  });

  it('each store has checkpoints of its own', () => {
    const folders = [read(), read('--influx')].map((options) =>
      Reflect.get(processorConfig(options, ports), 'dataDir'),
    );
    expect(new Set(folders).size).toBe(2);
  });
});

describe('logs', () => {
  it('a file never grows beyond its size, and the one before is kept', async () => {
    const path = join(await resources.directory(), 'agent.log');
    const file = new LogFile(path, 100);
    for (let i = 10; i < 40; i++) file.write(`line number ${i} `.padEnd(29, '.'));
    file.close();
    expect((await readFile(path, 'utf8')).length).toBeLessThanOrEqual(100);
    const before = (await readFile(path.replace('.log', '.1.log'), 'utf8')).trim().split('\n');
    const last = (await readFile(path, 'utf8')).trim().split('\n');
    expect([...before, ...last].at(-1)).toContain('39');
    expect(before).toHaveLength(3);
  });

  it.each([
    [
      'agent',
      '{"level":"warn","time":"…","program":"agent","fill":0.9,"msg":"the spool fills"}',
      'warn: the spool fills  fill=0.9',
      true,
    ],
    ['agent', '{"level":"info","time":"…","program":"agent","msg":"running"}', 'running', false],
    ['agent', 'Error: broken', 'Error: broken', true],
    ['agent', '{not json', '{not json', true],
    ['nats-server', '[1] 2026/03/01 06:00:00.0 [INF] Server is ready', undefined, false],
    ['nats-server', '[1] 2026/03/01 06:00:00.0 [ERR] no space left', undefined, true],
    ['influxd', 'ts=2026-03-01T06:00:00Z lvl=error msg="disk full" log_id=1', undefined, true],
    [
      'influxd',
      'ts=2026-03-01T06:00:00Z lvl=error msg="api error encountered" error="bucket not found"',
      undefined,
      false,
    ],
    ['simulator', '1,648 sent, 0 on the way, 62 readings/s', undefined, false],
    ['simulator', 'injecting: spike of +25.3 A on chiller-01/current for 1 s', undefined, true],
  ])('%s: %s', (program, line, text, important) => {
    expect(showLine(program, line)).toMatchObject({ text: text ?? line, important });
  });

  it('the same trouble again and again is shown once, and all of it is in the log', async () => {
    const shown: string[] = [];
    const folder = await resources.directory();
    const log = new ChildLog('agent', folder, new Terminal((text) => shown.push(text)), false);
    for (let partition = 0; partition < 16; partition++) {
      log.onLine(JSON.stringify({ level: 'warn', partition, msg: 'reading was interrupted' }));
    }
    log.onLine(JSON.stringify({ level: 'error', msg: 'another thing' }));
    expect(shown).toEqual([
      'agent        warn: reading was interrupted  partition=0\n',
      'agent        error: another thing\n',
    ]);
    expect((await readFile(join(folder, 'agent.log'), 'utf8')).trim().split('\n')).toHaveLength(17);
  });
});
