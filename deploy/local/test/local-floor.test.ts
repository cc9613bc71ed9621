import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { freePort, isFreePort, lookForServer } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import {
  type ChildProgram,
  loopTime,
  repositoryRoot,
  resourcesPerTest,
  skippedIf,
  waitFor,
} from '../../../tests/support/index.ts';

/** Starting four programs on a busy machine with two cores. */
const START_MS_MAX = 90_000;
const TEST_MS_MAX = 180_000;
/** The promise is 5 s on an idle machine; tests run several programs at once. */
const STOP_MS_MAX = 15_000;

const main = join(repositoryRoot, 'deploy/local/dist/main.js');
const influxd = await lookForServer('influxd');
const resources = resourcesPerTest();

interface Started {
  readonly program: ChildProgram;
  readonly data: string;
  readonly ports: readonly number[];
  readonly page: string;
}

/** Options that put everything onto free ports. */
async function freePorts(withInflux: boolean): Promise<{ options: string[]; ports: number[] }> {
  const names = ['--port', '--mqtt-port', '--agent-port', '--nats-port', ...(withInflux ? ['--influx-port'] : [])];
  const ports: number[] = [];
  for (let i = 0; i < names.length; i++) ports.push(await freePort());
  return { options: names.flatMap((name, i) => [name, String(ports[i])]), ports };
}

async function start(data: string, ...parameters: string[]): Promise<Started> {
  const { options, ports } = await freePorts(parameters.includes('--influx'));
  const program = resources.program(main, ['--data', data, ...options, ...parameters]);
  await program.printed(/Stop with Ctrl-C/, START_MS_MAX);
  return { program, data, ports, page: `http://127.0.0.1:${ports[0]}` };
}

