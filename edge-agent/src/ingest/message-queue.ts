import type { Delivery } from '@floorwatch/contracts';
import { Condition } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import { type Lane, MessageLanes, waitingIn } from './message-lanes.ts';
import { readingsAtMost } from './payload-parts.ts';
import type { RawMessage } from './raw-message.ts';

/** Tells the broker what became of a message: nothing if it is safe, an error if it was not kept. */
export type Settle = (error?: Error) => void;

interface Pending {
  readonly message: RawMessage;
  readonly readings: number;
  readonly bytes: number;
  readonly settle: Settle;
}

/**
 * Between a broker, which pushes, and the pipeline, which pulls: hands on everything that arrived since the last delivery, of each sender in
 * order; senders take turns. It never refuses; brokers look at {@link full} or {@link isHeld} and stop reading from their sockets, so that what
 * they have in hand (one chunk of at most 64 KiB per connection) is all that can pass the limit.
 */
export class MessageQueue {
  readonly #lanes: MessageLanes<Pending>;
  #unsettled = 0;
  #ended = false;
  readonly #changed = new Condition();
  readonly #onChange: () => void;

  /**
   * @param onChange called when messages have been taken or settled; the place to go on reading when there is room again.
   * @param openReadingsShared readings of all senders together that are handed on and not settled while more of them wait. A message of a sender of which
   * nothing is on its way is handed on in any case.
   */
  constructor(onChange: () => void = () => undefined, openReadingsShared = Infinity) {
    this.#onChange = onChange;
    this.#lanes = new MessageLanes(openReadingsShared);
  }

  /** Whether nothing more should be read for now. */
  get full(): boolean {
    return this.#isBeyond(1);
  }

  /**
   * Whether nothing more should be read from a sender (undefined: it has sent nothing yet) for now: it has more than its share here, or the queue is full and something of it waits. Who has
   * nothing here is read also when others have filled the queue, up to twice its limits.
   */
  isHeld(sender: string | undefined): boolean {
    const lane = sender === undefined ? undefined : this.#lanes.of(sender);
    const waiting = lane === undefined ? 0 : waitingIn(lane);
    if (lane === undefined || waiting === 0) return this.#isBeyond(2);
    return waiting >= limits.laneMessagesMax || lane.bytes >= limits.laneBytesMax || this.full;
  }

  #isBeyond(times: number): boolean {
    const { length, bytes } = this.#lanes;
    return length >= times * limits.pendingMessagesMax || bytes >= times * limits.pendingBytesMax;
  }

  /** Whether every message has been handed on and settled. */
  get drained(): boolean {
    return this.#lanes.length === 0 && this.#unsettled === 0;
  }

  /** Messages waiting to be handed on. */
  get length(): number {
    return this.#lanes.length;
  }

  /** @param readings how many the message can hold at most. */
  push(message: RawMessage, settle: Settle, readings = readingsAtMost(message.payload)): void {
    this.#lanes.add(message.client, { message, readings, bytes: bytesOf(message), settle });
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
      if (this.#lanes.isReady) yield this.#take();
      else if (this.#ended && this.#lanes.length === 0) return;
      else await this.#changed.until(() => this.#lanes.isReady || (this.#ended && this.#lanes.length === 0), signal);
    }
  }

  #take(): Delivery<RawMessage> {
    const items: RawMessage[] = [];
    // What is left of them until they are settled: messages are gone as soon as they are read.
    const settles: Settle[] = [];
    const turns: { readonly lane: Lane<Pending>; readings: number }[] = [];
    let turn: (typeof turns)[number] | undefined;
    this.#lanes.take(limits.deliveryReadingsMax, ({ message, settle, readings }, lane) => {
      items.push(message);
      settles.push(settle);
      if (turn?.lane === lane) turn.readings += readings;
      else turns.push((turn = { lane, readings }));
    });
    this.#unsettled += settles.length;
    this.#onChange();
    let settled = false;
    const settleAll = (error?: Error): void => {
      if (settled) throw new Error('a delivery is settled once');
      settled = true;
      this.#unsettled -= settles.length;
      for (const { lane, readings } of turns) this.#lanes.settle(lane, readings);
      for (const settle of settles) settle(error);
      this.#onChange();
      this.#changed.notify();
    };
    return { items, ack: async () => settleAll(), nack: async (why) => settleAll(why) };
  }
}

/** What a message holds while it waits; a topic may be as long as a payload. */
const bytesOf = ({ topic, payload }: RawMessage): number => topic.length + payload.length;
