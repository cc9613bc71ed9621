import { type EpochMs, epochMs, INGEST_STREAM, limits as contractLimits } from '@floorwatch/contracts';
import { Condition, connectNats, type Logger, messageOf, type NatsConfig, pause } from '@floorwatch/runtime';
import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { type NatsConnection, PermissionViolationError, RequestError } from '@nats-io/transport-node';

import { limits } from '../limits.ts';

/** How the connection to NATS is, for the status page. */
export interface NatsState {
  readonly servers: readonly string[];
  readonly connected: boolean;
  /** Since when `connected` is what it is. */
  readonly since: EpochMs;
  /** What went wrong last, in words; gone when something worked again. */
  readonly lastError?: string;
}

/** How long a start waits for NATS, so that wrong credentials end it and a quick server is there from the first batch. */
const FIRST_CONNECT_MS = 1_000;

/** One connection to NATS, made and kept in the background: the agent works without it. */
export class NatsLink {
  readonly #config: NatsConfig;
  readonly #name: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #connection: NatsConnection | undefined;
  #jetstream: JetStreamClient | undefined;
  #connected = false;
  #since = epochMs(Date.now());
  #lastError: string | undefined = 'not connected yet';
  #attempt: Promise<void> = Promise.resolve();
  readonly #changed = new Condition();

  /** @param name how the server's own lists call the connection. */
  constructor(config: NatsConfig, name: string, logger: Logger) {
    this.#config = config;
    this.#name = name;
    this.#logger = logger;
  }

  /** Begins to connect, and waits a moment for it. @throws StartError if credentials can't be read. */
  async connect(): Promise<void> {
    this.#attempt = this.#establish();
    // A failure is thrown to the caller below if it comes in time; the state tells of a later one.
    this.#attempt.catch((error: unknown) => this.#fail(error));
    const waited = new AbortController();
    await Promise.race([this.#attempt, pause(FIRST_CONNECT_MS, waited.signal)]);
    waited.abort();
  }

  /** Resolves when connected, or when `signal` aborts. */
  async whenConnected(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.#connected, signal);
  }

  /**
   * Publishes to the ingest stream and waits until JetStream says that it has the message.
   *
   * @throws whatever went wrong. The outcome is then unknown: the message may be in the stream all the same.
   */
  async publish(subject: string, bytes: Uint8Array): Promise<void> {
    try {
      if (this.#jetstream === undefined) throw new Error('not connected to NATS');
      await this.#jetstream.publish(subject, bytes, {
        timeout: limits.publishMsMax,
        // Another stream that listens to the subject by mistake must not take the batch in its place.
        expect: { streamName: INGEST_STREAM.name },
      });
      this.#lastError = undefined;
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  state(): NatsState {
    return {
      servers: this.#config.servers,
      connected: this.#connected,
      since: this.#since,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('closed'));
    await this.#attempt.catch(() => undefined);
    await this.#connection?.close();
    this.#setConnected(false);
  }

  async #establish(): Promise<void> {
    const connection = await connectNats(this.#config, this.#name, this.#logger, this.#stop.signal, (error) =>
      this.#fail(error),
    );
    this.#connection = connection;
    this.#jetstream = jetstream(connection);
    this.#lastError = undefined;
    this.#setConnected(true);
    const server = connection.getServer();
    this.#logger.info({ server }, 'connected to NATS');
    const accepted = connection.info?.max_payload;
    if (accepted !== undefined && accepted < contractLimits.batchBytesMax) {
      const remedy = `raise max_payload of the NATS server to at least ${contractLimits.batchBytesMax}`;
      this.#lastError = `batches of up to ${contractLimits.batchBytesMax} bytes will not pass: ${remedy} (it is ${accepted})`;
      this.#logger.error({ server, accepted }, this.#lastError);
    }
    void this.#watch(connection);
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        this.#fail(new Error(`connection to ${status.server} lost`));
        this.#setConnected(false);
      } else if (status.type === 'reconnect') {
        this.#lastError = undefined;
        this.#setConnected(true);
      } else if (status.type === 'error') this.#fail(status.error);
    }
    this.#setConnected(false);
  }

  #fail(error: unknown): void {
    this.#lastError = describe(error);
  }

  #setConnected(connected: boolean): void {
    if (connected !== this.#connected) this.#since = epochMs(Date.now());
    this.#connected = connected;
    this.#changed.notify();
  }
}

/** An error of the NATS client in words that name the remedy where there is one. */
function describe(error: unknown): string {
  const chain = [error, error instanceof Error ? error.cause : undefined];
  const denied = chain.find((one) => one instanceof PermissionViolationError);
  if (denied !== undefined) {
    const right = denied.operation === 'publish' ? 'publish to' : 'subscribe to';
    return `NATS refuses: ${denied.message}; give this user the right to ${right} ${denied.subject}`;
  }
  // The client then says that JetStream is not enabled, but usually it is the stream that is missing.
  if (chain.some((one) => one instanceof RequestError && one.isNoResponders())) {
    return 'no stream takes the data; the cloud processor makes it when it starts, on a NATS server with JetStream';
  }
  return messageOf(error);
}
