import type { Settle } from './message-queue.ts';
import { readingsAtMost } from './payload-parts.ts';
import type { RawMessage } from './raw-message.ts';

interface Parked {
  readonly message: RawMessage;
  readonly readings: number;
  readonly gated: boolean;
  readonly settle: Settle;
}

type Push = (message: RawMessage, settle: Settle, readings: number) => void;

/** What became of a message that was still waiting when its connection ended: nothing, and nobody is there to be told. */
export const CONNECTION_ENDED = new Error('the connection has ended');

/**
 * Topics of a connection, and their characters, that keep their place with nothing on its way: to come and go costs more than to count, and few
 * devices have more.
 */
const TOPICS_KEPT_MAX = 1_000;
const TOPIC_CHARACTERS_KEPT_MAX = 32 * 1024;

/**
 * Lets only so many readings of each topic of one connection through before they are settled, and always one message; the rest waits
 * here, in order. What the sender repeats when the connection ends is thereby never more than the duplicate memory remembers. It takes whatever it is given: while it
 * is {@link holding}, nothing more should be read.
 */
export class InFlight {
  readonly #max: number;
  readonly #push: Push;
  readonly #onRoom: () => void;
  readonly #byTopic = new Map<string, number>();
  /** Characters of these topics. */
  #characters = 0;
  #parked: Parked[] = [];
  #closed = false;

  /**
   * @param max readings of one topic.
   * @param push takes what is let through.
   * @param onRoom called when nothing waits any more.
   */
  constructor(max: number, push: Push, onRoom: () => void) {
    this.#max = max;
    this.#push = push;
    this.#onRoom = onRoom;
  }

  /** Whether messages wait here. */
  get holding(): boolean {
    return this.#parked.length > 0;
  }

  /** Characters of the topics that it remembers. */
  get characters(): number {
    return this.#characters;
  }

  /** @param gated whether its sender repeats it until it is acknowledged. */
  accept(message: RawMessage, gated: boolean, settle: Settle): void {
    const one = { message, readings: readingsAtMost(message.payload), gated, settle };
    if (this.#closed) this.#end(one);
    else if (this.#parked.length === 0 && (!gated || this.#hasRoom(one))) this.#pass(one);
    else this.#parked.push(one);
  }

  /**
   * The connection has ended. What waits and will be repeated is forgotten: it was neither taken nor acknowledged. So is what is read of it
   * after this, which would get ahead of the repeats of what was forgotten. What will not be repeated is let through.
   */
  close(): void {
    this.#closed = true;
    const parked = this.#parked;
    this.#parked = [];
    for (const one of parked) this.#end(one);
  }

  #end({ message, readings, gated, settle }: Parked): void {
    if (gated) settle(CONNECTION_ENDED);
    else this.#push(message, settle, readings);
  }

  #hasRoom({ message, readings }: Parked): boolean {
    const inFlight = this.#byTopic.get(message.topic) ?? 0;
    return inFlight === 0 || inFlight + readings <= this.#max;
  }

  #pass({ message, readings, gated, settle }: Parked): void {
    if (!gated) {
      this.#push(message, settle, readings);
      return;
    }
    const { topic } = message;
    const before = this.#byTopic.get(topic);
    if (before === undefined) this.#characters += topic.length;
    this.#byTopic.set(topic, (before ?? 0) + readings);
    const settled = (error?: Error): void => {
      // A refusal ends the connection; nothing of it must get ahead of the repeats.
      if (error !== undefined) this.close();
      this.#settled(topic, readings);
      settle(error);
      this.#letThrough();
    };
    this.#push(message, settled, readings);
  }

  #settled(topic: string, readings: number): void {
    const rest = (this.#byTopic.get(topic) ?? readings) - readings;
    const isFull = this.#byTopic.size > TOPICS_KEPT_MAX || this.#characters > TOPIC_CHARACTERS_KEPT_MAX;
    if (rest > 0 || !isFull) this.#byTopic.set(topic, rest);
    else if (this.#byTopic.delete(topic)) this.#characters -= topic.length;
  }

  #letThrough(): void {
    if (this.#parked.length === 0) return;
    let count = 0;
    for (const one of this.#parked) {
      if (one.gated && !this.#hasRoom(one)) break;
      count += 1;
      this.#pass(one);
    }
    this.#parked.splice(0, count);
    if (this.#parked.length === 0) this.#onRoom();
  }
}
