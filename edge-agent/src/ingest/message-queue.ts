import type { Delivery } from '@floorwatch/contracts';
import { Condition } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import { readingsAtMost } from './payload-parts.ts';
import type { RawMessage } from './raw-message.ts';

/** Tells the broker what became of a message: nothing if it is safe, an error if it was not kept. */
export type Settle = (error?: Error) => void;

interface Pending {
  readonly message: RawMessage;
  readonly readings: number;
  readonly settle: Settle;
}

/**
 * Between a broker, which pushes, and the pipeline, which pulls: hands on everything that arrived since the last delivery, in
 * order. It never refuses; brokers look at {@link full} and stop reading from their sockets, so that what they have in hand
 * (one chunk of at most 64 KiB per connection) is all that can pass the limit.
 */
export class MessageQueue {
  #pending: Pending[] = [];
  #bytes = 0;
  #unsettled = 0;
  #ended = false;
  readonly #changed = new Condition();
  readonly #onChange: () => void;

  /** @param onChange called when messages have been taken or settled; the place to go on reading when there is room again. */
  constructor(onChange: () => void = () => undefined) {
    this.#onChange = onChange;
  }

  /** Whether nothing more should be read for now. */
  get full(): boolean {
    return this.#pending.length >= limits.pendingMessagesMax || this.#bytes >= limits.pendingBytesMax;
  }

  /** Whether every message has been handed on and settled. */
  get drained(): boolean {
    return this.#pending.length === 0 && this.#unsettled === 0;
  }

  /** Messages waiting to be handed on. */
  get length(): number {
    return this.#pending.length;
  }

  /** @param readings how many the message can hold at most. */
  push(message: RawMessage, settle: Settle, readings = readingsAtMost(message.payload)): void {
    this.#pending.push({ message, readings, settle });
    this.#bytes += bytesOf(message);
    this.#changed.notify();
  }

  /** Pushes a message; resolves when it is safe, and rejects if it was refused or can't be taken any more. */
  async submit(message: RawMessage): Promise<void> {
    if (this.#ended) throw new Error('nothing more is taken: the agent is stopping');
    return new Promise((resolve, reject) => {
      this.push(message, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Nothing more will be pushed: deliveries end when the rest has been handed on. */
  end(): void {
    this.#ended = true;
    this.#changed.notify();
  }

  /** Resolves when {@link drained}, or after `ms`. */
  async whenDrained(ms: number): Promise<void> {
    await this.#changed.until(() => this.drained, AbortSignal.timeout(ms));
  }

  /** Ends at once when `signal` aborts, and after the last message when the queue has ended. */
  async *deliveries(signal: AbortSignal): AsyncGenerator<Delivery<RawMessage>, void, undefined> {
    while (!signal.aborted) {
      if (this.#pending.length > 0) yield this.#take();
      else if (this.#ended) return;
      else await this.#changed.until(() => this.#pending.length > 0 || this.#ended, signal);
    }
  }

  /** How many messages make a delivery: those that hold no more readings together than it may have, and always one. */
  #deliverable(): number {
    let readings = 0;
    const end = Math.min(this.#pending.length, limits.deliveryReadingsMax);
    for (let count = 0; count < end; count++) {
      readings += this.#pending[count]!.readings;
      if (readings > limits.deliveryReadingsMax) return Math.max(1, count);
    }
    return end;
  }

  #take(): Delivery<RawMessage> {
    const count = this.#deliverable();
    const taken = this.#pending.length <= count ? this.#pending : this.#pending.slice(0, count);
    this.#pending = taken === this.#pending ? [] : this.#pending.slice(taken.length);
    // What is left of them until they are settled: messages are gone as soon as they are read.
    const settles = taken.map(({ settle }) => settle);
    for (const { message } of taken) this.#bytes -= bytesOf(message);
    this.#unsettled += settles.length;
    this.#onChange();
    let settled = false;
    const settleAll = (error?: Error): void => {
      if (settled) throw new Error('a delivery is settled once');
      settled = true;
      this.#unsettled -= settles.length;
      for (const settle of settles) settle(error);
      this.#onChange();
      this.#changed.notify();
    };
    return {
      items: taken.map(({ message }) => message),
      ack: async () => settleAll(),
      nack: async (why) => settleAll(why),
    };
  }
}

/** What a message holds while it waits; a topic may be as long as a payload. */
const bytesOf = ({ topic, payload }: RawMessage): number => topic.length + payload.length;
