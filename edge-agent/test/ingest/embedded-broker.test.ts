import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { connectAsync } from 'mqtt';
import { describe, expect, it } from 'vitest';

import { type Resources, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { userLine } from '../../src/ingest/broker-users.ts';
import { EmbeddedBroker, type EmbeddedBrokerConfig } from '../../src/ingest/embedded-broker.ts';
import { limits } from '../../src/limits.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { RawDevice } from '../support/raw-device.ts';
import { Reader, sourceContract, textOf } from './source-contract.ts';

async function open(resources: Resources, config: Partial<EmbeddedBrokerConfig> = {}): Promise<EmbeddedBroker> {
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, inFlightMax: 1_000, ...config }, silentLogger);
  await broker.connect();
  resources.defer(async () => broker.close());
  return broker;
}

sourceContract(
  'the embedded broker',
  async (resources) => {
    const source = await open(resources);
    return { source, devicePort: source.port };
  },
  [0, 1, 2],
);

describe('the embedded broker', () => {
  const resources = resourcesPerTest();

  it.each([1, 2] as const)('answers a device at QoS %d only when the delivery is acknowledged', async (qos) => {
    const broker = await open(resources);
    const reader = new Reader(broker);
    const device = await connectDevice(resources, broker.port);
    let answered = false;
    const published = device.publishAsync('sensors/a/b', '1', { qos }).then(() => (answered = true));
    const delivery = await reader.next();
    await wait(100);
    expect(answered).toBe(false);
    await delivery.ack();
    await published;
  });

  it('stops reading from devices while the pipeline takes nothing, and loses nothing of what they send', async () => {
    const broker = await open(resources);
    const device = await connectDevice(resources, broker.port);
    // Each comes alone, in a chunk of its own: aedes by itself goes on reading such while it waits for us.
    const payload = 'x'.repeat(60_000);
    const count = Math.ceil((2 * limits.pendingBytesMax) / payload.length);
    for (let i = 0; i < count; i++) {
      device.publish('sensors/a/b', `${i} ${payload}`, { qos: 0 });
      await wait(2);
    }
    await waitFor('the queue is full', () => broker.state().held);
    await wait(300);
    expect(broker.state().pending).toBeLessThanOrEqual(Math.ceil(limits.pendingBytesMax / payload.length) + 2);
    const messages = await new Reader(broker).take(count);
    expect(messages.map((message) => Number(textOf(message).split(' ')[0]))).toEqual(
      Array.from({ length: count }, (_, i) => i),
    );
    expect(broker.state().held).toBe(false);
  });

  it('serves other subscribers, but neither retains for them, nor keeps for them, nor passes on what was shortened', async () => {
    const broker = await open(resources);
    const reader = new Reader(broker);
    const other = await connectDevice(resources, broker.port, { clientId: 'other', clean: false });
    await other.subscribeAsync('#', { qos: 2 });
    const seen: string[] = [];
    other.on('message', (topic, payload) => seen.push(`${topic} ${payload.length}`));
    const device = await connectDevice(resources, broker.port);
    const published = [
      device.publishAsync('sensors/a/b', Buffer.alloc(limits.packetBytesMax), { qos: 1 }),
      device.publishAsync('sensors/a/b', 'kept?', { qos: 1, retain: true }),
    ];
    await reader.take(2);
    await Promise.all(published);
    await waitFor('the subscriber has the small one', () => seen.length > 0);
    expect(seen).toEqual(['sensors/a/b 5']);

    await other.endAsync();
    const unheard = device.publishAsync('sensors/a/b', 'unheard', { qos: 1 });
    await reader.take(1);
    await unheard;
    const back = await connectDevice(resources, broker.port, { clientId: 'other', clean: false });
    back.on('message', (topic) => seen.push(`kept ${topic}`));

    const late = await connectDevice(resources, broker.port);
    late.on('message', (topic) => seen.push(`late ${topic}`));
    await late.subscribeAsync('sensors/#');
    await wait(100);
    expect(seen).toHaveLength(1);
  });

  it('takes what a device sends without waiting for the answer to CONNECT', async () => {
    const broker = await open(resources);
    const packets = Array.from({ length: 500 }, (_, i) => ({
      ...({ cmd: 'publish', topic: 'sensors/a/b', qos: 1, dup: false, retain: false } as const),
      messageId: i + 1,
      payload: `${i}`,
    }));
    const device = await RawDevice.connect(resources, broker.port, {}, packets);
    expect((await new Reader(broker).take(500)).map(textOf)).toEqual(packets.map(({ payload }) => payload));
    await device.hears('puback', 500);
  });

  it.each([limits.readBytesMax - 1, limits.readBytesMax, limits.readBytesMax + 1, 100_000])(
    'takes a message of %d bytes and the small ones behind it although nothing more follows',
    async (bytes) => {
      const broker = await open(resources);
      const device = await RawDevice.connect(resources, broker.port);
      const large = 'x'.repeat(bytes - 20);
      const payloads = [large, '1', '2'];
      device.send(
        ...payloads.map((payload, i) => ({
          ...({ cmd: 'publish', topic: 'sensors/a/b', qos: 1, dup: false, retain: false } as const),
          messageId: i + 1,
          payload,
        })),
      );
      expect((await new Reader(broker).take(3)).map(textOf)).toEqual(payloads);
      await device.hears('puback', 3);
      expect(device.answered('puback')).toEqual([1, 2, 3]);
    },
  );

  it('answers what devices publish to its own topics, drops and counts it', async () => {
    const broker = await open(resources);
    const subscriber = await connectDevice(resources, broker.port);
    const seen: string[] = [];
    subscriber.on('message', (topic) => seen.push(topic));
    await subscriber.subscribeAsync(['$SYS/#', '#']);
    const reader = new Reader(broker);
    const device = await RawDevice.connect(resources, broker.port);
    device.publish(1, '1', { qos: 0, topic: '$SYS/uptime' });
    device.publish(2, '1', { qos: 1, topic: '$SYS/uptime' });
    device.publish(3, '1', { qos: 2, topic: '$other' });
    await Promise.all([device.hears('puback'), device.hears('pubrec')]);
    device.send({ cmd: 'pubrel', messageId: 3 });
    await device.hears('pubcomp');
    device.publish(4, 'a reading');
    expect((await reader.take(1)).map(textOf)).toEqual(['a reading']);
    await device.hears('puback', 2);
    await waitFor('the subscriber has the reading', () => seen.length > 0);
    expect(seen).toEqual(['sensors/a/b']);
    expect(device.closed).toBe(false);
    expect(broker.state().door?.['reserved-topic']).toMatchObject({
      count: 3,
      worst: { who: 'client "raw" at 127.0.0.1', times: 3 },
    });
  });

  it.each([limits.controlBytesMax, limits.controlBytesMax + 1])(
    'takes a SUBSCRIBE of so many bytes as are allowed, and closes the connection for one more: %d',
    async (bytes) => {
      const broker = await open(resources);
      const device = await RawDevice.connect(resources, broker.port);
      const topic = (length: number): { topic: string; qos: 0 } => ({ topic: 'x'.repeat(length), qos: 0 });
      // Two bytes for the identifier, and three for each filter besides itself.
      const rest = bytes - 2 - 31 * 503;
      const subscriptions = [...Array.from({ length: 31 }, () => topic(500)), topic(rest - 3)];
      device.send({ cmd: 'subscribe', messageId: 1, subscriptions });
      const isAllowed = bytes <= limits.controlBytesMax;
      if (isAllowed) await device.hears('suback');
      else await waitFor('the connection is closed', () => device.closed);
      expect(broker.state().door?.['packet-too-large'].count).toBe(isAllowed ? 0 : 1);
    },
  );

  it('lets only users of the file connect when there is one', async () => {
    const usersFile = join(await resources.directory(), 'users');
    await writeFile(usersFile, `# devices\n\n${await userLine('press', 'correct horse')}\n`);
    const broker = await open(resources, { usersFile });
    const attempt = async (username?: string, password?: string): Promise<string> => {
      const credentials = {
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
      };
      try {
        const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { reconnectPeriod: 0, ...credentials });
        await client.endAsync();
        return 'welcome';
      } catch (error) {
        return String(error);
      }
    };
    expect(await attempt('press', 'correct horse')).toBe('welcome');
    expect(await attempt('press', 'correct horse')).toBe('welcome');
    expect(await attempt('press', 'wrong')).toMatch('Bad username or password');
    expect(await attempt('nobody', 'correct horse')).toMatch('Bad username or password');
    expect(await attempt('press')).toMatch('Bad username or password');
    expect(await attempt()).toMatch('Bad username or password');
  });

  it('refuses to be reached from other machines without users', async () => {
    const broker = new EmbeddedBroker({ host: '0.0.0.0', port: 0, inFlightMax: 32 }, silentLogger);
    await expect(broker.connect()).rejects.toMatchObject({
      code: 'secret-missing',
      message: expect.stringMatching(/^broker.host: 0.0.0.0 .*broker.usersFile/),
    });
  });

  it('can be connected again after its port was taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const broker = new EmbeddedBroker({ host: '127.0.0.1', port, inFlightMax: 32 }, silentLogger);
    resources.defer(async () => broker.close());
    await expect(broker.connect()).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringMatching('broker.port'),
    });
    await new Promise((resolve) => other.close(resolve));
    await broker.connect();
    expect(broker.state().ready).toBe(true);
  });

  it('closes although a delivery is never settled, and the device sends again to the next start', async () => {
    const first = await open(resources);
    const reader = new Reader(first);
    const device = await connectDevice(resources, first.port, { clean: false, clientId: 'device' });
    const published = device.publishAsync('sensors/a/b', 'precious', { qos: 1 });
    await reader.next();
    await first.close();
    const second = await open(resources, { port: first.port });
    expect((await new Reader(second).take(1)).map(textOf)).toEqual(['precious']);
    await published;
  });
});
