import { createServer } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it, vi } from 'vitest';

import { type ChildProgram, programs, resourcesPerTest } from '../../tests/support/index.ts';
import { closeRollups, createStream, hourAgo, readingsBySensor } from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

// Programs start slowly on a busy machine, and one test starts several.
vi.setConfig({ testTimeout: 120_000 });

const resources = resourcesPerTest();

async function configFile(text: string): Promise<string> {
  const directory = await resources.directory();
  const file = join(directory, 'agent.yaml');
  await writeFile(file, text.replace('DATA', join(directory, 'data')));
  return file;
}

const configText = (natsUrl: string, more = ''): string => `
site: Leipzig
gateway: hall-1
broker: { kind: embedded, port: 0 }
storage: { dataDir: DATA }
http: { port: 0 }
nats: { servers: ['${natsUrl}'] }
${more}`;

async function run(...parameters: string[]): Promise<{ program: ChildProgram; exit: Awaited<ChildProgram['exited']> }> {
  const program = resources.program(programs.agent, parameters);
  return { program, exit: await program.exited };
}

/** A port that something listens at until the test ends. */
async function takenPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  resources.defer(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('floorwatch-agent', () => {
  it('explains itself', async () => {
    const { program, exit } = await run('--help');
    expect(exit.code).toBe(0);
    expect(program.stdout).toMatch(/run \[options\]/);
    expect(program.stdout).toMatch(/hash-password/);
    expect((await run('--version')).program.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [['run'], /--config <file>/],
    [['--config'], /argument missing/],
    [['--config', '/nowhere/agent.yaml'], /^configuration file \/nowhere\/agent\.yaml can't be read: ENOENT/],
    [['run', 'fly', '--config', 'x'], /too many arguments/],
    [['hash-password', 'a:b'], /must not hold ":"/],
    [['hash-password', 'press'], /no password on standard input/],
  ])('%j ends with 2 and one message', async (parameters, message) => {
    const { program, exit } = await run(...parameters);
    expect(exit.code).toBe(2);
    expect(program.stderr).toMatch(message);
    expect(program.stderr).not.toMatch(/^ +at /m);
  });

  it.each([
    ['an unknown key', 'sensorMax: 5', /agent\.yaml: 1 problem\n {2}sensorMax: unknown field/],
    ['a wrong type', 'sensorsMax: many', /sensorsMax: expected number; it is "many"/],
    [
      'a missing users file',
      'broker: { kind: embedded, usersFile: /nowhere/users }',
      /broker\.usersFile: \/nowhere\/users/,
    ],
    ['no YAML', 'topics: [', /not valid YAML/],
  ])('%s ends it with 2 and a message that names it', async (_name, more, message) => {
    const text = configText('nats://127.0.0.1:9').replace(/^broker:.*$/m, (line) =>
      more.startsWith('broker') ? '' : line,
    );
    const { program, exit } = await run('--config', await configFile(`${text}${more}`));
    expect(exit.code).toBe(2);
    expect(program.stderr).toMatch(message);
    expect(program.stderr).not.toMatch(/^ +at /m);
  });

  it.each(['broker', 'http'])('a port in use ends it with 2, and names the field %s.port', async (field) => {
    const port = await takenPort();
    const text = configText('nats://127.0.0.1:9').replace(new RegExp(`^(${field}:.*)port: 0`, 'm'), `$1port: ${port}`);
    const { program, exit } = await run('run', '--config', await configFile(text));
    expect(exit.code).toBe(2);
    expect(program.stderr).toMatch(`${field}.port: port ${port} on 127.0.0.1 is already in use`);
  });

  it('loses nothing that was answered when it is stopped and started again', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const config = await configFile(configText(nats.url));
    const start = async (): Promise<{ program: ChildProgram; mqttPort: number }> => {
      const program = resources.program(programs.agent, ['--config', config]);
      const [line] = await program.printed(/^.*agent is running.*$/m);
      const { ports } = JSON.parse(line) as { ports: { mqtt: number } };
      return { program, mqttPort: ports.mqtt };
    };
    const first = await start();
    const device = await connectDevice(resources, first.mqttPort, { reconnectPeriod: 0 });
    let answered = 0;
    let sum = 0;
    const publish = async (i: number): Promise<void> => {
      await device.publishAsync('sensors/press/temp', JSON.stringify({ value: i, ts: hourAgo(i) }), { qos: 1 });
      answered += 1;
      sum += i;
    };
    for (let i = 0; i < 500; i++) publish(i).catch(() => undefined);
    await publish(500);
    expect((await first.program.stop('SIGINT')).code).toBe(0);
    const second = await start();
    const received = await closeRollups(resources, second, nats.url, answered);
    expect(readingsBySensor(received).get('press/temp')).toEqual({ n: answered, sum });
    expect((await second.program.stop()).code).toBe(0);
  });

  it('ends with 2 and says who has its data folder', async () => {
    const config = await configFile(configText('nats://127.0.0.1:9'));
    const first = resources.program(programs.agent, ['--config', config]);
    await first.printed(/agent is running/);
    const { program, exit } = await run('--config', config);
    expect(exit.code).toBe(2);
    expect(program.stderr).toMatch(
      /^storage\.dataDir: .* is in use by another agent \(process \d+\); stop that one first/,
    );
  });

  it('says once in its log that NATS is not there, and stops at once with what waits for it on the disk', async () => {
    const program = resources.program(programs.agent, ['--config', await configFile(configText('nats://127.0.0.1:9'))]);
    await program.printed(/agent is running/);
    // Long enough for several attempts.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(program.stdout.match(/NATS cannot be reached/g)).toHaveLength(1);
    const exit = await program.stop();
    expect(exit.code).toBe(0);
    expect(program.stdout).toMatch(/"records":\d+,"msg":"these records wait on the disk for NATS/);
  });
});
