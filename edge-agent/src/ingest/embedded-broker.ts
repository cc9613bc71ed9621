import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { type Delivery, epochMs, type Source } from '@floorwatch/contracts';
import { isLoopback, listen, type Logger, messageOf, StartError } from '@floorwatch/runtime';
import type { Client, PublishPacket } from 'aedes';
import { writeToStream } from 'mqtt-packet';

import { limits } from '../limits.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { authenticate } from './authenticate.ts';
import type { BrokerState } from './broker-state.ts';
import { brokerPersistence } from './broker-persistence.ts';
import { BrokerUsers } from './broker-users.ts';
import { addressOf, clientInWords } from './client-address.ts';
import { DoorLog, quoted } from './door-log.ts';
import { CONNECTION_ENDED, InFlight } from './in-flight.ts';
import type { Sender, Transmission } from './message-identity.ts';
import { MessageQueue, type Settle } from './message-queue.ts';
import { Logins } from './logins.ts';
import { limitPackets, PacketLimiter, PacketTooLarge } from './packet-limiter.ts';
import { paceReading, ReadingShare } from './paced-reading.ts';
import { Places } from './places.ts';
import { QuietAedes } from './quiet-aedes.ts';
import type { RawMessage } from './raw-message.ts';
import { admitsConnect, boundWill, noteStranger } from './refused-connect.ts';
import { Sessions } from './sessions.ts';
import { Subscribers } from './subscribers.ts';

export interface EmbeddedBrokerConfig {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Who may connect; without it anyone on this machine may, and nobody else. */
  readonly usersFile?: string;
  /** Messages of one topic that a device may have unacknowledged. */
  readonly inFlightMax: number;
  /** How long a commit of the journal waits for more, see `storage.commitMs`. Default: 0. */
  readonly commitMs?: number;
}

/** A device's connection, and what it has in flight. */
interface Connection {
  readonly socket: Socket;
  readonly inFlight: InFlight;
  readonly acknowledgements: Acknowledgements;
  /** Known since its CONNECT. */
  sender: Sender | undefined;
  /** Whether its CONNECT has come, and it is not decided yet whether the client may connect. */
  isConnecting: boolean;
}

const IGNORED: Settle = () => undefined;

// aedes' encoder would keep a buffer for each of the 65,536 packet identifiers, 9 MB in all.
writeToStream.cacheNumbers = false;

/**
 * An MQTT broker inside of the agent. A device hears PUBACK (or PUBREC) when the delivery with its message is acknowledged: PUBACKs are
 * written here (ADR-0021), and aedes answers a message of QoS 2 when `authorizePublish` calls back, which is held until then. A delivery that is
 * refused closes the connections from which messages of QoS 1 or 2 came, and devices send again. A device that sends on without waiting is read
 * no further while too much of it is unacknowledged.
 *
 * Others may subscribe too. They are served at QoS 0, beside the way of the readings, and nothing is retained ({@link Subscribers}, ADR-0025).
 */
