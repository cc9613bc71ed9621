import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import mqtt, { type Packet } from 'mqtt-packet';

import { type Resources, waitFor } from '../../../tests/support/index.ts';

/** A device that says exactly what the test tells it to, and nothing by itself. */
export class RawDevice {
  readonly #socket: Socket;
  readonly heard: Packet[] = [];
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const parser = mqtt.parser({ protocolVersion: 4 });
    parser.on('packet', (packet) => this.heard.push(packet));
    socket.on('data', (bytes) => parser.parse(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
  }

  /** @param behind sent together with CONNECT. */
  static async connect(
    resources: Resources,
    port: number,
    { clean = false, clientId = 'raw', localAddress = '127.0.0.1' }: RawDeviceOptions = {},
    behind: readonly Packet[] = [],
  ): Promise<RawDevice> {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    resources.defer(() => socket.destroy());
    const device = new RawDevice(socket);
    await once(socket, 'connect');
    const hello: Packet = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean, clientId, keepalive: 0 };
    device.send(hello, ...behind);
    await device.hears('connack');
    return device;
  }

  /** Everything in one write. */
  send(...packets: readonly Packet[]): void {
    this.#socket.write(Buffer.concat(packets.map((packet) => mqtt.generate(packet))));
  }

  publish(
    messageId: number,
    payload: string,
    { qos = 1, topic = 'sensors/a/b', dup = false }: PublishOptions = {},
  ): void {
    this.send({ cmd: 'publish', topic, payload, qos, messageId, dup, retain: false });
  }

  /** Packet identifiers of what was answered so far. */
  answered(cmd: 'puback' | 'pubrec' | 'pubcomp'): number[] {
    return this.heard.filter((packet) => packet.cmd === cmd).map(({ messageId }) => messageId ?? 0);
  }

  async hears(cmd: Packet['cmd'], count = 1): Promise<void> {
    await waitFor(
      `the device hears ${count} ${cmd}`,
      () => this.heard.filter((packet) => packet.cmd === cmd).length >= count,
    );
  }

  /** Goes without a word, as when the network breaks. */
  async vanish(): Promise<void> {
    const closed = this.closed ? undefined : once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }
}

interface RawDeviceOptions {
  readonly clean?: boolean;
  readonly clientId?: string;
  /** Where it connects from, one of 127.0.0.0/8. */
  readonly localAddress?: string;
}

interface PublishOptions {
  readonly qos?: 0 | 1 | 2;
  readonly topic?: string;
  readonly dup?: boolean;
}
