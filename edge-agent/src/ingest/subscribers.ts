import { generate } from 'mqtt-packet';
import { QlobberDedup } from 'qlobber';

import { limits } from '../limits.ts';
import type { DoorReason } from './door-log.ts';
import { SubscriberQueue, type SubscriberSocket } from './subscriber-queue.ts';

/** A message to pass on. */
export interface Published {
  readonly topic: string;
  readonly payload: string | Buffer;
}

interface Subscriber {
  /** Its client, in words. */
  readonly who: string;
  readonly queue: SubscriberQueue;
  readonly filters: Set<string>;
}

/**
 * Passes what is published on to who subscribed, at QoS 0, beside the way of the readings and never in it: for the publisher it is over when the
 * message is queued here (ADR-0025). A turn of the event loop makes at most `limits.deliveriesPerTurnMax` deliveries. What does not fit into the
 * queue meanwhile is dropped for everybody, and what one subscriber does not read is dropped for that one. Both are counted.
 */
export class Subscribers {
  readonly #refuse: (reason: DoorReason, who: string) => void;
  readonly #now: () => number;
  /** Filters and their subscribers; gives each subscriber once, however many of its filters match. */
  readonly #matcher = new QlobberDedup<SubscriberQueue>({
    separator: '/',
    wildcard_one: '+',
    wildcard_some: '#',
    match_empty_levels: true,
  });
  readonly #bySocket = new Map<SubscriberSocket, Subscriber>();
  #size = 0;
  #queue: Published[] = [];
  #queuedBytes = 0;
  /** The deliveries of what is queued, one by one; undefined while there are none. */
  #deliveries: Iterator<SubscriberQueue, void> | undefined;
  readonly #unsent = { bytes: 0 };

  /**
   * @param refuse called for everything that is not done: why, and for which client.
   * @param now a clock in milliseconds that only grows.
   */
  constructor(refuse: (reason: DoorReason, who: string) => void, now: () => number = () => performance.now()) {
    this.#refuse = refuse;
    this.#now = now;
  }

  /** Subscriptions of all connections. */
  get size(): number {
    return this.#size;
  }

  /**
   * @param who the client, in words; asked for when it begins, and when something is refused.
   * @returns whether it is subscribed now. A filter that the connection has already needs no room.
   */
  add(socket: SubscriberSocket, filter: string, who: () => string): boolean {
    if (socket.destroyed) return false;
    const known = this.#bySocket.get(socket);
    if (known?.filters.has(filter) === true) return true;
    const refusal = this.#refusalOf(filter, known?.filters.size ?? 0);
    if (refusal !== undefined) {
      this.#refuse(refusal, known?.who ?? who());
      return false;
    }
    const { queue, filters } = known ?? this.#join(socket, who());
    this.#matcher.add(filter, queue);
    filters.add(filter);
    this.#size += 1;
    return true;
  }

  remove(socket: SubscriberSocket, filter: string): void {
    const subscriber = this.#bySocket.get(socket);
    if (subscriber?.filters.delete(filter) !== true) return;
    this.#matcher.remove(filter, subscriber.queue);
    this.#size -= 1;
  }

  /**
   * Queues a message for whoever subscribed to its topic; next to nothing where nobody has subscribed to anything. Topics that begin with `$` are not
   * passed on, and neither is what was shortened on arrival: it must not reach anyone as if it were whole.
   *
   * @param who the client that published it, in words; asked for only if nobody gets the message.
   */
  publish({ topic, payload }: Published, who: () => string): void {
    if (this.#size === 0 || topic.startsWith('$') || payload.length > limits.payloadBytesMax) return;
    const bytes = topic.length + payload.length;
    if (this.#queue.length >= limits.deliveryQueueMax || this.#queuedBytes + bytes > limits.deliveryQueueBytesMax) {
      this.#refuse('subscribers-busy', who());
      return;
    }
    this.#queue.push({ topic, payload });
    this.#queuedBytes += bytes;
    if (this.#deliveries !== undefined) return;
    this.#deliveries = this.#deliver();
    setImmediate(() => this.#turn());
  }

  #refusalOf(filter: string, ofClient: number): DoorReason | undefined {
    if (filter.length > limits.filterLengthMax) return 'filter-too-long';
    if (ofClient >= limits.subscriptionsPerClientMax) return 'subscriptions-client';
    return this.#size >= limits.subscriptionsMax ? 'subscriptions-all' : undefined;
  }

  #join(socket: SubscriberSocket, who: string): Subscriber {
    const queue = new SubscriberQueue(socket, this.#unsent, (reason) => this.#refuse(reason, who));
    const subscriber = { who, queue, filters: new Set<string>() };
    this.#bySocket.set(socket, subscriber);
    socket.once('close', () => {
      for (const filter of subscriber.filters) this.remove(socket, filter);
      this.#bySocket.delete(socket);
      queue.close();
    });
    return subscriber;
  }

  /** Makes some deliveries, and writes them to the sockets. */
  #turn(): void {
    const touched = new Set<SubscriberQueue>();
    for (let count = 0; count < limits.deliveriesPerTurnMax && this.#deliveries !== undefined; count++) {
      const next = this.#deliveries.next();
      if (next.done === true) this.#deliveries = undefined;
      else touched.add(next.value);
    }
    for (const queue of touched) queue.flush();
    if (this.#deliveries !== undefined) setImmediate(() => this.#turn());
  }

  *#deliver(): Generator<SubscriberQueue, void> {
    while (this.#queue.length > 0) {
      const messages = this.#queue;
      this.#queue = [];
      this.#queuedBytes = 0;
      for (const { topic, payload } of messages) {
        const queues = this.#matcher.match(topic);
        if (queues.size === 0) continue;
        const packet = generate({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false });
        for (const queue of queues) {
          queue.offer(packet, this.#now());
          yield queue;
        }
      }
    }
  }
}
