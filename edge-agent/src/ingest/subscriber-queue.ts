import type { Socket } from 'node:net';

import { limits } from '../limits.ts';
import type { DoorReason } from './door-log.ts';

/** What it needs of a connection. */
export type SubscriberSocket = Pick<Socket, 'write' | 'writableNeedDrain' | 'destroyed' | 'destroy' | 'on' | 'once'>;

/** Bytes that wait for subscribers, of all of them together. */
export interface UnsentBytes {
  bytes: number;
}

/** What a message costs besides its bytes while it waits, about. */
const OVERHEAD_BYTES = 64;

/**
 * The messages that one subscriber has not taken yet, at most `limits.unsentPerSubscriberBytesMax` of them, and less while all subscribers together
 * have too many. What does not fit is dropped for this subscriber; if it has read nothing for `limits.subscriberStalledMs` by then, its connection
 * is closed. Nobody waits for it.
 */
export class SubscriberQueue {
  readonly #socket: SubscriberSocket;
  readonly #all: UnsentBytes;
  readonly #refuse: (reason: DoorReason) => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Handed to the socket, and not taken by the system yet. */
  #writtenBytes = 0;
  /** When the first message was dropped since it took one last. */
  #droppingSince: number | undefined;

  /** @param all is kept up to date with what waits here. */
  constructor(socket: SubscriberSocket, all: UnsentBytes, refuse: (reason: DoorReason) => void) {
    this.#socket = socket;
    this.#all = all;
    this.#refuse = refuse;
    socket.on('drain', () => this.flush());
  }

  /**
   * Keeps a packet to be sent by the next {@link flush}, or drops it.
   *
   * @param now a clock in milliseconds that only grows.
   */
  offer(packet: Buffer, now: number): void {
    if (this.#socket.destroyed) return;
    const bytes = packet.length + OVERHEAD_BYTES;
    const unsent = this.#waitingBytes + this.#writtenBytes;
    const bytesMax =
      this.#all.bytes < limits.unsentBytesMax ? limits.unsentPerSubscriberBytesMax : limits.unsentWhenFullBytesMax;
    if (unsent === 0 || unsent + bytes <= bytesMax) {
      this.#waiting.push(packet);
      this.#waitingBytes += bytes;
      this.#all.bytes += bytes;
      return;
    }
    this.#refuse('subscriber-slow');
    this.#droppingSince ??= now;
    if (now - this.#droppingSince < limits.subscriberStalledMs) return;
    this.#refuse('subscriber-stalled');
    this.#socket.destroy();
  }

  /** Writes what waits, unless the subscriber has to read first. */
  flush(): void {
    if (this.#waiting.length === 0 || this.#socket.writableNeedDrain || this.#socket.destroyed) return;
    const bytes = this.#waitingBytes;
    const packets = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#writtenBytes += bytes;
    this.#droppingSince = undefined;
    // Called also when the connection breaks.
    this.#socket.write(packets, () => {
      this.#writtenBytes -= bytes;
      this.#all.bytes -= bytes;
    });
  }

  /** The connection is gone, and with it what waits for it. */
  close(): void {
    this.#all.bytes -= this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}
