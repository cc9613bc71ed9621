import { createServer } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { type ChildProgram, programs, resourcesPerTest } from '../../tests/support/index.ts';
import { createStream, readingsBySensor, readStream } from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

const resources = resourcesPerTest();

async function configFile(text: string): Promise<string> {
  const file = join(await resources.directory(), 'agent.yaml');
  await writeFile(file, text);
  return file;
}

const configText = (natsUrl: string, more = ''): string => `
site: Leipzig
gateway: hall-1
broker: { kind: embedded, port: 0 }
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

  it('drains when it is told to stop: what was answered is in the stream', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const program = resources.program(programs.agent, ['--config', await configFile(configText(nats.url))]);
    const [line] = await program.printed(/^.*agent is running.*$/m);
    const { ports } = JSON.parse(line) as { ports: { mqtt: number } };
    const device = await connectDevice(resources, ports.mqtt, { reconnectPeriod: 0 });
    let answered = 0;
    let sum = 0;
    for (let i = 0; i < 500; i++) {
      device.publish('sensors/press/temp', `${i}`, { qos: 1 }, (error) => {
        if (error) return;
        answered += 1;
        sum += i;
      });
    }
    await device.publishAsync('sensors/press/temp', '0', { qos: 1 });
    answered += 1;
    const exit = await program.stop('SIGINT');
    expect(exit.code).toBe(0);
    expect(readingsBySensor(await readStream(nats.url)).get('press/temp')).toEqual({ n: answered, sum });
  });

  it('says once in its log that NATS is not there, and what a stop leaves behind', async () => {
    const program = resources.program(programs.agent, ['--config', await configFile(configText('nats://127.0.0.1:9'))]);
    await program.printed(/agent is running/);
    // Long enough for several attempts.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(program.stdout.match(/NATS cannot be reached/g)).toHaveLength(1);
    const exit = await program.stop();
    expect(exit.code).toBe(0);
    expect(program.stdout).toMatch(/"records":\d+,"msg":"stopped before NATS took all records/);
  });
});