export class EmbeddedBroker implements Source<RawMessage> {
  readonly #config: EmbeddedBrokerConfig;
  readonly #logger: Logger;
  readonly #door = new DoorLog();
  readonly #places = new Places(this.#door);
  readonly #subscribers = new Subscribers((reason, who) => this.#door.note(reason, who));
  readonly #sessions = new Sessions((reason, clientId) => this.#door.note(reason, `client ${quoted(clientId)}`));
  readonly #queue: MessageQueue;
  readonly #share = new ReadingShare({
    pieceBytesMin: limits.readBytesMin,
    pieceBytesMax: limits.readBytesMax,
    turnBytes: limits.readBytesPerTurn,
  });
  /** Sockets that have more to read than there is room for. */
  readonly #held = new Set<Socket>();
  /** The open connections. */
  readonly #sockets = new Set<Socket>();
  /** All of them, for what is read of one that has ended. */
  readonly #connections = new WeakMap<Socket, Connection>();
  /** Connections that devices have ended, and that are not read to their end yet. */
  readonly #ended = new WeakSet<Socket>();
  #aedes: QuietAedes | undefined;
  #server: Server | undefined;
  #port = 0;
  #since = epochMs(Date.now());
  #lastError: string | undefined;
  #stopping = false;

  constructor(config: EmbeddedBrokerConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    const { min, perCommitMs, max } = limits.openReadingsShared;
    const openReadings = Math.min(max, min + perCommitMs * (config.commitMs ?? 0));
    this.#queue = new MessageQueue(() => this.#resume(), openReadings);
  }

  /** @throws StartError if the port is taken, the users can't be read, or other machines could connect without a password. */
  async connect(): Promise<void> {
    const { host, usersFile } = this.#config;
    if (usersFile === undefined && !isLoopback(host)) {
      const remedy =
        'make a file with "floorwatch-agent hash-password <user>" and name it in broker.usersFile, or use 127.0.0.1';
      throw new StartError(
        'secret-missing',
        `broker.host: ${host} can be reached from other machines, and broker.usersFile is not set; ${remedy}`,
      );
    }
    const logins = usersFile === undefined ? undefined : new Logins(await BrokerUsers.load(usersFile));
    const aedes = this.#createAedes(logins);
    await aedes.listen();
    aedes.on('clientError', (client, error) => {
      if (error instanceof PacketTooLarge) this.#door.note('packet-too-large', clientInWords(client), client.id);
      this.#note(client, error);
    });
    aedes.on('connectionError', (client, error) => {
      noteStranger(client, error, this.#door);
      this.#note(client, error);
    });
    aedes.on('clientReady', ({ conn, id }) => this.#places.loggedIn(conn as Socket, `client ${quoted(id)}`));
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: limits.tcpKeepAliveMs };
    const server = createServer({ noDelay: true, ...keepAlive }, (socket) => {
      if (this.#places.enter(socket, addressOf(socket))) this.#admit(socket, aedes);
      else socket.destroy();
    });
    const looking = setInterval(() => this.#places.look(), limits.idleLookMs);
    looking.unref();
    server.once('close', () => clearInterval(looking));
    try {
      ({ port: this.#port } = await listen(server, this.#config, 'broker.port'));
    } catch (error) {
      clearInterval(looking);
      aedes.close();
      throw error;
    }
    [this.#aedes, this.#server, this.#since] = [aedes, server, epochMs(Date.now())];
    const access = logins === undefined ? 'programs on this machine only' : 'users of broker.usersFile only';
    this.#logger.info({ address: this.state().address, access }, 'MQTT broker is listening');
  }

  #createAedes(logins: Logins | undefined): QuietAedes {
    const aedes: QuietAedes = new QuietAedes(
      {
        // Devices need not wait for CONNACK (3.1.4), and aedes reads on only behind it; so this is what one read can hold, in packets.
        queueLimit: limits.packetsPerReadMax,
        // Sessions bound it, also beyond a connection.
        maxInflightInbound: 0,
        persistence: brokerPersistence(this.#sessions),
        preConnect: (client, packet, done) => {
          if (!admitsConnect(client, packet, this.#door, (error) => done(error, false))) return;
          boundWill(client, packet, this.#door);
          this.#setConnecting(client, true);
          done(null, true);
        },
        authenticate: (client, name, password, done) => {
          const answer: typeof done = (error, success) => {
            if (success === true) this.#noteTakeOver(aedes, client);
            done(error, success);
          };
          if (logins === undefined) answer(null, true);
          else void authenticate(logins, client, { name, password }, this.#door, answer);
        },
        authorizePublish: (client, packet, done) => this.#accept(client, packet, done),
        authorizeSubscribe: (client, subscription, done) => {
          const { topic } = subscription;
          subscription.qos = 0;
          const isSubscribed = this.#subscribers.add(client.conn as Socket, topic, () => clientInWords(client));
          if (isSubscribed) this.#sessions.subscribe(client, topic);
          done(null, isSubscribed ? subscription : null);
        },
      },
      (packet, client) => this.#subscribers.publish(packet, () => clientInWords(client)),
    );
    aedes.on('client', (client) => this.#sessions.connected(client));
    aedes.on('clientReady', (client) => this.#setConnecting(client, false));
    aedes.on('clientDisconnect', (client) => this.#sessions.disconnected(client));
    aedes.on('unsubscribe', (filters, client) => {
      for (const filter of filters) this.#subscribers.remove(client.conn as Socket, filter);
    });
    return aedes;
  }

  deliveries(signal: AbortSignal): AsyncIterable<Delivery<RawMessage>> {
    return this.#queue.deliveries(signal);
  }

  /**
   * Takes no more, lets what has been received pass the pipeline for a bounded time so that devices hear of it, then closes the
   * connections. What is not acknowledged by then, devices send again to the next start.
   */
  async close(): Promise<void> {
    const [aedes, server] = [this.#aedes, this.#server];
    this.#stopping = true;
    this.#queue.end();
    if (aedes === undefined || server === undefined) return;
    [this.#aedes, this.#server] = [undefined, undefined];
    const closed = once(server, 'close');
    server.close();
    await this.#queue.whenDrained(limits.drainMsMax);
    // The last acknowledgements are written behind this turn of the event loop.
    await nextTurn();
    await nextTurn();
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    for (const socket of this.#sockets.keys()) socket.destroy();
    await closed;
    this.#since = epochMs(Date.now());
  }

  state(): BrokerState {
    return {
      kind: 'embedded',
      address: `mqtt://${this.#config.host}:${this.#port}`,
      ready: this.#server !== undefined,
      since: this.#since,
      connections: this.#aedes?.connectedClients ?? 0,
      connectionsMax: limits.connectionsMax,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      pending: this.#queue.length,
      held: [...this.#held].some((socket) => this.#isFullFor(this.#connections.get(socket))),
      door: this.#door.view(),
    };
  }

  /** Puts a message that no device sent behind those that wait. Resolves when it is safe; rejects if it was refused. */
  async submit(message: RawMessage): Promise<void> {
    return this.#queue.submit(message);
  }

  /** The port in use, also where any free one was asked for. */
  get port(): number {
    return this.#port;
  }

  #admit(socket: Socket, aedes: QuietAedes): void {
    const inFlight = new InFlight(
      this.#config.inFlightMax,
      (message, settle, readings) => this.#queue.push(message, settle, readings),
      () => this.#resume(),
    );
    this.#sockets.add(socket);
    const connection: Connection = {
      socket,
      inFlight,
      acknowledgements: new Acknowledgements(socket),
      sender: undefined,
      isConnecting: false,
    };
    this.#connections.set(socket, connection);
    limitPackets(socket, new PacketLimiter(limits.packetBytesMax, limits.controlBytesMax), () => {
      this.#ended.add(socket);
      this.#giveUp(socket, inFlight);
    });
    socket.once('close', () => {
      inFlight.close();
      this.#places.leave(socket);
      this.#sockets.delete(socket);
      this.#held.delete(socket);
    });
    // A device that does not read what it is answered is not read either.
    socket.on('drain', () => this.#resume());
    const isHeld = (): boolean =>
      connection.isConnecting ||
      this.#isFullFor(connection) ||
      inFlight.holding ||
      socket.writableNeedDrain ||
      this.#stopping;
    paceReading(socket, this.#share, isHeld, () => this.#held.add(socket));
    aedes.handle(socket);
  }

  /**
   * Nothing is read behind a CONNECT until the client may connect: aedes would take what comes alone in a piece then for the first packet, and
   * handle it although nobody has checked the password. What came together with CONNECT waits in aedes.
   */
  #setConnecting(client: Client, isConnecting: boolean): void {
    const connection = this.#connectionOf(client);
    if (connection === undefined) return;
    connection.isConnecting = isConnecting;
    if (!isConnecting) this.#resume();
  }

  /** Whether the pipeline has no room for more of a connection. */
  #isFullFor(connection: Connection | undefined): boolean {
    return this.#queue.isHeld(connection?.sender?.clientId);
  }

  #resume(): void {
    if (this.#held.size === 0 || this.#stopping) return;
    const held = [...this.#held];
    this.#held.clear();
    // Outside of the pipeline's own turn; each socket looks again whether there is room.
    setImmediate(() => {
      for (const socket of held) socket.emit('readable');
    });
  }

  #accept(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): void {
    if (packet.topic.startsWith('$')) {
      this.#answerOnly(client, packet);
      done(null);
      return;
    }
    // Many devices set the flag on everything. To keep a copy per topic would be memory without a limit.
    packet.retain = false;
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const receivedAt = epochMs(Date.now());
    // A last will has no identifier: nobody repeats it.
    const connection = packet.qos > 0 && packet.messageId === undefined ? undefined : this.#connectionOf(client);
    const sent = connection === undefined || client === null ? undefined : transmissionOf(connection, client, packet);
    const message = { topic: packet.topic, payload, receivedAt, retained: false, client: client?.id, sent };
    if (packet.qos === 0) {
      // Nobody waits to hear of it, so aedes can let go of it at once.
      this.#push(connection, message, false, IGNORED);
      done(null);
      return;
    }
    if (packet.qos === 1 && packet.messageId !== undefined && connection !== undefined) {
      const { messageId } = packet;
      this.#push(connection, message, true, (error) => {
        if (error === undefined) connection.acknowledgements.add(messageId);
        else if (error !== CONNECTION_ENDED) connection.socket.destroy(error);
      });
      // The rest is no business of aedes; subscribers are served at QoS 0 anyway.
      packet.qos = 0;
      done(null);
      return;
    }
    this.#push(connection, message, true, (error) => {
      if (error !== CONNECTION_ENDED) done(error ?? null);
    });
  }

  /** Topics that begin with `$` are the broker's own (4.7.2). A bridge publishes its state there, and waits for the answer. */
  #answerOnly(client: Client | null, packet: PublishPacket): void {
    if (client !== null) this.#door.note('reserved-topic', clientInWords(client), client.id);
    if (packet.qos !== 1 || packet.messageId === undefined) return;
    this.#connectionOf(client)?.acknowledgements.add(packet.messageId);
    packet.qos = 0;
  }

  #connectionOf(client: Client | null): Connection | undefined {
    return client === null ? undefined : this.#connections.get(client.conn as Socket);
  }

  #push(connection: Connection | undefined, message: RawMessage, gated: boolean, settle: Settle): void {
    if (connection === undefined) {
      this.#queue.push(message, settle);
    } else {
      const { socket, inFlight } = connection;
      inFlight.accept(message, gated, settle);
      this.#giveUp(socket, inFlight);
    }
  }

  /**
   * Closes a connection that its device has ended while messages wait. They would be let through one after the other otherwise, while the
   * device repeats them on its next connection.
   */
  #giveUp(socket: Socket, inFlight: InFlight): void {
    if (!this.#ended.has(socket) || !inFlight.holding) return;
    inFlight.close();
    socket.destroy();
  }

  #noteTakeOver({ clients }: QuietAedes, { id, conn }: Client): void {
    const before = clients[id];
    if (before === undefined || before.closed) return;
    const [from, to] = [addressOf(before.conn as Socket), addressOf(conn as Socket)];
    this.#door.note('taken-over', `client id ${quoted(id)}, last from ${from} by ${to}`, id);
  }

  #note(client: Client, error: Error): void {
    this.#fail(`client ${client.id ?? '(not connected)'}: ${messageOf(error)}`);
  }

  #fail(what: string): void {
    this.#lastError = what.slice(0, 300);
    this.#logger.debug({ error: this.#lastError }, 'MQTT connection ended with an error');
  }
}

/** How a device sent a message. */
function transmissionOf(connection: Connection, { id }: Client, { messageId, dup }: PublishPacket): Transmission {
  const { socket } = connection;
  connection.sender ??= {
    clientId: id,
    get isOpen(): boolean {
      return !socket.destroyed;
    },
  };
  return { sender: connection.sender, packetId: messageId ?? 0, isDup: dup };
}
