import { limits } from '../limits.ts';

/** A message that waits. */
export interface Waiting {
  /** How many readings it can hold at most. */
  readonly readings: number;
  readonly bytes: number;
}

/** What waits and what is on its way of one sender. */
export interface Lane<M extends Waiting> {
  /** Undefined: of senders that can't be told apart, which no share bounds. */
  readonly sender: string | undefined;
  /** In the order of arrival, from `head` on. */
  messages: M[];
  head: number;
  bytes: number;
  /** Readings that were taken and are not settled. */
  open: number;
  /** Readings that may still be taken in this turn. */
  credit: number;
}

/**
 * Messages that wait to be taken, in a lane for each sender: in each lane in the order of arrival, and the lanes take turns, so that a sender
 * that floods makes nobody wait but itself (deficit round robin: M. Shreedhar, G. Varghese, "Efficient Fair Queueing using Deficit Round Robin",
 * 1996; the cost of a message are its readings). Lanes share, too, what is on its way to the disk, so that what a sparse sender says is not committed
behind all that a flood has: who has its share there waits until some of it has arrived.
 *
 * Example, with 2 readings in a turn: a1 a2 a3 a4 b1 are taken as a1 a2 b1 a3 a4.
 */
export class MessageLanes<M extends Waiting> {
  readonly #lanes = new Map<string | undefined, Lane<M>>();
  /** The lanes from which something can be taken; whose turn it is stands first. */
  readonly #turns = new Set<Lane<M>>();
  readonly #openMax: number;
  #length = 0;
  #bytes = 0;
  /** Lanes in which something waits. */
  #contenders = 0;

  /** @param openMax readings on their way that all lanes with something waiting share. */
  constructor(openMax: number) {
    this.#openMax = openMax;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of what waits. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether something can be taken. */
  get isReady(): boolean {
    return this.#turns.size > 0;
  }

  /** The lane of a sender, if anything of it waits or is on its way. */
  of(sender: string | undefined): Lane<M> | undefined {
    return this.#lanes.get(sender);
  }

  add(sender: string | undefined, message: M): void {
    let lane = this.#lanes.get(sender);
    if (lane === undefined) {
      lane = { sender, messages: [], head: 0, bytes: 0, open: 0, credit: 0 };
      this.#lanes.set(sender, lane);
    }
    if (lane.messages.length === 0) this.#contenders += 1;
    lane.messages.push(message);
    lane.bytes += message.bytes;
    this.#length += 1;
    this.#bytes += message.bytes;
    if (this.#mayTake(lane)) this.#turns.add(lane);
  }

  /** Takes messages that hold no more readings together than `readingsMax`, and at least one, if there is one. */
  take(readingsMax: number, took: (message: M, lane: Lane<M>) => void): void {
    let room = readingsMax;
    let isFirst = true;
    for (let [lane] = this.#turns; lane !== undefined; [lane] = this.#turns) {
      const turn = lane;
      // What is left of a turn that ended because there was no room is used first.
      if (turn.credit < turn.messages[turn.head]!.readings) turn.credit += limits.turnReadings;
      for (;;) {
        const message = turn.messages[turn.head];
        if (message === undefined || message.readings > turn.credit || !this.#mayTake(turn)) break;
        if (message.readings > room && !isFirst) return;
        isFirst = false;
        room -= message.readings;
        this.#shift(turn, message);
        took(message, turn);
      }
      this.#turns.delete(turn);
      if (this.#mayTake(turn)) this.#turns.add(turn);
    }
  }

  /** Readings of a lane that were taken have arrived, or were refused. */
  settle(lane: Lane<M>, readings: number): void {
    lane.open -= readings;
    if (this.#mayTake(lane)) this.#turns.add(lane);
    else if (lane.open === 0) this.#lanes.delete(lane.sender);
  }

  #mayTake({ sender, messages, head, open }: Lane<M>): boolean {
    const next = messages[head];
    if (next === undefined) return false;
    if (sender === undefined || open === 0) return true;
    return open + next.readings <= Math.max(limits.turnReadings, this.#openMax / this.#contenders);
  }

  #shift(lane: Lane<M>, message: M): void {
    lane.head += 1;
    lane.credit -= message.readings;
    lane.open += message.readings;
    lane.bytes -= message.bytes;
    this.#length -= 1;
    this.#bytes -= message.bytes;
    if (lane.head === lane.messages.length) {
      lane.messages = [];
      this.#contenders -= 1;
      lane.head = 0;
      lane.credit = 0;
    } else if (lane.head === COMPACTED_AT) {
      lane.messages = lane.messages.slice(lane.head);
      lane.head = 0;
    }
  }
}

/** Messages taken after which those that are left move up: each moves once in a thousand. */
const COMPACTED_AT = 1_000;

/** Messages of a lane that wait. */
export const waitingIn = <M extends Waiting>({ messages, head }: Lane<M>): number => messages.length - head;
