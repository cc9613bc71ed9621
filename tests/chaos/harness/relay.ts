import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

import type { Resources } from '../../support/index.ts';

/** How a request that writes rows begins. */
const WRITE = 'POST /api/v2/write';

/**
 * Stands before a server, passes every byte on as it comes, and knows of an InfluxDB whether a request that writes is under way. When the
 * server is gone, so are the connections; the network between can be cut.
 */
export class Relay {
  readonly port: number;
  readonly #writing = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #waiting: (() => void)[] = [];

  private constructor(port: number) {
    this.port = port;
  }

  static async start(resources: Resources, targetPort: number): Promise<Relay> {
    const server = createServer((client) => {
      if (relay.#isCut) {
        client.destroy();
        return;
      }
      const upstream = connect(targetPort, '127.0.0.1');
      for (const socket of [client, upstream]) {
        relay.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          relay.#sockets.delete(socket);
          relay.#writing.delete(client);
          client.destroy();
          upstream.destroy();
        });
      }
      client.on('data', (bytes) => {
        if (bytes.toString('latin1', 0, WRITE.length) === WRITE) relay.#begin(client);
        upstream.write(bytes);
      });
      upstream.on('data', (bytes) => {
        relay.#writing.delete(client);
        client.write(bytes);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const relay = new Relay((server.address() as AddressInfo).port);
    resources.defer(() => {
      relay.cut();
      server.close();
    });
    return relay;
  }

  /** Cuts all connections, and takes no new ones. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes connections again. */
  mend(): void {
    this.#isCut = false;
  }

  /** Whether the server has not answered a request that writes. */
  get isWriting(): boolean {
    return this.#writing.size > 0;
  }

  /** Resolves when the next request that writes begins. */
  async writes(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #begin(client: Socket): void {
    this.#writing.add(client);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
