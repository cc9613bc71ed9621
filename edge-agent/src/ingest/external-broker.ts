import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

import { type Delivery, epochMs, type Source } from '@floorwatch/contracts';
import {
  type Logger,
  messageOf,
  readSecret,
  readTlsFiles,
  retryDelay,
  type RetrySchedule,
  type TlsFiles,
  type TlsTexts,
} from '@floorwatch/runtime';
import { MqttClient } from 'mqtt';

import { limits } from '../limits.ts';
import { Acknowledgements } from './acknowledgements.ts';
import type { BrokerState } from './broker-state.ts';
import { InFlight } from './in-flight.ts';
import { MessageQueue } from './message-queue.ts';
import { limitPackets, PacketLimiter } from './packet-limiter.ts';
import type { RawMessage } from './raw-message.ts';

export interface ExternalBrokerConfig {
  /** `mqtt://host:port` or `mqtts://host:port`. */
  readonly url: string;
  /** Fixed, so that the broker keeps messages for this agent while it is away; two agents must not share one. */
  readonly clientId: string;
  readonly user?: string;
  /** File with the password; without it the environment variable FLOORWATCH_MQTT_PASSWORD counts. */
  readonly passwordFile?: string;
  readonly tls?: TlsFiles;
  /** Messages of one topic that may be unacknowledged. */
  readonly inFlightMax: number;
}

/** How the connection is watched, in milliseconds. */
export interface ExternalBrokerTimes {
  /** A broker that sends no message for so long is asked to confirm the subscriptions. */
  readonly silenceMs: number;
  /** How long it may take to answer. */
  readonly answerMs: number;
}

/** The client has one pause for all attempts; 1 to 2 s, drawn once, so that gateways do not come back all at once. */
const RECONNECT: RetrySchedule = { firstMs: 2_000, maxMs: 2_000 };
/** Seconds after which MQTT.js asks whether the broker is there, if nothing was sent; after half as many more it gives up. */
const KEEPALIVE_S = 30;
/** Tells MQTT.js to go on without an acknowledgement of its own. */
const LATER = new Error('acknowledged later');

type IncomingPacket = Parameters<MqttClient['handleMessage']>[0];
type Go = (error?: Error) => void;

/** One connection to the broker. Acknowledgements never go to another one than their message came from: packet identifiers begin anew. */
interface Connection {
  readonly stream: Duplex;
  readonly inFlight: InFlight;
  readonly acknowledgements: Acknowledgements;
  open: boolean;
  /** When the last message came, and when the broker was asked for something that it has not answered. */
  heardAt: number;
  askedAt: number | undefined;
}

/**
 * A broker somewhere else. Messages come at QoS 1 within a session that the broker keeps (`clean: false`): what this agent has not
 * acknowledged it delivers again. Connecting goes on for ever in the background; {@link state} tells how it is.
 *
 * MQTT.js waits with the next message until the last one is acknowledged, which would be one message per commit. So it is told at once to
 * go on, as if the message had failed, which is its way of leaving the PUBACK out; ours is written when the delivery is acknowledged. When a
 * connection ends its pending acknowledgements are forgotten, and the messages come again.
 */
export class ExternalBroker implements Source<RawMessage> {
  readonly #config: ExternalBrokerConfig;
  readonly #filters: readonly string[];
  readonly #logger: Logger;
  readonly #times: ExternalBrokerTimes;
  readonly #queue = new MessageQueue(() => this.#resume());
  #client: MqttClient | undefined;
  #connection: Connection | undefined;
  /** Goes on reading the connection; set while there is no room. */
  #paused: Go | undefined;
  #watch: NodeJS.Timeout | undefined;
  #ready = false;
  #since = epochMs(Date.now());
  #lastError: string | undefined;

  /**
   * @param filters what to subscribe to.
   * @param times other than the usual ones, for tests.
   */
  constructor(
    config: ExternalBrokerConfig,
    filters: readonly string[],
    logger: Logger,
    times: ExternalBrokerTimes = { silenceMs: limits.brokerSilenceMs, answerMs: limits.brokerAnswerMs },
  ) {
    this.#config = config;
    this.#filters = filters;
    this.#logger = logger;
    this.#times = times;
  }

