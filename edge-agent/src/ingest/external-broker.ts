import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { type Delivery, epochMs, type Source } from '@floorwatch/contracts';
import { type Logger, messageOf, readSecret, readTlsFiles, type TlsFiles, type TlsTexts } from '@floorwatch/runtime';
import { MqttClient } from 'mqtt';

import { limits } from '../limits.ts';
import type { BrokerState } from './broker-state.ts';
import { MessageQueue, type Settle } from './message-queue.ts';
import { limitPackets } from './packet-limiter.ts';
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
}

const RECONNECT_MS = 1_000;

type IncomingPacket = Parameters<MqttClient['handleMessage']>[0];
type Done = (error?: Error) => void;

/**
 * A broker somewhere else. Messages come at QoS 1 within a session that the broker keeps (`clean: false`): what this agent has not
 * acknowledged it delivers again. Connecting goes on for ever in the background; {@link state} tells how it is.
 */
export class ExternalBroker implements Source<RawMessage> {
  readonly #config: ExternalBrokerConfig;
  readonly #filters: readonly string[];
  readonly #logger: Logger;
  readonly #queue = new MessageQueue();
  #client: MqttClient | undefined;
  #ready = false;
  #since = epochMs(Date.now());
  #lastError: string | undefined;
  /** Counts connections, so that an acknowledgement never goes to another one than its message came from. */
  #connection = 0;

  /** @param filters what to subscribe to. */
  constructor(config: ExternalBrokerConfig, filters: readonly string[], logger: Logger) {
    this.#config = config;
    this.#filters = filters;
    this.#logger = logger;
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
      reconnectPeriod: RECONNECT_MS * (1 + Math.random()),
      connectTimeout: 10_000,
      keepalive: 30,
      manualConnect: true,
      protocolVersion: 4,
      ...(user === undefined ? {} : { username: user }),
      ...(password === undefined ? {} : { password }),
    });
    client.handleMessage = (packet, done) => this.#accept(client, packet, done ?? (() => undefined));
    client.on('connect', () => void this.#subscribe(client));
    client.on('close', () => this.#lost('the connection is closed'));
    client.on('error', (error) => this.#lost(messageOf(error)));
    this.#client = client;
    client.connect();
  }

  deliveries(signal: AbortSignal): AsyncIterable<Delivery<RawMessage>> {
    return this.#queue.deliveries(signal);
  }

  /** Lets what has been received pass the pipeline for a bounded time, then disconnects. The broker keeps the rest. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#queue.end();
    if (client === undefined) return;
    await this.#queue.whenDrained(limits.drainMsMax);
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

  #open(certificates: TlsTexts): Socket {
    this.#connection += 1;
    const { protocol, hostname, port } = new URL(this.#config.url);
    // An IPv6 address stands in brackets in a URL only.
    const host = hostname.replace(/^\[|\]$/g, '');
    const secure = protocol === 'mqtts:';
    const at = { host, port: port === '' ? (secure ? 8883 : 1883) : Number(port) };
    const socket = secure ? connectTls({ ...at, servername: host, ...certificates }) : connectTcp(at);
    limitPackets(socket, limits.packetBytesMax);
    return socket;
  }

  #accept(client: MqttClient, packet: IncomingPacket, done: Done): void {
    // After the queue has ended nothing is acknowledged, and the broker keeps it.
    if (this.#client === undefined) return;
    const connection = this.#connection;
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const message = { topic: packet.topic, payload, receivedAt: epochMs(Date.now()), retained: packet.retain };
    const settle: Settle = (error) => {
      if (connection !== this.#connection) return;
      if (error === undefined) done();
      else client.stream.destroy(error);
    };
    // A message that needs no acknowledgement need not wait for one, unless there is no room for the next.
    if (packet.qos === 0 && !this.#queue.full) {
      this.#queue.push(message, () => undefined);
      done();
    } else this.#queue.push(message, settle);
  }

  async #subscribe(client: MqttClient): Promise<void> {
    try {
      const granted = await client.subscribeAsync([...this.#filters], { qos: 1 });
      const refused = granted.filter(({ qos }) => qos > 2).map(({ topic }) => topic);
      if (refused.length > 0) throw new Error(`the broker refuses the subscription to ${refused.join(', ')}`);
      this.#ready = true;
      this.#since = epochMs(Date.now());
      this.#lastError = undefined;
      this.#logger.info({ broker: this.#config.url, filters: this.#filters }, 'connected to the MQTT broker');
    } catch (error) {
      this.#lost(`cannot subscribe: ${messageOf(error)}`);
    }
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
