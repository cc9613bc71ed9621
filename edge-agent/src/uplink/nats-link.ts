import {
  type EpochMs,
  epochMs,
  gatewayInbox,
  gatewayKey,
  type GatewayName,
  INGEST_STREAM,
  limits as contractLimits,
} from '@floorwatch/contracts';
import {
  Condition,
  connectNats,
  type Logger,
  messageOf,
  type NatsConfig,
  pause,
  unlessAborted,
} from '@floorwatch/runtime';
import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { type NatsConnection, PermissionViolationError, RequestError, TimeoutError } from '@nats-io/transport-node';

import { limits } from '../limits.ts';

/** How the connection to NATS is, for the status page. */
export interface NatsState {
  readonly servers: readonly string[];
  readonly connected: boolean;
  /** Since when `connected` is what it is. */
  readonly since: EpochMs;
  /** What does not work now, in words with the remedy; absent: everything works as far as it was tried. */
  readonly lastError?: string;
}

/** What JetStream says of a message that it has. */
export interface Acknowledgement {
  /** Its place in the stream. */
  readonly seq: number;
}

/** What can fail apart from the rest, the most important first. */
const TRIED = ['connection', 'publish', 'subscribe'] as const;
type Tried = (typeof TRIED)[number];

/** How long a start waits for NATS, so that wrong credentials end it and a quick server is there from the first batch. */
const FIRST_CONNECT_MS = 1_000;
/** What a message may have besides its payload, as the server counts: one header. */
const HEADER_BYTES_MAX = 256;

/** One connection to NATS, made and kept in the background: the agent works without it. */
export class NatsLink {
  readonly #config: NatsConfig;
  readonly #name: string;
  readonly #inbox: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #connection: NatsConnection | undefined;
  #jetstream: JetStreamClient | undefined;
  #connected = false;
  /** Aborts when the connection that stands now is lost. */
  #lost = new AbortController();
  #since = epochMs(Date.now());
  /** What does not work now, in words, by what was tried: what works again does not hide what does not. */
  readonly #faults = new Map<Tried, string>([['connection', 'not connected yet']]);
  #attempt: Promise<void> = Promise.resolve();
  readonly #listening: Promise<void>[] = [];
  readonly #changed = new Condition();

  /** @param gateway which the server's own lists name, and whose rights suffice. */
  constructor(config: NatsConfig, gateway: GatewayName, logger: Logger) {
    this.#config = config;
    this.#name = `floorwatch-agent ${gatewayKey(gateway)}`;
    this.#inbox = gatewayInbox(gateway);
    this.#logger = logger;
  }

