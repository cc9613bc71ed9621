import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import mqtt, { type IConnectPacket, type Packet } from 'mqtt-packet';

import { waitFor } from '../../support/index.ts';
import { GUEST } from './users.ts';

export type RawClientOptions = Partial<
  Pick<IConnectPacket, 'clientId' | 'clean' | 'keepalive' | 'will' | 'username' | 'password'>
>;

let clients = 0;

/** A client of the broker that sends what it is told, and counts what it is answered without looking at it closely. */
export class RawClient {
  readonly #socket: Socket;
  /** How often the broker answered, by kind of packet. */
  readonly #answers = new Map<string, number>();
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const parser = mqtt.parser();
    parser.on('packet', ({ cmd }) => this.#answers.set(cmd, (this.#answers.get(cmd) ?? 0) + 1));
    parser.on('error', () => undefined);
    socket.on('data', (bytes) => parser.parse(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
  }

  /**
   * Connects, and sends CONNECT unless `options` is null.
   *
   * @param localAddress where it comes from, one of 127.0.0.0/8.
   */
  static async connect(
    port: number,
    options: RawClientOptions | null = {},
    localAddress = '127.0.0.1',
  ): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    socket.setNoDelay(true);
    const client = new RawClient(socket);
    await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
    clients += 1;
    if (options !== null) client.send(helloOf({ clientId: `hostile-${clients}`, ...options }));
    return client;
  }

  /** Everything in one write. */
  send(...packets: readonly (Packet | Buffer)[]): void {
    this.#socket.write(
      Buffer.concat(packets.map((packet) => (Buffer.isBuffer(packet) ? packet : mqtt.generate(packet)))),
    );
  }

  /** Waits until the broker has answered so often with this kind of packet. @throws Error if it closes the connection instead. */
  async hears(cmd: Packet['cmd'], count = 1): Promise<void> {
    await waitFor(`the broker has answered with ${count} ${cmd}`, () => this.closed || this.#heard(cmd) >= count, {
      timeoutMs: 60_000,
      intervalMs: 5,
    });
    if (this.#heard(cmd) < count) throw new Error(`the connection was closed behind ${this.#heard(cmd)} ${cmd}`);
  }

  /** From now on it does not read what it is sent. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Goes without a word. */
  vanish(): void {
    this.#socket.destroy();
  }

  #heard(cmd: string): number {
    return this.#answers.get(cmd) ?? 0;
  }
}

const helloOf = (options: RawClientOptions): Packet => ({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  clientId: '',
  keepalive: 0,
  ...GUEST,
  ...options,
});
