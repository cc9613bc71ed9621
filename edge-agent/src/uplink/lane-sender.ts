import { ingestSubject, limits as contractLimits } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, unlessAborted } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import type { LaneLog } from '../lane-log.ts';
import { type BatchHead, composeBatch, type ComposedBatch } from './compose-batch.ts';
import type { NatsLink } from './nats-link.ts';

/** What a lane has sent, for metrics and the status page. */
export interface LaneSenderState {
  /** Records that JetStream has acknowledged. */
  readonly recordsAcknowledged: number;
  readonly batchesAcknowledged: number;
  /** Attempts that were not answered with an acknowledgement. */
  readonly failures: number;
  /** Bytes that were acknowledged. */
  readonly bytesAcknowledged: number;
}

/** The first pause after a failed attempt; each further one doubles it, up to `limits.retryMsMax`. */
const RETRY_MS = 200;

/**
 * Sends one lane: one batch in flight (stop and wait), so that the order in the stream is the order of the lane. If the outcome of
 * an attempt is unknown, the same batch goes again, for ever; the processor knows the repeat by its numbers. Nats-Msg-Id is not
 * used: JetStream answers `duplicate` to a repeat of something that it does not hold any more.
 */
export class LaneSender {
  readonly #head: BatchHead;
  readonly #subject: string;
  readonly #log: LaneLog;
  readonly #link: NatsLink;
  readonly #logger: Logger;
  #state = { recordsAcknowledged: 0, batchesAcknowledged: 0, failures: 0, bytesAcknowledged: 0 };

  constructor(head: BatchHead, log: LaneLog, link: NatsLink, logger: Logger) {
    this.#head = head;
    this.#subject = ingestSubject(head);
    this.#log = log;
    this.#link = link;
    this.#logger = logger;
  }

  /** Sends until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const items = this.#log.read(this.#log.first, contractLimits.batchBytesMax, contractLimits.recordsPerBatchMax);
      if (items.length === 0) {
        await this.#log.waitForItem(this.#log.first, signal);
        continue;
      }
      const batch = composeBatch(this.#head, items);
      if (!(await this.#sendUntilAcknowledged(batch, signal))) return;
      this.#log.release(batch.to);
      this.#state.batchesAcknowledged += 1;
      this.#state.recordsAcknowledged += batch.to - batch.from + 1;
      this.#state.bytesAcknowledged += batch.bytes.length;
    }
  }

  state(): LaneSenderState {
    return { ...this.#state };
  }

  /** False: `signal` aborted before the batch was acknowledged. */
  async #sendUntilAcknowledged(batch: ComposedBatch, signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      // What is published while disconnected would wait in the client's memory, once per attempt.
      await this.#link.whenConnected(signal);
      if (signal.aborted) return false;
      try {
        // A server that has stopped answering must not hold up the stop.
        await unlessAborted(this.#link.publish(this.#subject, batch.bytes), signal);
        if (attempt > 1) this.#logger.info({ lane: this.#head.lane, attempt }, 'NATS takes data again');
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        this.#state.failures += 1;
        const facts = { lane: this.#head.lane, from: batch.from, to: batch.to, attempt, error: messageOf(error) };
        if (attempt === 1) this.#logger.warn(facts, 'NATS did not acknowledge a batch; sending it again until it does');
        else this.#logger.debug(facts, 'NATS still does not acknowledge the batch');
        await pause(
          Math.min(limits.retryMsMax, RETRY_MS * 2 ** Math.min(attempt - 1, 10)) * (0.5 + Math.random() / 2),
          signal,
        );
      }
    }
  }
}
