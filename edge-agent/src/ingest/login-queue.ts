import { limits } from '../limits.ts';

/** Who wants to log in. */
export interface Login {
  /** See `addressOf`. */
  readonly address: string;
  /** The user, or undefined for all names that no user has. */
  readonly user: string | undefined;
}

/**
 * Logins that wait for the check of their passwords. Addresses take turns, and the users of an address do, so that whoever guesses delays the
 * others by one check in each round: guesses from elsewhere, guesses for another user, and guesses of names that do not exist, which count as
 * one user together. Bounded: first the oldest of one user at one address gives way, then the oldest of whoever has most.
 *
 * Example: b waits at address 1 behind 900 guesses for a. Turns: a, b, a, …
 */
export class LoginQueue<T extends Login> {
  /** By address and user; who is next stands first. None is empty. */
  readonly #addresses = new Map<string, Map<string | undefined, T[]>>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** @returns who gives way, possibly `login` itself. */
  add(login: T): T | undefined {
    const { address, user } = login;
    const users = this.#addresses.get(address) ?? new Map<string | undefined, T[]>();
    const waiting = users.get(user) ?? [];
    this.#addresses.set(address, users.set(user, waiting));
    waiting.push(login);
    this.#length += 1;
    if (waiting.length > limits.loginsWaitingPerUserMax) return this.#shift(address, user, waiting);
    return this.#length > limits.loginsWaitingMax ? this.#displace(login) : undefined;
  }

  /** Takes whose turn it is. */
  next(): T | undefined {
    for (const [address, users] of this.#addresses) {
      for (const [user, waiting] of users) {
        const login = this.#shift(address, user, waiting);
        // Both go to the end of their rounds.
        if (users.delete(user) && waiting.length > 0) users.set(user, waiting);
        if (this.#addresses.delete(address) && users.size > 0) this.#addresses.set(address, users);
        return login;
      }
    }
    return undefined;
  }

  /** Forgets one that does not wait any more, if it still did. */
  remove(login: T): void {
    const waiting = this.#addresses.get(login.address)?.get(login.user);
    const at = waiting?.indexOf(login) ?? -1;
    if (waiting === undefined || at === -1) return;
    waiting.splice(at, 1);
    this.#left(login.address, login.user, waiting);
  }

  #displace(newest: Login): T | undefined {
    const sizeOf = (users: ReadonlyMap<unknown, readonly T[]>): number =>
      [...users.values()].reduce((sum, { length }) => sum + length, 0);
    const [address, users] = largest(this.#addresses, newest.address, sizeOf);
    const [user, waiting] = largest(users, newest.user, ({ length }) => length);
    return this.#shift(address, user, waiting);
  }

  #shift(address: string, user: string | undefined, waiting: T[]): T | undefined {
    const login = waiting.shift();
    if (login !== undefined) this.#left(address, user, waiting);
    return login;
  }

  #left(address: string, user: string | undefined, waiting: readonly T[]): void {
    this.#length -= 1;
    if (waiting.length > 0) return;
    const users = this.#addresses.get(address);
    users?.delete(user);
    if (users?.size === 0) this.#addresses.delete(address);
  }
}

/** The entry with the largest value; of equal ones that of `preferred`, or the first. */
function largest<K, V>(entries: ReadonlyMap<K, V>, preferred: K, sizeOf: (value: V) => number): readonly [K, V] {
  return [...entries].reduce((best, entry) => {
    const [more, most] = [sizeOf(entry[1]), sizeOf(best[1])];
    return more > most || (more === most && entry[0] === preferred) ? entry : best;
  });
}