  /** Begins to connect, and waits a moment for it. @throws StartError if credentials can't be read. */
  async connect(): Promise<void> {
    this.#attempt = this.#establish();
    // A failure is thrown to the caller below if it comes in time; the state tells of a later one.
    this.#attempt.catch((error: unknown) => this.#fail('connection', error));
    const waited = new AbortController();
    await Promise.race([this.#attempt, pause(FIRST_CONNECT_MS, waited.signal)]);
    waited.abort();
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** Resolves when connected, or when `signal` aborts. */
  async whenConnected(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.#connected, signal);
  }

  /** What a batch may have: the contract's limit, or less if the server takes less. */
  get batchBytesMax(): number {
    const accepted = this.#connection?.info?.max_payload ?? Infinity;
    return Math.min(contractLimits.batchBytesMax, accepted - HEADER_BYTES_MAX);
  }

  /**
   * Publishes to the ingest stream and waits until JetStream says that it has the message.
   *
   * @throws whatever went wrong. The outcome is then unknown: the message may be in the stream all the same.
   */
  async publish(subject: string, bytes: Uint8Array): Promise<Acknowledgement> {
    try {
      if (this.#jetstream === undefined) throw new Error('not connected to NATS');
      if (bytes.length > this.batchBytesMax) throw new Error(this.#tooLarge(bytes.length));
      const answer = this.#jetstream.publish(subject, bytes, {
        timeout: limits.publishMsMax,
        // Another stream that listens to the subject by mistake must not take the batch in its place.
        expect: { streamName: INGEST_STREAM.name },
      });
      // An answer that was on its way when the connection broke never comes; the client would wait for it all the same.
      const { seq } = await unlessAborted(answer, this.#lost.signal);
      this.#faults.delete('publish');
      return { seq };
    } catch (error) {
      this.#fail('publish', error);
      throw new Error(describe(error), { cause: error });
    }
  }

  /** Hears everything that is published to `subject` from now on, through lost connections and refused rights, until the link closes. */
  subscribe(subject: string, onMessage: (bytes: Uint8Array) => void): void {
    this.#listening.push(this.#listen(subject, onMessage));
  }

  state(): NatsState {
    const { servers } = this.#config;
    const [lastError] = TRIED.flatMap((what) => this.#faults.get(what) ?? []);
    const state = { servers, connected: this.#connected, since: this.#since };
    return lastError === undefined ? state : { ...state, lastError };
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('closed'));
    await this.#attempt.catch(() => undefined);
    await this.#connection?.close();
    await Promise.all(this.#listening);
    this.#setConnected(false);
  }

  async #establish(): Promise<void> {
    const connection = await connectNats(
      this.#config,
      this.#name,
      this.#inbox,
      this.#logger,
      this.#stop.signal,
      (error) => this.#fail('connection', error),
    );
    this.#connection = connection;
    this.#jetstream = jetstream(connection);
    this.#setConnected(true);
    this.#logger.info({ server: connection.getServer() }, 'connected to NATS');
    void this.#watch(connection);
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        this.#fail('connection', new Error(`connection to ${status.server} lost`));
        this.#setConnected(false);
      } else if (status.type === 'reconnect') this.#setConnected(true);
      else if (status.type === 'error') this.#refused(status.error);
    }
    this.#setConnected(false);
  }

  /** The client keeps a subscription through lost connections; only a refusal ends it, and then it is asked for again. */
  async #listen(subject: string, onMessage: (bytes: Uint8Array) => void): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await this.whenConnected(signal);
      const connection = this.#connection;
      if (signal.aborted || connection === undefined) return;
      try {
        const subscription = connection.subscribe(subject, {
          callback: (error, message) => {
            if (error !== null) return;
            this.#faults.delete('subscribe');
            onMessage(message.data);
          },
        });
        const ended = await unlessAborted(subscription.closed, signal);
        if (ended instanceof Error) this.#fail('subscribe', ended);
      } catch (error) {
        if (!signal.aborted) this.#fail('subscribe', error);
      }
      await pause(limits.resubscribeMs, signal);
    }
  }

  /** Errors that the server tells of on its own: a refused publish is one, and its request then only times out. */
  #refused(error: Error): void {
    const isSubscribe = error instanceof PermissionViolationError && error.operation === 'subscription';
    this.#fail(isSubscribe ? 'subscribe' : this.#connected ? 'publish' : 'connection', error);
  }

  #fail(what: Tried, error: unknown): void {
    const isRefused = this.#connected && this.#faults.get(what)?.startsWith(REFUSED) === true;
    // That a request timed out says less than the refusal behind it.
    if (isRefused && causes(error).some((one) => one instanceof TimeoutError)) return;
    this.#faults.set(what, describe(error));
  }

  #tooLarge(bytes: number): string {
    const remedy = `raise max_payload of the NATS server to at least ${contractLimits.batchBytesMax + HEADER_BYTES_MAX}`;
    return `one record alone has ${bytes} bytes, more than the server takes (${this.batchBytesMax}): ${remedy}`;
  }

  #setConnected(connected: boolean): void {
    if (connected !== this.#connected) this.#since = epochMs(Date.now());
    if (connected) this.#lost = new AbortController();
    else this.#lost.abort(new Error('the connection to NATS was lost before it answered'));
    this.#connected = connected;
    // Rights may be others on another connection.
    if (connected) this.#faults.clear();
    this.#changed.notify();
  }
}

const REFUSED = 'NATS refuses: ';

const causes = (error: unknown): unknown[] => [error, error instanceof Error ? error.cause : undefined];

/** An error of the NATS client in words that name the remedy where there is one. */
function describe(error: unknown): string {
  const chain = causes(error);
  const denied = chain.find((one) => one instanceof PermissionViolationError);
  if (denied !== undefined) {
    const right = denied.operation === 'publish' ? 'publish to' : 'subscribe to';
    return `${REFUSED}${denied.message}; give this user the right to ${right} ${denied.subject}`;
  }
  // The client then says that JetStream is not enabled, but usually it is the stream that is missing.
  if (chain.some((one) => one instanceof RequestError && one.isNoResponders())) {
    return 'no stream takes the data; the cloud processor makes it when it starts, on a NATS server with JetStream';
  }
  if (chain.some((one) => one instanceof TimeoutError)) {
    return (
      `JetStream has not answered within ${limits.publishMsMax / 1_000} s; if that lasts, look at the log and the disk of nats-server: ` +
      'once the disk was full, it takes nothing until it is restarted'
    );
  }
  return messageOf(error);
}