  /** Begins to connect; does not wait for it. @throws StartError if a file with a secret can't be read. */
  async connect(): Promise<void> {
    const { clientId, user, passwordFile, tls } = this.#config;
    const password = await readSecret('MQTT password', passwordFile, 'FLOORWATCH_MQTT_PASSWORD');
    const certificates = await readTlsFiles(tls ?? {}, 'broker.tls');
    const client = new MqttClient(() => this.#open(certificates), {
      clientId,
      clean: false,
      resubscribe: false,
      reconnectPeriod: retryDelay(RECONNECT, 1),
      connectTimeout: 10_000,
      keepalive: KEEPALIVE_S,
      manualConnect: true,
      protocolVersion: 4,
      ...(user === undefined ? {} : { username: user }),
      ...(password === undefined ? {} : { password }),
    });
    client.handleMessage = (packet, done) => this.#accept(packet, done ?? (() => undefined));
    client.on('connect', () => void this.#subscribe(client));
    client.on('close', () => this.#lost('the connection is closed'));
    client.on('error', (error) => this.#lost(messageOf(error)));
    this.#client = client;
    const { silenceMs, answerMs } = this.#times;
    this.#watch = setInterval(() => this.#look(client), Math.min(silenceMs, answerMs) / 4);
    client.connect();
  }

  deliveries(signal: AbortSignal): AsyncIterable<Delivery<RawMessage>> {
    return this.#queue.deliveries(signal);
  }

  /** Lets what has been received pass the pipeline for a bounded time, then disconnects. The broker keeps the rest. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    clearInterval(this.#watch);
    this.#queue.end();
    if (client === undefined) return;
    await this.#queue.whenDrained(limits.drainMsMax);
    this.#connection?.acknowledgements.write();
    await client.endAsync(!this.#ready);
  }

  state(): BrokerState {
    return {
      kind: 'external',
      address: this.#config.url,
      ready: this.#ready,
      since: this.#since,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      pending: this.#queue.length,
      held: this.#queue.full,
    };
  }

  /** Puts a message that no device sent behind those that wait. Resolves when it is safe; rejects if it was refused. */
  async submit(message: RawMessage): Promise<void> {
    return this.#queue.submit(message);
  }

  #open(certificates: TlsTexts): Socket {
    const { protocol, hostname, port } = new URL(this.#config.url);
    // An IPv6 address stands in brackets in a URL only.
    const host = hostname.replace(/^\[|\]$/g, '');
    const secure = protocol === 'mqtts:';
    const at = { host, port: port === '' ? (secure ? 8883 : 1883) : Number(port) };
    const socket = secure ? connectTls({ ...at, servername: host, ...certificates }) : connectTcp(at);
    this.#forget(this.#connection);
    const inFlight = new InFlight(
      this.#config.inFlightMax,
      (message, settle) => this.#queue.push(message, settle),
      () => this.#resume(),
    );
    const connection: Connection = {
      stream: socket,
      inFlight,
      acknowledgements: new Acknowledgements(socket),
      open: true,
      heardAt: performance.now(),
      askedAt: undefined,
    };
    this.#connection = connection;
    // Whichever comes first: while there is no room, the end of the connection would be noticed only behind all that came before it.
    limitPackets(socket, new PacketLimiter(limits.packetBytesMax), () => this.#forget(connection));
    socket.once('close', () => this.#forget(connection));
    return socket;
  }

  /** What waits for its acknowledgement comes again. */
  #forget(connection: Connection | undefined): void {
    if (connection === undefined || !connection.open) return;
    connection.open = false;
    connection.acknowledgements.forget();
    // Nothing more of it is read: what MQTT.js still has of it comes again, too.
    this.#paused = undefined;
    connection.inFlight.close();
  }

  #accept(packet: IncomingPacket, go: Go): void {
    const connection = this.#connection;
    // After the queue has ended nothing is acknowledged, and the broker keeps it.
    if (this.#client === undefined || connection?.open !== true) return;
    connection.heardAt = performance.now();
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const message = { topic: packet.topic, payload, receivedAt: epochMs(Date.now()), retained: packet.retain };
    const { qos, messageId } = packet;
    if (qos === 2) {
      // Not what we subscribed to, but some brokers do. MQTT.js has the only state of its handshake, so it waits.
      this.#queue.push(message, (error) => this.#settle(connection, error, go));
      return;
    }
    connection.inFlight.accept(message, qos === 1, (error) =>
      this.#settle(connection, error, () => {
        if (qos === 1 && messageId !== undefined) connection.acknowledgements.add(messageId);
      }),
    );
    if (this.#hasRoom()) go(LATER);
    else this.#paused = go;
  }

  #settle(connection: Connection, error: Error | undefined, acknowledge: () => void): void {
    if (!connection.open) return;
    if (error === undefined) {
      acknowledge();
      return;
    }
    this.#forget(connection);
    connection.stream.destroy(error);
  }

  #hasRoom(): boolean {
    return !this.#queue.full && this.#connection?.inFlight.holding !== true;
  }

