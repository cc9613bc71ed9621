import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { generate } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { userLine } from '../../src/ingest/broker-users.ts';
import { EmbeddedBroker } from '../../src/ingest/embedded-broker.ts';
import { limits } from '../../src/limits.ts';
import { silentLogger } from '../support/devices.ts';
import { Reader, textOf } from './source-contract.ts';

const publish = (payload: string): Buffer =>
  generate({ cmd: 'publish', topic: 'sensors/a/b', payload, qos: 0, dup: false, retain: false });
const subscribe = generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] });
/** @param bytes that the packet has, with a last will that fills it; 0: as many as it needs without one. */
const hello = (password: string, bytes: number): Buffer => {
  const packet = (willBytes: number): Buffer =>
    generate({
      ...({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 0 } as const),
      clientId: `client ${password}`,
      username: 'press',
      password: Buffer.from(password),
      ...(willBytes === 0
        ? {}
        : { will: { topic: 'will', payload: Buffer.alloc(willBytes, 'x'), qos: 0 as const, retain: false } }),
    });
  return bytes === 0 ? packet(0) : packet(bytes - packet(1_000).length + 1_000);
};

describe('what a client sends before its password is checked', () => {
  const resources = resourcesPerTest();

  it('is not taken if the password is wrong, and taken in order if it is right, however it comes in', async () => {
    const usersFile = join(await resources.directory(), 'users');
    await writeFile(usersFile, `${await userLine('press', 'right')}\n`);
    const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, inFlightMax: 1_000, usersFile }, silentLogger);
    await broker.connect();
    resources.defer(async () => broker.close());
    const reader = new Reader(broker);
    // A CONNECT that is all of what is read at a time has what follows in the next piece, whatever the network does.
    for (const [turns, bytes] of [
      [0, 0],
      [1, 0],
      [3, 0],
      [0, limits.readBytesMax],
      [0, limits.readBytesMin],
    ] as const) {
      for (const password of ['wrong', 'right']) {
        const socket = connect(broker.port, '127.0.0.1').setNoDelay(true);
        resources.defer(() => socket.destroy());
        socket.on('error', () => undefined).resume();
        const closed = new Promise((resolve) => socket.once('close', resolve));
        await once(socket, 'connect');
        const behind = [subscribe, publish(`${password} 1`), publish(`${password} 2`)];
        if (turns === 0) socket.write(Buffer.concat([hello(password, bytes), ...behind]));
        else socket.write(hello(password, bytes));
        for (const write of turns === 0 ? [] : behind) {
          for (let turn = 0; turn < turns; turn++) await nextTurn();
          socket.write(write);
        }
        if (password === 'wrong') await closed;
      }
      expect((await reader.take(2)).map(textOf)).toEqual(['right 1', 'right 2']);
    }
  });
});
