import { randomBytes } from 'node:crypto';

import type { AnomalyRow, LiveEvents } from '@floorwatch/contracts';

/** Why a client can't go on where it was; see {@link LiveEvents.reset}. */
type ResetReason = LiveEvents['reset']['reason'];

/** What a client that comes back gets: the events that it missed, oldest first, or why it must read everything anew. */
export type Resumption =
  | { readonly kind: 'resumed'; readonly missed: readonly Uint8Array[] }
  | { readonly kind: 'reset'; readonly reason: ResetReason };

interface Remembered {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * The newest word of the episodes that changed last, so that a client that comes back with `Last-Event-ID` misses none. An id is
 * `<run>-<number>`: the run names this start of the processor, the numbers count its events from 1.
 *
 * Invariant: of every event numbered above `#reachesBackTo` either the event itself is held, or a later word on the same episode.
 * Example: the numbers 1 (episode A), 2 (B), 3 (A) leave 2 and 3; whoever has seen 1 gets both, and whoever has seen 2 gets 3.
 */
export class EventMemory {
  readonly #run = randomBytes(4).toString('hex');
  readonly #bytesMax: number;
  /** By episode, in the order of their numbers. */
  readonly #events = new Map<string, Remembered>();
  #bytes = 0;
  #number = 0;
  #reachesBackTo = 0;

  /** @param bytesMax how much is remembered; a client gets it all at once, so it is less than what may wait for one. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The id of the newest event. */
  get newestId(): string {
    return `${this.#run}-${this.#number}`;
  }

  get size(): number {
    return this.#events.size;
  }

  /**
   * Numbers the newest word on an episode and remembers it.
   *
   * @param encode makes the event with its id.
   */
  add(row: AnomalyRow, encode: (id: string) => Uint8Array): Uint8Array {
    this.#number += 1;
    const bytes = encode(this.newestId);
    this.#drop(row.id);
    this.#events.set(row.id, { number: this.#number, bytes });
    this.#bytes += bytes.byteLength;
    for (const [episode, { number }] of this.#events) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(episode);
      this.#reachesBackTo = number;
    }
    return bytes;
  }

  /** Something was left out: nobody can go on from before this moment. */
  breakOff(): void {
    this.#events.clear();
    this.#bytes = 0;
    // A number of its own, so that whoever has seen the event before this one is not taken for up to date.
    this.#number += 1;
    this.#reachesBackTo = this.#number;
  }

  /** What a client missed that has seen everything up to `lastEventId`. */
  resume(lastEventId: string): Resumption {
    const [, run, digits] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(lastEventId) ?? [];
    if (run === undefined) return { kind: 'reset', reason: 'unknown-id' };
    if (run !== this.#run) return { kind: 'reset', reason: 'restarted' };
    const seen = Number(digits);
    if (seen > this.#number) return { kind: 'reset', reason: 'unknown-id' };
    if (seen < this.#reachesBackTo) return { kind: 'reset', reason: 'forgotten' };
    const missed = [...this.#events.values()].filter(({ number }) => number > seen);
    return { kind: 'resumed', missed: missed.map(({ bytes }) => bytes) };
  }

  #drop(episode: string): void {
    this.#bytes -= this.#events.get(episode)?.bytes.byteLength ?? 0;
    this.#events.delete(episode);
  }
}
