import { setTimeout as sleep } from 'node:timers/promises';

import { Condition, messageOf, StartError, unlessAborted } from '@floorwatch/runtime';
import { connect, connectAsync, ErrorWithReasonCode, type IClientOptions, type MqttClient } from 'mqtt';

import type { Message } from './message.ts';

/** CONNACK codes that no retry changes: bad user name or password, not authorised. */
const REFUSED_CODES: ReadonlySet<number> = new Set([4, 5]);
const CONNECT_MS_MAX = 10_000;
const RECONNECT_MS = 500;
/** How often a person hears that the broker still can't be reached. */
const REPEAT_NOTICE_MS = 10_000;

export type Qos = 0 | 1 | 2;

export interface PublisherOptions {
  /** Shown to people; holds no user and no password. */
  readonly url: string;
  readonly qos: Qos;
  /** Messages published and not yet settled, at most. */
  readonly inFlight: number;
  /** With QoS 2, the session on the broker bears this name until the publisher closes. */
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** Certificate authority in PEM, for brokers whose certificate is not publicly trusted. */
  readonly ca?: Buffer;
  /** Hears what a person should know: waiting for the broker, connection lost, connected again. */
  readonly notice: (text: string) => void;
}

/** What became of the messages. `published − acknowledged − failed` are on the way. */
export interface PublishCounts {
  readonly published: number;
  /** Acknowledged by the broker; with QoS 0, which knows no acknowledgement, written to the connection. */
  readonly acknowledged: number;
  /** Sent again because the connection broke before they were acknowledged. */
  readonly retried: number;
  /** Refused by the client library; with QoS 0 also what was on the way when the connection broke, so that nobody knows. */
  readonly failed: number;
}

/**
 * Publishes over MQTT 3.1.1 and stays connected. A caller publishes while {@link hasRoom}, and else waits for {@link room}.
 *
 * With QoS 1 and 2 a message is settled by its acknowledgement alone, and MQTT.js sends it again after every loss of the connection.
 * It would give up what was only queued, so nothing is handed to it before it is connected and has sent again what was there.
 */
export class MqttPublisher {
  readonly #options: PublisherOptions;
  #client: MqttClient | undefined;
  /** Connected, and everything from before is sent again. */
  #online = false;
  #closing = false;
  #published = 0;
  #acknowledged = 0;
  #retried = 0;
  #failed = 0;
  /** Tells a message that is handed to MQTT.js now from one that it sends again. */
  #handing = false;
  /** Counts connections, so that QoS 0 callbacks of a lost one are not counted twice. */
  #connection = 0;
  readonly #changed = new Condition();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get counts(): PublishCounts {
    return {
      published: this.#published,
      acknowledged: this.#acknowledged,
      retried: this.#retried,
      failed: this.#failed,
    };
  }

  /** Messages published and not yet settled. */
  get inFlight(): number {
    return this.#published - this.#acknowledged - this.#failed;
  }

  /** Whether a message may be published now. */
  get hasRoom(): boolean {
    return this.#online && this.inFlight < this.#options.inFlight;
  }

  /**
   * Waits, however long it takes, until the broker accepts the connection.
   *
   * @throws StartError if the broker refuses the credentials; the signal's reason if it aborts.
   */
  async connect(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const client = connect(this.#options.url, this.#clientOptions());
    this.#client = client;
    let told = 0;
    const connected = new Promise<void>((resolve, reject) => {
      client.on('connect', () => {
        this.#cameOnline();
        resolve();
      });
      client.on('close', () => this.#wentOffline());
      client.on('packetsend', (packet) => {
        if (packet.cmd === 'publish' && !this.#handing) this.#retried += 1;
      });
      client.on('error', (error) => {
        if (this.#connection === 0 && error instanceof ErrorWithReasonCode && REFUSED_CODES.has(error.code)) {
          reject(this.#refused(error));
        } else if (!this.#closing && Date.now() - told >= REPEAT_NOTICE_MS) {
          told = Date.now();
          this.#options.notice(`waiting for the MQTT broker at ${this.#options.url}: ${messageOf(error)}`);
        }
      });
    });
    await unlessAborted(connected, signal);
  }

  /** Hands over a message; it is counted from now on. Call it only while {@link hasRoom}. */
  publish(message: Message): void {
    const connection = this.#connection;
    const { qos } = this.#options;
    this.#published += 1;
    this.#handing = true;
    this.#client?.publish(message.topic, message.payload, { qos }, (error) => {
      if (this.#closing || (qos === 0 && connection !== this.#connection)) return;
      if (error) this.#failed += 1;
      else this.#acknowledged += 1;
      this.#changed.notify();
    });
    this.#handing = false;
  }

  /** Resolves when {@link hasRoom}, or when `signal` aborts. */
  async room(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.hasRoom, signal);
  }

  /** Resolves when every message is settled, or when `signal` aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.inFlight === 0, signal);
  }

  /** Disconnects. What is still on the way then stays unknown, and {@link inFlight} says how much that is. */
  async close(): Promise<void> {
    const client = this.#client;
    if (client === undefined || this.#closing) return;
    this.#closing = true;
    const forgetSession = this.#options.qos === 2 && this.#online && this.inFlight === 0;
    await client.endAsync(this.inFlight > 0 || !client.connected).catch(() => undefined);
    if (forgetSession) await this.#forgetSession();
  }

  #clientOptions(): IClientOptions {
    const { qos, clientId, username, password, ca } = this.#options;
    return {
      protocolVersion: 4,
      clientId,
      // Only a session that outlives the connection lets the broker recognise a repeated message of QoS 2.
      clean: qos < 2,
      reconnectPeriod: RECONNECT_MS,
      connectTimeout: CONNECT_MS_MAX,
      reconnectOnConnackError: true,
      queueQoSZero: false,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(ca === undefined ? {} : { ca }),
    };
  }

  #cameOnline(): void {
    if (this.#connection > 0) this.#options.notice(`connected to the MQTT broker at ${this.#options.url} again`);
    this.#connection += 1;
    this.#online = true;
    this.#changed.notify();
  }

  #wentOffline(): void {
    if (!this.#online) return;
    this.#online = false;
    if (this.#closing) return;
    if (this.#options.qos === 0) {
      // MQTT.js forgets the callbacks of what it was still writing.
      this.#failed += this.inFlight;
      this.#connection += 1;
      this.#changed.notify();
    }
    this.#options.notice(`connection to the MQTT broker at ${this.#options.url} lost; trying again`);
  }

  /** Ends the persistent session as MQTT 3.1.1 §4.1 says: by one last connection with the clean flag. */
  async #forgetSession(): Promise<void> {
    const options = { ...this.#clientOptions(), clean: true, reconnectPeriod: 0, connectTimeout: 1_000 };
    try {
      const client = await Promise.race([
        connectAsync(this.#options.url, options, false),
        sleep(1_000, undefined, { ref: false }),
      ]);
      await client?.endAsync();
    } catch {
      // The broker is gone or busy; its own limits deal with an idle session.
    }
  }

  #refused(error: Error): StartError {
    return new StartError(
      'secret-missing',
      `the MQTT broker at ${this.#options.url} refuses this user: ${error.message}; give --username-file and ` +
        '--password-file, or set FLOORWATCH_MQTT_USERNAME and FLOORWATCH_MQTT_PASSWORD',
      { cause: error },
    );
  }
}
