import { epochMs, INGEST_STREAM, partitionFilter } from '@floorwatch/contracts';
import { pause, retryDelay } from '@floorwatch/runtime';
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
    const taking = async (message: StreamMessage): Promise<void> => {
      try {
        await take(message);
      } catch (error) {
        throw new HopelessError('', { cause: error });
      }
      next = message.sequence + 1;
    };
    let problem: unknown = new Error('the stream gives nothing although it holds more');
    for (let [failures, isEnd] = [0, false]; !isEnd && next <= through && !signal.aborted;) {
      const before = next;
      try {
        isEnd = await this.#readOnce(partition, { from: next, through }, taking, signal);
        if ((await this.look())?.created !== begun?.created) {
          throw new HopelessError('', { cause: new Error('the stream was made anew meanwhile') });
        }
      } catch (error) {
        if (error instanceof HopelessError) throw error.cause;
        problem = error;
      }
      if (isEnd) return;
      failures = next === before ? failures + 1 : 0;
      if (failures > processorLimits.replayFailuresMax) throw problem;
      const { retryPauseMs, retryPauseMsMax } = processorLimits;
      await pause(retryDelay({ firstMs: retryPauseMs, maxMs: retryPauseMsMax / 6 }, failures + 1), signal);
    }
  }

  /** Reads with one consumer. Returns true when all was read, false if something was odd before. */
  async #readOnce(
    partition: number,
    { from, through }: { readonly from: number; readonly through: number },
    take: (message: StreamMessage) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const filter = partitionFilter(partition);
    const consumer = await this.#client.consumers.get(INGEST_STREAM.name, {
      filter_subjects: filter,
      opt_start_seq: from,
    });
    try {
      if ((await consumer.info()).num_pending === 0) return true;
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
          if (message.seq > through) return true;
          await take(asStreamMessage(message));
          if (message.info.pending === 0) return true;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        stop();
      }
      return false;
    } finally {
      consumer.delete().catch(() => undefined);
    }
  }
}

/** To read on would not help; its cause says why. */
class HopelessError extends Error {
  override readonly name = 'HopelessError';
}

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
