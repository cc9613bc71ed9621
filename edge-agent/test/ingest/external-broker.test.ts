import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { type ChildProgram, type Resources, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { ExternalBroker, type ExternalBrokerConfig } from '../../src/ingest/external-broker.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { Reader, sourceContract, textOf } from './source-contract.ts';

const script = fileURLToPath(new URL('../support/mqtt-broker.mjs', import.meta.url));

async function startBroker(resources: Resources, port = 0): Promise<{ program: ChildProgram; port: number }> {
  const program = resources.program(script, [String(port)]);
  return { program, port: Number((await program.printed(/listening on (\d+)/))[1]) };
}

async function open(
  resources: Resources,
  port: number,
  config: Partial<ExternalBrokerConfig> = {},
): Promise<ExternalBroker> {
  const url = `mqtt://127.0.0.1:${port}`;
  const source = new ExternalBroker(
    { url, clientId: 'floorwatch-test', inFlightMax: 1_000, ...config },
    ['sensors/+/+'],
    silentLogger,
  );
  await source.connect();
  resources.defer(async () => source.close());
  return source;
}

const ready = async (source: ExternalBroker): Promise<boolean> =>
  waitFor('the source is ready', () => source.state().ready);

// Not QoS 2: the agent subscribes at QoS 1, but aedes forwards QoS 2 to wildcard subscriptions all the same, and loses some then.
sourceContract(
  'an external broker',
  async (resources) => {
    const { port } = await startBroker(resources);
    const source = await open(resources, port);
    await ready(source);
    return { source, devicePort: port };
  },
  [0, 1],
);

describe('an external broker', () => {
  const resources = resourcesPerTest();

  it('may come later than the agent, and come back after it was gone', async () => {
    const port = await freePort();
    const source = await open(resources, port);
    await waitFor('the state tells of it', () => source.state().lastError !== undefined);
    expect(source.state().ready).toBe(false);
    const reader = new Reader(source);
    for (const round of ['first', 'second']) {
      const { program } = await startBroker(resources, port);
      await ready(source);
      expect(source.state().lastError).toBeUndefined();
      const device = await connectDevice(resources, port, { reconnectPeriod: 0 });
      const published = device.publishAsync('sensors/a/b', round, { qos: 1 });
      expect((await reader.take(1)).map(textOf)).toEqual([round]);
      await published;
      await program.kill9();
      await waitFor('the loss shows', () => !source.state().ready);
    }
  });

  it('keeps messages for an agent that is away', async () => {
    const { port } = await startBroker(resources);
    const first = await open(resources, port);
    await ready(first);
    await first.close();
    const device = await connectDevice(resources, port);
    for (const text of ['1', '2', '3']) await device.publishAsync('sensors/a/b', text, { qos: 1 });
    const second = await open(resources, port);
    expect((await new Reader(second).take(3)).map(textOf)).toEqual(['1', '2', '3']);
  });

  it('keeps a message that the agent received and did not acknowledge', async () => {
    const { port } = await startBroker(resources);
    const first = await open(resources, port);
    await ready(first);
    const device = await connectDevice(resources, port);
    await device.publishAsync('sensors/a/b', 'precious', { qos: 1 });
    const delivery = await new Reader(first).next();
    expect(delivery.items.map(textOf)).toEqual(['precious']);
    await first.close();
    const second = await open(resources, port);
    expect((await new Reader(second).take(1)).map(textOf)).toEqual(['precious']);
  });

  it('marks copies that it retained', async () => {
    const { port } = await startBroker(resources);
    const device = await connectDevice(resources, port);
    await device.publishAsync('sensors/a/b', 'old', { qos: 1, retain: true });
    const source = await open(resources, port);
    const reader = new Reader(source);
    const [copy] = await reader.take(1);
    expect(copy && [textOf(copy), copy.retained]).toEqual(['old', true]);
    // A new message is new, also when it is to be retained.
    await device.publishAsync('sensors/a/b', 'new', { qos: 1, retain: true });
    const [fresh] = await reader.take(1);
    expect(fresh && [textOf(fresh), fresh.retained]).toEqual(['new', false]);
  });

  it('is told user and password', async () => {
    const { port } = await startBroker(resources);
    const passwordFile = join(await resources.directory(), 'password');
    await writeFile(passwordFile, 'secret\n');
    await ready(await open(resources, port, { user: 'agent', passwordFile }));
    await writeFile(passwordFile, 'wrong\n');
    const refused = await open(resources, port, { clientId: 'other', user: 'agent', passwordFile });
    await waitFor('the refusal shows', () => /not authorized|Bad username/i.test(refused.state().lastError ?? ''));
    expect(refused.state().ready).toBe(false);
  });

  it('cannot be used with a password file that is not there', async () => {
    await expect(open(resources, 1, { user: 'agent', passwordFile: '/nowhere/password' })).rejects.toMatchObject({
      code: 'secret-missing',
    });
  });
});
