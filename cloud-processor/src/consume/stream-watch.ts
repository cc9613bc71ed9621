import { STREAM_PROBE_SUBJECT } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, StartError } from '@floorwatch/runtime';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';

import { processorLimits } from '../limits.ts';
import { ensureIngestStream, type StreamLimits } from './ingest-stream.ts';

/**
 * Looks from time to time whether the stream still takes and keeps what gateways send. They can't tell the processor when it doesn't.
 *
 * Two things go wrong without a sign: a nats-server whose disk was full answers no publish to the stream from then on, also when there is room again,
 * until it is restarted; and a stream that someone has made smaller than a batch acknowledges batches that it throws away at once. The second is
 * mended here, the first is tried out with a small message of our own, whenever nothing has come since the last look.
 */
export class StreamWatch {
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #limits: StreamLimits;
  readonly #logger: Logger;
  readonly #answerMs: number;
  #lastSequence = -1;
  #failed = 0;
  #problem: string | undefined;

  constructor(options: {
    readonly client: JetStreamClient;
    readonly manager: JetStreamManager;
    readonly limits: StreamLimits;
    readonly logger: Logger;
    /** How long the stream may take to answer. Default: `streamAnswerMs`. */
    readonly answerMs?: number;
  }) {
    this.#client = options.client;
    this.#manager = options.manager;
    this.#limits = options.limits;
    this.#logger = options.logger;
    this.#answerMs = options.answerMs ?? processorLimits.streamAnswerMs;
  }

  /** What is wrong and what to do, for a person; undefined: nothing that is known. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Looks every `streamLookMs` until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(processorLimits.streamLookMs, signal);
      if (!signal.aborted) await this.look();
    }
  }

  async look(): Promise<void> {
    const problem = await this.#find();
    if (problem !== undefined && problem !== this.#problem) this.#logger.error({}, `the stream: ${problem}`);
    if (problem === undefined && this.#problem !== undefined) this.#logger.info({}, 'the stream takes messages again');
    this.#problem = problem;
  }

  async #find(): Promise<string | undefined> {
    try {
      const { state } = await ensureIngestStream(this.#manager, this.#limits);
      if (state.last_seq === this.#lastSequence) await this.#probe();
      else this.#lastSequence = state.last_seq;
      this.#failed = 0;
      return undefined;
    } catch (error) {
      if (error instanceof StartError) return error.message;
      // One answer may get lost, as while a server restarts.
      this.#failed += 1;
      return this.#failed < 2 ? this.#problem : `takes no messages (${messageOf(error)}). What to do: ${REMEDY}`;
    }
  }

  async #probe(): Promise<void> {
    const { seq } = await this.#client.publish(STREAM_PROBE_SUBJECT, '', { timeout: this.#answerMs });
    this.#lastSequence = seq;
  }
}

const REMEDY =
  'look at the log and the disk of nats-server; once a disk was full, it takes nothing until it is restarted, so make room and restart it. ' +
  `Else see whether this user may publish to ${STREAM_PROBE_SUBJECT}. Gateways keep everything meanwhile (docs/runbooks/nats.md)`;
