import { epochMs, INGEST_STREAM, partitionFilter } from '@floorwatch/contracts';
import { pause } from '@floorwatch/runtime';
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg } from '@nats-io/jetstream';

import { streamInfo } from '../consume/ingest-stream.ts';
import { processorLimits } from '../limits.ts';
import type { StreamMessage } from '../partition.ts';

const HEARTBEAT_MS = 2_000;
const PULL_MS = 10_000;
const NANOS_PER_MS = 1_000_000n;

/** The stream as it is now. */
export interface StreamExtent {
  readonly created: string;
  readonly first: number;
  /** 0 for a stream that never held a message. */
  readonly last: number;
}

/** A stream that can be read once more, from any place to any place. */
export interface StreamPass {
  /** Undefined: there is none. */
  look(): Promise<StreamExtent | undefined>;
  /**
   * Gives the messages of one partition whose sequences are from `from` to `through`, in order and one after the other.
   *
   * @throws Error if they can't be read.
   */
  read(
    partition: number,
    range: { readonly from: number; readonly through: number },
    take: (message: StreamMessage) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
}

/** The ingest stream of a NATS server. */
export class NatsStreamPass implements StreamPass {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;

  constructor(client: JetStreamClient, manager: JetStreamManager) {
    this.#client = client;
    this.#manager = manager;
  }

  async look(): Promise<StreamExtent | undefined> {
    const info = await streamInfo(this.#manager);
    if (info === undefined) return undefined;
    return { created: info.created, first: Math.max(1, info.state.first_seq), last: info.state.last_seq };
  }

  /** A consumer that fails is made anew behind the last message, if the stream is still the same. */
  async read(
    partition: number,
    { from, through }: { readonly from: number; readonly through: number },
    take: (message: StreamMessage) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const begun = await this.look();
    let next = from;
    for (let failures = 0; next <= through && !signal.aborted;) {
      try {
        const before = next;
        next = await this.#readOnce(partition, { from: next, through }, take, signal);
        failures = next === before ? failures + 1 : 0;
      } catch (error) {
        if (error instanceof TakeFailed) throw error.cause;
        if (++failures > processorLimits.replayFailuresMax) throw error;
      }
      const now = await this.look();
      if (now?.created !== begun?.created) throw new Error('the stream was made anew meanwhile');
      if (failures > 0) await pause(processorLimits.retryPauseMs * 2 ** Math.min(failures, 5), signal);
    }
  }

  /** Returns the sequence to go on with: behind `through` if all was read. */
  async #readOnce(
    partition: number,
    { from, through }: { readonly from: number; readonly through: number },
    take: (message: StreamMessage) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<number> {
    const filter = partitionFilter(partition);
    const consumer = await this.#client.consumers.get(INGEST_STREAM.name, {
      filter_subjects: filter,
      opt_start_seq: from,
    });
    let next = from;
    try {
      if ((await consumer.info()).num_pending === 0) return through + 1;
      const messages = await consumer.consume({
        max_messages: processorLimits.prefetchMessages,
        expires: PULL_MS,
        idle_heartbeat: HEARTBEAT_MS,
        abort_on_missing_resource: true,
      });
      const stop = (): void => messages.stop();
      signal.addEventListener('abort', stop);
      void stopOnTrouble(messages);
      try {
        for await (const message of messages) {
          if (signal.aborted) break;
          if (message.seq > through) return through + 1;
          try {
            await take(asStreamMessage(message));
          } catch (error) {
            throw new TakeFailed('taking a message failed', { cause: error });
          }
          next = message.seq + 1;
          if (message.info.pending === 0) return through + 1;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        stop();
      }
      return next;
    } finally {
      consumer.delete().catch(() => undefined);
    }
  }
}

/** What went wrong is not the stream's fault: to read the message again would not help. */
class TakeFailed extends Error {}

const asStreamMessage = ({ subject, data, seq, timestampNanos }: JsMsg): StreamMessage => ({
  subject,
  data,
  sequence: seq,
  storedAt: epochMs(Number(timestampNanos / NANOS_PER_MS)),
});

async function stopOnTrouble(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) {
    if (TROUBLE.has(type)) messages.stop();
  }
}

const TROUBLE: ReadonlySet<string> = new Set([
  'reset',
  'heartbeats_missed',
  'consumer_deleted',
  'consumer_not_found',
  'stream_not_found',
  'ordered_consumer_recreated',
  'exceeded_limits',
  'no_responders',
]);
