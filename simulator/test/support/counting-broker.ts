import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import { Aedes } from 'aedes';

/** An MQTT broker that remembers what it was sent, and can be killed and started again on the same port. */
export class CountingBroker {
  /** Arrivals by topic and payload; more than 1 is a repeat. */
  readonly arrivals = new Map<string, number>();
  /** Client ids that have connected with a persistent session and have not cleaned it up since. */
  readonly sessions = new Set<string>();
  /** Messages that came after {@link freeze}. */
  held = 0;
  #frozen = false;
  readonly #user: { readonly name: string; readonly password: string } | undefined;
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(user?: { readonly name: string; readonly password: string }) {
    this.#user = user;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  get total(): number {
    return [...this.arrivals.values()].reduce((sum, n) => sum + n, 0);
  }

  async start(): Promise<void> {
    const aedes = await Aedes.createBroker();
    aedes.authenticate = (client, name, password, done) => {
      const user = this.#user;
      const known = user === undefined || (name === user.name && password?.toString() === user.password);
      if (client.clean) this.sessions.delete(client.id);
      else this.sessions.add(client.id);
      done(known ? null : Object.assign(new Error('who?'), { returnCode: 5 }), known);
    };
    // Counted here, because aedes acknowledges before it emits `publish`: a kill between the two would look like a loss.
    aedes.authorizePublish = (_client, packet, done) => {
      const key = `${packet.topic} ${packet.payload.toString()}`;
      this.arrivals.set(key, (this.arrivals.get(key) ?? 0) + 1);
      if (this.#frozen) this.held += 1;
      else done(null);
    };
    const server = createServer(aedes.handle);
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#aedes = aedes;
    this.#server = server;
  }

  /** Acknowledges nothing any more, without closing any connection. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Resolves with the next message that arrives. */
  async arrival(): Promise<void> {
    const before = this.total;
    while (this.total === before) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Cuts every connection in the middle of whatever it was doing, and forgets every session. */
  async kill(): Promise<void> {
    const closed = this.#server === undefined ? undefined : once(this.#server, 'close');
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await new Promise<void>((done) => {
      if (this.#aedes === undefined) done();
      else this.#aedes.close(done);
    });
    this.#aedes = undefined;
    this.#server = undefined;
  }

  async stop(): Promise<void> {
    if (this.#server !== undefined) await this.kill();
  }
}
