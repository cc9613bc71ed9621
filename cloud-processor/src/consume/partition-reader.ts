import { crc32 } from 'node:zlib';

import { INGEST_STREAM, partitionFilter } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, retryDelay, StartError } from '@floorwatch/runtime';
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg } from '@nats-io/jetstream';

import { processorLimits } from '../limits.ts';
import { chooseStart, type StartDecision, type StreamCursor } from './generation.ts';
import { ensureIngestStream, streamInfo, type StreamLimits } from './ingest-stream.ts';

/** A consumer that hears nothing at all for twice this long is made anew. */
const HEARTBEAT_MS = 2_000;
const PULL_MS = 10_000;

/** What reading works on: a partition, seen from here. */
export interface ReadTarget {
  readonly number: number;
  readonly cursor: StreamCursor;
  /** The stream is another one than remembered, or was trimmed: reading begins elsewhere. */
  moveTo(cursor: StreamCursor): void;
  apply(message: JsMsg): void;
  /** False while there is no room for what a message may cause. */
  hasRoom(): boolean;
  /** Resolves when there is room again, or when `signal` aborts. */
  roomAgain(signal: AbortSignal): Promise<void>;
}

/**
 * Reads one partition of the stream in order, from the cursor on, for ever. Acknowledgements are not used: the checkpoint knows the
 * position.
 *
 * The client can make an ordered consumer anew by itself, but starts it behind the last message it saw, which is wrong when the stream
 * was lost meanwhile. So any sign of trouble ends the consumer, and the next one starts where a fresh look at the stream says.
 */
export class PartitionReader {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #limits: StreamLimits;
  readonly #target: ReadTarget;
  readonly #logger: Logger;
  /** How often reading began somewhere else than behind the position, by reason. */
  readonly moves = new Map<StartDecision['why'], number>();
  restarts = 0;
  /** Whether a consumer stands. */
  reading = false;
  #stopReading: (() => void) | undefined;

  constructor(options: {
    readonly client: JetStreamClient;
    readonly manager: JetStreamManager;
    readonly limits: StreamLimits;
    readonly target: ReadTarget;
    readonly logger: Logger;
  }) {
    this.#client = options.client;
    this.#manager = options.manager;
    this.#limits = options.limits;
    this.#target = options.target;
    this.#logger = options.logger;
  }

  /** Reads until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      await this.#target.roomAgain(signal);
      try {
        await this.#readOnce(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        const { retryPauseMs, retryPauseMsMax } = processorLimits;
        const wait = retryDelay({ firstMs: retryPauseMs, maxMs: retryPauseMsMax / 6 }, ++failures);
        const facts = { partition: this.#target.number, error: messageOf(error), retryInMs: Math.round(wait) };
        if (error instanceof StartError) this.#logger.error(facts, 'the stream can not be used; trying again');
        else this.#logger.warn(facts, 'reading the stream was interrupted; trying again');
        await pause(wait, signal);
      }
      this.restarts++;
    }
  }

  /** Looks at the stream again before reading on. To be called after every reconnect. */
  lookAgain(): void {
    this.#stopReading?.();
  }

  /** Reads with one consumer until something is odd, there is no room, or `signal` aborts. */
  async #readOnce(signal: AbortSignal): Promise<void> {
    const { from, created } = await this.#findStart();
    const consumer = await this.#client.consumers.get(INGEST_STREAM.name, {
      filter_subjects: partitionFilter(this.#target.number),
      opt_start_seq: from,
    });
    try {
      // The stream may have been made anew between the look at it and the consumer.
      if ((await streamInfo(this.#manager))?.created !== created || signal.aborted) return;
      const messages = await consumer.consume({
        max_messages: processorLimits.prefetchMessages,
        // The client would ask for more after every fourth message, and each question is a write to the socket.
        threshold_messages: processorLimits.prefetchMessages / 2,
        expires: PULL_MS,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
      });
      await this.#readMessages(messages, signal);
    } finally {
      this.reading = false;
      // The server drops what can not be told to it now after five minutes.
      consumer.delete().catch(() => undefined);
    }
  }

  async #readMessages(messages: ConsumerMessages, signal: AbortSignal): Promise<void> {
    const stop = (): void => messages.stop();
    signal.addEventListener('abort', stop);
    void stopOnTrouble(messages, stop);
    this.#stopReading = stop;
    this.reading = true;
    try {
      for await (const message of messages) {
        if (signal.aborted) return;
        this.#target.apply(message);
        if (!this.#target.hasRoom()) return;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#stopReading = undefined;
      stop();
    }
  }

  async #findStart(): Promise<{ readonly from: number; readonly created: string }> {
    const { cursor } = this.#target;
    const info = (await streamInfo(this.#manager)) ?? (await ensureIngestStream(this.#manager, this.#limits));
    const { first_seq: firstSequence, last_seq: lastSequence } = info.state;
    const present =
      info.created === cursor.created &&
      Math.max(1, firstSequence) <= cursor.position &&
      cursor.position <= lastSequence;
    const stored = present
      ? await this.#manager.streams.getMessage(INGEST_STREAM.name, { seq: cursor.position })
      : null;
    const digestAtPosition = stored === null ? null : crc32(stored.data);
    const start = chooseStart(cursor, { created: info.created, firstSequence, lastSequence, digestAtPosition });
    if (start.why !== 'continue') this.#tellMove(start, cursor, info.created);
    return { from: start.from, created: info.created };
  }

  #tellMove(start: StartDecision, cursor: StreamCursor, created: string): void {
    this.#target.moveTo({ created, position: start.from - 1, digest: null });
    if (start.why === 'first-start') return;
    this.moves.set(start.why, (this.moves.get(start.why) ?? 0) + 1);
    this.#logger.warn(
      {
        partition: this.#target.number,
        why: start.why,
        position: cursor.position,
        readingFrom: start.from,
        streamCreated: created,
      },
      'the stream lost messages behind the position of this processor; reading from its first message; gateways send again what is missing',
    );
  }
}

async function stopOnTrouble(messages: ConsumerMessages, stop: () => void): Promise<void> {
  for await (const { type } of messages.status()) {
    switch (type) {
      case 'reset':
      case 'heartbeats_missed':
      case 'consumer_deleted':
      case 'consumer_not_found':
      case 'stream_not_found':
      case 'ordered_consumer_recreated':
      case 'exceeded_limits':
      case 'no_responders':
        stop();
        break;
      case 'consumer_pinned':
      case 'consumer_unpinned':
      case 'debug':
      case 'discard':
      case 'flow_control':
      case 'heartbeat':
      case 'next':
        break;
    }
  }
}
