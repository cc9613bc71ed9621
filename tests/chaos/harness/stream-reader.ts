import { INGEST_STREAM } from '@floorwatch/contracts';
import { type JetStreamManager, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';

import type { StreamOracle } from './stream-oracle.ts';

const ANSWER_MS_MAX = 300;

/** Reads the ingest stream message by message into an oracle, each one once. */
export class StreamReader {
  readonly oracle: StreamOracle;
  readonly #connection: NatsConnection;
  readonly #manager: JetStreamManager;
  #next = 1;

  private constructor(oracle: StreamOracle, connection: NatsConnection, manager: JetStreamManager) {
    this.oracle = oracle;
    this.#connection = connection;
    this.#manager = manager;
  }

  static async connect(natsUrl: string, oracle: StreamOracle): Promise<StreamReader> {
    const connection = await connect({ servers: natsUrl, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    return new StreamReader(oracle, connection, await jetstreamManager(connection));
  }

  /** Takes what has come since the last call. */
  async read(): Promise<void> {
    const { state } = await this.#manager.streams.info(INGEST_STREAM.name);
    if (state.messages === 0) return;
    if (state.first_seq > this.#next) throw new Error(`messages before ${state.first_seq} are gone unread`);
    for (; this.#next <= state.last_seq; this.#next++) {
      const message = await this.#manager.streams.getMessage(INGEST_STREAM.name, { seq: this.#next });
      if (message === null) throw new Error(`message ${this.#next} is gone`);
      this.oracle.take({ sequence: message.seq, subject: message.subject, data: message.data });
    }
  }

  /** The stream as it stands now. @throws Error soon if the server does not answer, as where the connection was just lost. */
  async look(): Promise<StreamInfo> {
    const impatient = await jetstreamManager(this.#connection, { timeout: ANSWER_MS_MAX, checkAPI: false });
    return impatient.streams.info(INGEST_STREAM.name);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}

/** Makes the ingest stream, where no processor does it. */
export async function createIngestStream(natsUrl: string): Promise<void> {
  const connection = await connect({ servers: natsUrl });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: INGEST_STREAM.name, subjects: [...INGEST_STREAM.subjects] });
  await connection.close();
}
