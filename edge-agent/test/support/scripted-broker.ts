import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

import mqtt, { type Packet } from 'mqtt-packet';

import type { Resources } from '../../../tests/support/index.ts';

/** A broker that fails in ways in which real ones can't be made to fail when a test wants it. */
export class ScriptedBroker {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  /** What the client said, with the number of its connection, from 1. */
  readonly heard: { readonly connection: number; readonly packet: Packet }[] = [];
  /** Whether it answers at all. */
  silent = false;

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(resources: Resources): Promise<ScriptedBroker> {
    const broker = new ScriptedBroker();
    broker.#server.listen(0, '127.0.0.1');
    await once(broker.#server, 'listening');
    resources.defer(() => {
      for (const socket of broker.#sockets) socket.destroy();
      broker.#server.close();
    });
    return broker;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#sockets.length;
  }

  count(cmd: Packet['cmd']): number {
    return this.heard.filter(({ packet }) => packet.cmd === cmd).length;
  }

  /** To the newest connection, in one write. */
  publish(messages: readonly { readonly messageId: number; readonly payload: string }[]): void {
    const packets = messages.map(({ messageId, payload }) =>
      mqtt.generate({ cmd: 'publish', topic: 'sensors/a/b', qos: 1, dup: false, retain: false, messageId, payload }),
    );
    this.#sockets.at(-1)?.write(Buffer.concat(packets));
  }

  /** Ends the newest connection. */
  hangUp(): void {
    this.#sockets.at(-1)?.end();
  }

  #serve(socket: Socket): void {
    this.#sockets.push(socket);
    const connection = this.#sockets.length;
    const parser = mqtt.parser({ protocolVersion: 4 });
    parser.on('packet', (packet) => {
      this.heard.push({ connection, packet });
      const answer = this.silent ? undefined : answerTo(packet);
      if (answer !== undefined) socket.write(mqtt.generate(answer));
    });
    socket.on('data', (bytes) => parser.parse(bytes));
    socket.on('error', () => undefined);
  }
}

function answerTo(packet: Packet): Packet | undefined {
  if (packet.cmd === 'connect') return { cmd: 'connack', returnCode: 0, sessionPresent: true };
  if (packet.cmd === 'pingreq') return { cmd: 'pingresp' };
  if (packet.cmd === 'subscribe') return { cmd: 'suback', messageId: packet.messageId ?? 0, granted: [1] };
  return undefined;
}