  #resume(): void {
    const go = this.#paused;
    if (go === undefined || !this.#hasRoom()) return;
    this.#paused = undefined;
    // Outside of the pipeline's own turn.
    const connection = this.#connection;
    setImmediate(() => {
      if (connection?.open === true) go(LATER);
    });
  }

  async #subscribe(client: MqttClient): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.askedAt = performance.now();
    try {
      const granted = await client.subscribeAsync([...this.#filters], { qos: 1 });
      connection.askedAt = undefined;
      connection.heardAt = performance.now();
      const refused = granted.filter(({ qos }) => qos > 2).map(({ topic }) => topic);
      if (refused.length > 0) throw new Error(`the broker refuses the subscription to ${refused.join(', ')}`);
      this.#lastError = undefined;
      if (this.#ready) return;
      this.#ready = true;
      this.#since = epochMs(Date.now());
      this.#logger.info({ broker: this.#config.url, filters: this.#filters }, 'connected to the MQTT broker');
    } catch (error) {
      if (connection.open) this.#giveUp(connection, `cannot subscribe: ${messageOf(error)}`);
    }
  }

  /**
   * Looks after a connection on which nothing comes: whether it is alive, and whether the broker still knows what we want of it. A
   * subscription that is there already may be made again (3.8.4); retained copies that come with it are counted and not read.
   */
  #look(client: MqttClient): void {
    const connection = this.#connection;
    if (connection?.open !== true || !client.connected) return;
    const { silenceMs, answerMs } = this.#times;
    const now = performance.now();
    if (this.#paused !== undefined) {
      // MQTT.js reads no answers, not even to its pings, while it waits for room. The broker must hear of us all the same.
      connection.heardAt = now;
      client.reschedulePing(true);
      client.sendPing();
    } else if (connection.askedAt !== undefined) {
      const waitedMs = now - Math.max(connection.askedAt, connection.heardAt);
      if (waitedMs >= answerMs) this.#giveUp(connection, `the broker did not answer within ${answerMs} ms`);
    } else if (now - connection.heardAt >= silenceMs) {
      void this.#subscribe(client);
    }
  }

  /** Another connection may do better. */
  #giveUp(connection: Connection, why: string): void {
    this.#lost(why);
    this.#forget(connection);
    connection.stream.destroy();
  }

  /** Says a trouble once, however often it repeats. */
  #lost(why: string): void {
    // The reason stands in the error that comes before the end of the connection.
    const isNew = this.#ready || this.#lastError === undefined;
    if (this.#client === undefined) return;
    if (this.#ready) this.#since = epochMs(Date.now());
    if (isNew || !why.startsWith('the connection')) this.#lastError = why;
    this.#ready = false;
    if (isNew) this.#logger.warn({ broker: this.#config.url, error: why }, 'MQTT broker cannot be used; trying again');
  }
}
