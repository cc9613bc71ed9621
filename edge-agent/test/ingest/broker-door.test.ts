import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import { connectAsync } from 'mqtt';
import mqtt from 'mqtt-packet';
import { describe, expect, it } from 'vitest';

import { type Resources, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { userLine } from '../../src/ingest/broker-users.ts';
import { EmbeddedBroker, type EmbeddedBrokerConfig } from '../../src/ingest/embedded-broker.ts';
import { DOOR_REASONS, type DoorReason } from '../../src/ingest/door-log.ts';
import { limits } from '../../src/limits.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { RawDevice } from '../support/raw-device.ts';

async function open(resources: Resources, config: Partial<EmbeddedBrokerConfig> = {}): Promise<EmbeddedBroker> {
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, inFlightMax: 1_000, ...config }, silentLogger);
  await broker.connect();
  resources.defer(async () => broker.close());
  return broker;
}

const count = (broker: EmbeddedBroker, reason: DoorReason): number => broker.state().door?.[reason].count ?? NaN;

/** Sends bytes and gives all that comes back until the broker ends the connection. */
async function answerTo(port: number, bytes: Buffer | string): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => heard.push(chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(heard);
}

/** A CONNECT of a version without anything else in it. */
const hello = (version: number): Buffer => {
  const body = Buffer.from([
    0,
    4,
    ...Buffer.from('MQTT'),
    version,
    2,
    0,
    60,
    ...(version === 5 ? [0] : []),
    0,
    1,
    0x61,
  ]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
};

describe('at the door of the embedded broker', () => {
  const resources = resourcesPerTest();

  it('a client of MQTT 5 is told in its own words that its version is not spoken, and counted', async () => {
    const broker = await open(resources);
    await expect(
      connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5, clientId: 'new one', reconnectPeriod: 0 }),
    ).rejects.toThrow('Unsupported Protocol Version');
    expect([...(await answerTo(broker.port, hello(5)))]).toEqual([0x20, 3, 0, 0x84, 0]);
    expect(count(broker, 'protocol-version')).toBe(2);
    expect(broker.state().door?.['protocol-version'].worst).toMatchObject({
      who: 'client "a" at 127.0.0.1, MQTT 5',
      times: 2,
    });
    expect(count(broker, 'not-mqtt')).toBe(0);
  });

  it.each([3, 4] as const)('a client of MQTT version %d is let in', async (protocolVersion) => {
    const broker = await open(resources);
    const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT';
    await connectDevice(resources, broker.port, { protocolVersion, protocolId });
    expect(broker.state().connections).toBe(1);
    expect(count(broker, 'protocol-version')).toBe(0);
  });

  it.each([
    ['TLS', Buffer.from('1603010200010001fc0303', 'hex')],
    ['HTTP', 'GET /mqtt HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\n\r\n'],
  ])('a client that speaks %s is counted', async (_, bytes) => {
    const broker = await open(resources);
    await answerTo(broker.port, bytes);
    await waitFor('it is counted', () => count(broker, 'not-mqtt') > 0);
    expect(count(broker, 'not-mqtt')).toBe(1);
  });

  it('a connection that breaks before it has said anything is no stranger', async () => {
    const broker = await open(resources);
    const socket: Socket = connect(broker.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.resetAndDestroy();
    await connectDevice(resources, broker.port);
    expect(count(broker, 'not-mqtt')).toBe(0);
  });

  it('take-overs of a client id are counted, and not the return of a device that had gone', async () => {
    const broker = await open(resources);
    const gone = await RawDevice.connect(resources, broker.port, { clientId: 'pump' });
    await gone.vanish();
    await waitFor('the broker has noticed', () => broker.state().connections === 0);
    const { timesMin } = DOOR_REASONS['taken-over'];
    for (let i = 0; i <= timesMin; i++) await RawDevice.connect(resources, broker.port, { clientId: 'pump' });
    await RawDevice.connect(resources, broker.port, { clientId: 'press' });
    expect(count(broker, 'taken-over')).toBe(timesMin);
    expect(broker.state().door?.['taken-over'].worst).toMatchObject({
      who: 'client id "pump", last from 127.0.0.1 by 127.0.0.1',
      times: timesMin,
    });
  });

  it('a device logs in for the first time in spite of guesses from its own address, also of clients that leave', async () => {
    const usersFile = join(await resources.directory(), 'users');
    await writeFile(usersFile, `${await userLine('press', 'right')}\n`);
    const broker = await open(resources, { usersFile });
    const guessing = Array.from({ length: 40 }, async (_, i) => {
      const user = i % 2 === 0 ? 'press' : `nobody ${i}`;
      const guess = { username: user, password: `guess ${i}`, reconnectPeriod: 0 };
      return connectAsync(`mqtt://127.0.0.1:${broker.port}`, guess).then(String, String);
    });
    const leaving = Array.from({ length: 40 }, async (_, i) => {
      const socket = connect(broker.port, '127.0.0.1');
      await once(socket, 'connect');
      const guess = { username: 'press', password: Buffer.from(`late ${i}`) };
      socket.write(mqtt.generate({ cmd: 'connect', protocolId: 'MQTT', clientId: `l${i}`, keepalive: 0, ...guess }));
      socket.destroy();
    });
    await Promise.all(leaving);
    const before = count(broker, 'wrong-password');
    const device = await connectDevice(resources, broker.port, { username: 'press', password: 'right' });
    // Of this user and of all that do not exist; in the order of arrival it would be the last of 80.
    const rounds = limits.loginsWaitingPerUserMax;
    expect(count(broker, 'wrong-password') - before).toBeLessThanOrEqual(2 * rounds + 1);
    await device.endAsync();
    await connectDevice(resources, broker.port, { username: 'press', password: 'right' });
    const answers = await Promise.all(guessing);
    expect(count(broker, 'wrong-password') + count(broker, 'logins-full')).toBeGreaterThanOrEqual(40);
    for (const answer of answers) expect(answer).toMatch(/Bad username or password|Server unavailable/);
    expect(broker.state().door?.['wrong-password'].worst?.who).toMatch(/^user ".*", client ".*" at 127\.0\.0\.1$/);
  });

  it('a device gets a place although another machine has taken all of them', async () => {
    const broker = await open(resources);
    const sockets: Socket[] = [];
    resources.defer(() => sockets.forEach((socket) => socket.destroy()));
    let closed = 0;
    // Not all at once: what waits to be accepted is bounded, too.
    while (sockets.length < limits.connectionsMax) {
      const some = Array.from({ length: 200 }, () => connect(broker.port, '127.0.0.1'));
      for (const socket of some)
        socket
          .resume()
          .on('error', () => undefined)
          .on('close', () => (closed += 1));
      await Promise.all(some.map(async (socket) => once(socket, 'connect')));
      sockets.push(...some);
    }
    const device = await RawDevice.connect(resources, broker.port, { localAddress: '127.0.0.2' });
    await waitFor('one of the others has gone', () => closed > 0);
    expect([closed, device.closed]).toEqual([1, false]);
    const late = connect(broker.port, '127.0.0.1')
      .resume()
      .on('error', () => undefined);
    await once(late, 'close');
    expect(count(broker, 'idle-closed')).toBe(1);
    expect(broker.state().door?.['no-place'].worst?.who).toBe('127.0.0.1');
    // Two thousand connections take their time on a busy machine.
  }, 120_000);

  it.runIf(process.platform === 'linux')('connections are watched by TCP, so that dead ones end', async () => {
    const broker = await open(resources);
    await RawDevice.connect(resources, broker.port);
    const port = broker.port.toString(16).toUpperCase().padStart(4, '0');
    const table = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
    // Established, and with a timer of kind 2, which is that of keepalive.
    const ours = table.filter(([, local, , state]) => local?.endsWith(`:${port}`) && state === '01');
    expect(ours.map(([, , , , , timer]) => timer?.slice(0, 2))).toEqual(['02']);
  });
});