/** Processes whose command line names this folder, such as children with their configuration in it. */
const processesOf = (data: string): string[] =>
  execFileSync('ps', ['-eo', 'pid,args', '--no-headers'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(data));

/** A child's process id, found by its configuration file. */
function pidOf(data: string, config: string): number {
  const line = processesOf(data).find((process) => process.includes(config) && !process.includes(main));
  if (line === undefined) throw new Error(`no process with ${config} in ${processesOf(data).join('\n')}`);
  return Number(line.trim().split(/\s+/)[0]);
}

const sensorsOf = async (page: string): Promise<readonly unknown[]> => {
  const response = await fetch(`${page}/api/v1/sensors`);
  return ((await response.json()) as { items: readonly unknown[] }).items;
};

async function expectNothingLeft({ data, ports }: Started): Promise<void> {
  const left = await waitFor('nothing runs any more', () => processesOf(data).length === 0 && 'nothing');
  expect(left).toBe('nothing');
  for (const port of ports) expect(await isFreePort(port)).toBe(true);
}

describe('the local floor', () => {
  it(
    'shows sensors on its page, stops with one Ctrl-C that npm sends twice, and goes on from its data the next time',
    async () => {
      const data = join(await resources.directory(), 'data');
      const first = await start(data, '--machines', '2');
      expect((await fetch(first.page)).status).toBe(200);
      const shown = await waitFor('sensors are shown', async () => (await sensorsOf(first.page)).length > 0, {
        timeoutMs: 60_000,
      });
      expect(shown).toBe(true);
      const took = loopTime();
      first.program.signal('SIGINT');
      // Not at once: the system makes one of two equal signals that wait.
      await first.program.printed(/stopping/);
      first.program.signal('SIGINT');
      expect(await first.program.exited).toEqual({ code: 0, signal: null });
      expect(took()).toBeLessThan(STOP_MS_MAX);
      expect(first.program.stdout).toContain('everything is stopped');
      await expectNothingLeft(first);

      const second = await start(data, '--no-simulator');
      expect(second.program.stdout).toContain(`going on from the data in ${data}`);
      const log = await readFile(join(data, 'logs/processor.log'), 'utf8');
      const messages = [...log.matchAll(/"messages":(\d+),.*the ingest stream is ready/g)].map(([, n]) => Number(n));
      expect(messages).toEqual([0, expect.toSatisfy((n: number) => n > 0)]);
      const refused = resources.program(main, ['--data', data]);
      expect(await refused.exited).toMatchObject({ code: 2 });
      expect(refused.stderr).toContain(`a floor runs in ${data} already (process ${second.program.pid})`);
      expect(await second.program.stop()).toEqual({ code: 0, signal: null });
      await expectNothingLeft(second);
    },
    TEST_MS_MAX,
  );

  it(
    'stops when a program of it dies, and says which, how and with what last words',
    async () => {
      const floor = await start(join(await resources.directory(), 'data'), '--no-simulator');
      process.kill(pidOf(floor.data, 'processor.yaml'), 'SIGKILL');
      expect(await floor.program.exited).toEqual({ code: 1, signal: null });
      expect(floor.program.stdout).toMatch(
        /processor was ended by SIGKILL\. Its last lines:\n {2}.*\n[^]*everything is stopped/,
      );
      await expectNothingLeft(floor);
    },
    TEST_MS_MAX,
  );

  it(
    'leaves nothing behind when it is killed with -9',
    async () => {
      const floor = await start(join(await resources.directory(), 'data'), '--machines', '1');
      await floor.program.kill9();
      await expectNothingLeft(floor);
    },
    TEST_MS_MAX,
  );

  it(
    'stops cleanly while it is still starting',
    async () => {
      const data = join(await resources.directory(), 'data');
      const { options, ports } = await freePorts(false);
      const program = resources.program(main, ['--data', data, ...options]);
      await program.printed(/processor +starting/, START_MS_MAX);
      expect(await program.stop('SIGINT')).toEqual({ code: 0, signal: null });
      await expectNothingLeft({ program, data, ports, page: '' });
    },
    TEST_MS_MAX,
  );

  it(
    'plays a recording, and goes on when that has ended',
    async () => {
      const folder = await resources.directory();
      const file = join(folder, 'motor.csv');
      const rows = Array.from(
        { length: 50 },
        (_, i) => `${new Date(1_700_000_000_000 + i * 1_000).toISOString()},${20 + (i % 3)}`,
      );
      await writeFile(file, ['timestamp,temperature', ...rows].join('\n'));
      const floor = await start(join(folder, 'data'), '--replay', file, '--speed', 'max');
      await floor.program.printed(/simulator +has finished; the floor goes on/);
      expect(floor.program.stdout).toMatch(/50 readings sent, 50 acknowledged/);
      expect((await fetch(`${floor.page}/healthz`)).status).toBe(200);
      expect(await floor.program.stop()).toMatchObject({ code: 0 });
      await expectNothingLeft(floor);
    },
    TEST_MS_MAX,
  );

  it(
    'runs the agent alone, also while the NATS server can not be reached',
    async () => {
      const nats = `nats://127.0.0.1:${await freePort()}`;
      const data = join(await resources.directory(), 'data');
      const floor = await start(data, '--agent-only', '--nats', nats);
      expect(floor.program.stdout).toContain(`Sends to:      ${nats}`);
      expect(processesOf(data).filter((line) => line.includes('nats-server'))).toEqual([]);
      expect(await floor.program.stop()).toMatchObject({ code: 0 });
      await expectNothingLeft(floor);
    },
    TEST_MS_MAX,
  );

  it.skipIf(influxd === undefined)(
    `stores in a real influxd, also the second time${skippedIf(influxd === undefined, 'no influxd was found')}`,
    async () => {
      const data = join(await resources.directory(), 'data');
      const first = await start(data, '--influx', '--machines', '1');
      expect((await readFile(join(data, 'influx-token'), 'utf8')).trim().length).toBeGreaterThan(20);
      expect(first.program.stdout).not.toContain((await readFile(join(data, 'influx-token'), 'utf8')).trim());
      expect(await first.program.stop()).toMatchObject({ code: 0 });
      await expectNothingLeft(first);
      const second = await start(data, '--influx', '--no-simulator');
      expect(await second.program.stop()).toMatchObject({ code: 0 });
      await expectNothingLeft(second);
    },
    TEST_MS_MAX,
  );
});

describe('what can not start', () => {
  const refused = async (...parameters: string[]): Promise<ChildProgram> => {
    const data = join(await resources.directory(), 'data');
    const program = resources.program(main, ['--data', data, ...parameters]);
    expect(await program.exited).toEqual({ code: 2, signal: null });
    return program;
  };

  it('a port that was asked for and is in use ends it with 2 and the option', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    resources.defer(() => server.close());
    const { port } = server.address() as { port: number };
    const program = await refused('--port', String(port));
    expect(program.stderr).toContain(`--port: port ${port} for the page is already in use`);
  });

  it('a recording that is not there, an unknown option and a foreign folder end it with 2', async () => {
    expect((await refused('--replay', 'missing.csv')).stderr).toContain("missing.csv can't be read");
    expect((await refused('--colour')).stderr).toContain("unknown option '--colour'");
    const folder = await resources.directory();
    await mkdir(join(folder, 'photos'));
    const program = resources.program(main, ['--data', folder, '--fresh']);
    expect(await program.exited).toMatchObject({ code: 2 });
    expect(await readdir(folder)).toEqual(['photos']);
  });

  it('a recording that can not be read as one ends it with 2 before anything is started', async () => {
    const file = join(await resources.directory(), 'letters.csv');
    await writeFile(file, 'a,b\nx,y\n');
    const program = await refused('--replay', file);
    expect(program.stderr).toMatch(/^--replay: .*letters\.csv/);
    expect(program.stdout).not.toContain('starting');
  });

  it("a mistake in a person's configuration ends it with 2 before any server is started", async () => {
    const file = join(await resources.directory(), 'mine.yaml');
    await writeFile(file, 'topics: [{topic: "plant/{device}"}]');
    const { options } = await freePorts(false);
    const program = await refused('--agent-config', file, ...options);
    expect(program.stderr).toMatch(/--agent-config: [^]*topics\.0\.topic: must hold \{metric\} once/);
    expect(program.stdout).not.toContain('nats-server');
  });
});

it('npm start -- --help explains', async () => {
  const program = resources.program(main, ['--help']);
  expect(await program.exited).toMatchObject({ code: 0 });
  for (const option of ['--data', '--fresh', '--replay', '--influx', '--agent-only', '--port', '--verbose']) {
    expect(program.stdout).toContain(option);
  }
});

it('a Node that is too old is told so before anything else', async () => {
  const bootstrap = await readFile(join(repositoryRoot, 'deploy/local/bootstrap.mjs'), 'utf8');
  const folder = await resources.directory();
  await mkdir(join(folder, 'deploy/local'), { recursive: true });
  await writeFile(join(folder, 'deploy/local/bootstrap.mjs'), bootstrap.replace('[20, 19]', '[99, 0]'));
  const child = spawn(process.execPath, [join(folder, 'deploy/local/bootstrap.mjs'), 'start']);
  let text = '';
  child.stderr.on('data', (part) => (text += String(part)));
  expect(await once(child, 'close')).toEqual([2, null]);
  expect(text).toContain(`Node 99.0 or newer is needed, this is ${process.versions.node}`);
});
