import type { Socket } from 'node:net';

import { isLoopback } from '@floorwatch/runtime';

import { limits } from '../limits.ts';
import type { DoorLog } from './door-log.ts';

type Connection = Pick<Socket, 'bytesRead' | 'readableLength' | 'destroy'>;

/** A connection that has a place. */
interface Guest {
  readonly address: string;
  /** Of a client that has logged in, in words. */
  client: string | undefined;
  /** When it was last seen to have received something; by the monotonic clock. */
  activeAt: number;
  bytesRead: number;
}

/**
 * The places for connections to the embedded broker. When all are taken, a new connection gets the place of one that has received nothing for
 * longest: a client without keepalive that forgot its connection, or a device behind a network that broke. Who has not logged in must be quick;
 * who has may be quiet for `limits.idleMsMin`. An address that has more places than the one that asks, and most of all, gives one up also if it is busy,
 * so that no machine shuts the others out. One address never has more than `limits.connectionsPerAddressMax`, unless it is this machine.
 */
export class Places<C extends Connection = Socket> {
  readonly #door: DoorLog;
  readonly #now: () => number;
  readonly #guests = new Map<C, Guest>();
  readonly #byAddress = new Map<string, number>();
  #lookedAt = -Infinity;

  /** @param now a monotonic clock, in milliseconds. */
  constructor(door: DoorLog, now: () => number = () => performance.now()) {
    this.#door = door;
    this.#now = now;
  }

  /** Connections that have a place. */
  get taken(): number {
    return this.#guests.size;
  }

  /**
   * Gives a new connection a place, possibly that of another, which is closed.
   *
   * @param address see `addressOf`.
   * @returns false if there is none: the connection should be closed.
   */
  enter(connection: C, address: string): boolean {
    const own = this.#byAddress.get(address) ?? 0;
    if (own >= limits.connectionsPerAddressMax && !isLoopback(address)) {
      if (!this.#makeRoom((guest) => guest.address === address)) return this.#refuse('address-full', address);
    } else if (this.#guests.size >= limits.connectionsMax) {
      const [largest, most] = this.#largest();
      const made =
        most > own + 1 ? this.#makeRoom((guest) => guest.address === largest, -Infinity) : this.#makeRoom(() => true);
      if (!made) return this.#refuse('no-place', address);
    }
    const { bytesRead } = connection;
    this.#guests.set(connection, { address, client: undefined, activeAt: this.#now(), bytesRead });
    this.#count(address, 1);
    return true;
  }

  /** The client has logged in. */
  loggedIn(connection: C, client: string): void {
    const guest = this.#guests.get(connection);
    if (guest !== undefined) guest.client = client;
  }

  /** The connection has ended. */
  leave(connection: C): void {
    const guest = this.#guests.get(connection);
    if (guest === undefined) return;
    this.#guests.delete(connection);
    this.#count(guest.address, -1);
  }

  /** Notes which connections have received something since the last look. To be called every `limits.idleLookMs`. */
  look(): void {
    const now = this.#now();
    this.#lookedAt = now;
    for (const [connection, guest] of this.#guests) {
      const { bytesRead } = connection;
      // One that is not read, because there is no room for what it sent, is not idle.
      if (bytesRead === guest.bytesRead && connection.readableLength === 0) continue;
      guest.bytesRead = bytesRead;
      guest.activeAt = now;
    }
  }

  /** Closes the one of `candidates` that has been idle for longest, beyond what it may be; false: none is. */
  #makeRoom(isCandidate: (guest: Guest) => boolean, overdueMin = 0): boolean {
    if (this.#now() - this.#lookedAt > limits.idleLookMs / 5) this.look();
    const now = this.#now();
    let longest: readonly [C, Guest] | undefined;
    let most = -Infinity;
    for (const entry of this.#guests) {
      const [, guest] = entry;
      const overdue = now - guest.activeAt - (guest.client === undefined ? limits.idleUnknownMsMin : limits.idleMsMin);
      if (overdue < overdueMin || overdue <= most || !isCandidate(guest)) continue;
      longest = entry;
      most = overdue;
    }
    if (longest === undefined) return false;
    const [connection, { client = 'a client that has not logged in', address, activeAt }] = longest;
    const idleS = Math.round((now - activeAt) / 1_000);
    this.#door.note('idle-closed', `${client} at ${address}, idle for ${idleS} s`, address);
    this.leave(connection);
    connection.destroy();
    return true;
  }

  #largest(): readonly [string, number] {
    let largest: readonly [string, number] = ['', 0];
    for (const entry of this.#byAddress) if (entry[1] > largest[1]) largest = entry;
    return largest;
  }

  #refuse(reason: 'no-place' | 'address-full', address: string): false {
    this.#door.note(reason, address);
    return false;
  }

  #count(address: string, change: number): void {
    const count = (this.#byAddress.get(address) ?? 0) + change;
    if (count === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, count);
  }
}
