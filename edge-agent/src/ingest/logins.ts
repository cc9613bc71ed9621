import { createHmac, randomBytes } from 'node:crypto';

import { limits } from '../limits.ts';
import type { BrokerUsers } from './broker-users.ts';
import { type Login, LoginQueue } from './login-queue.ts';

/**
 * - `right`, `wrong`: the password was compared, now or earlier.
 * - `busy`: too many wait, and this one had to give way; its device should try again.
 * - `gone`: its connection ended while it waited.
 */
export type LoginOutcome = 'right' | 'wrong' | 'busy' | 'gone';

export interface Credentials {
  readonly name: string | undefined;
  readonly password: Uint8Array | undefined;
}

interface Waiting extends Login {
  readonly name: string;
  readonly password: Uint8Array;
  readonly digest: string;
  /** All connections of this address that wait for it: devices often share a user, and connect together. */
  readonly settles: Set<(outcome: LoginOutcome) => void>;
}

/**
 * Checks the passwords of clients, one at a time, so that guessing takes no more than one thread and 16 MiB (malloc keeps that much for each of the
 * four threads of Node.js that may do it); {@link LoginQueue} says in which order. What was right once in this process is known by a fast digest from then on and never waits: a thousand devices reconnect without a
 * thousand checks, and whatever others guess meanwhile does not delay them. What was wrong is known likewise for a while, so that a device
 * that was set up wrong and tries every second costs nothing. No number of wrong passwords locks a user out.
 */
export class Logins {
  readonly #users: Pick<BrokerUsers, 'has' | 'check'>;
  readonly #queue = new LoginQueue<Waiting>();
  readonly #digestKey = randomBytes(32);
  /** The digest of each user's password, once it was right. */
  readonly #right = new Map<string, string>();
  /** Digests of what was wrong, the oldest first. */
  readonly #wrong = new Set<string>();
  /** What waits or is being compared, by address and digest. */
  readonly #pending = new Map<string, Waiting>();
  #isChecking = false;

  constructor(users: Pick<BrokerUsers, 'has' | 'check'>) {
    this.#users = users;
  }

  /** Logins that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * @param address see `addressOf`.
   * @param gone aborts when the connection has ended.
   */
  async check({ name, password }: Credentials, address: string, gone: AbortSignal): Promise<LoginOutcome> {
    if (name === undefined || password === undefined) return 'wrong';
    // No user has a longer one, and what waits must be bounded in bytes.
    if (password.length > limits.passwordBytesMax) return 'wrong';
    const digest = this.#digest(name, password);
    const known = this.#known(name, digest);
    if (known !== undefined) return known;
    if (gone.aborted) return 'gone';
    return new Promise((resolve) => {
      const waiting = this.#waitingFor({ name, password, digest, address });
      const leave = (): void => {
        waiting.settles.delete(settle);
        if (waiting.settles.size === 0) this.#forget(waiting);
        resolve('gone');
      };
      const settle = (outcome: LoginOutcome): void => {
        gone.removeEventListener('abort', leave);
        resolve(outcome);
      };
      gone.addEventListener('abort', leave, { once: true });
      waiting.settles.add(settle);
      void this.#work();
    });
  }

  /** The login with the same password from the same address that waits, or one that waits from now on. */
  #waitingFor(login: Pick<Waiting, 'name' | 'password' | 'digest' | 'address'>): Waiting {
    const known = this.#pending.get(keyOf(login));
    if (known !== undefined) return known;
    const user = this.#users.has(login.name) ? login.name : undefined;
    const waiting = { ...login, user, settles: new Set<(outcome: LoginOutcome) => void>() };
    this.#pending.set(keyOf(login), waiting);
    const displaced = this.#queue.add(waiting);
    // Behind this call, which may be about the one that gives way.
    if (displaced !== undefined) queueMicrotask(() => this.#settle(displaced, 'busy'));
    return waiting;
  }

  #forget(waiting: Waiting): void {
    this.#queue.remove(waiting);
    if (this.#pending.get(keyOf(waiting)) === waiting) this.#pending.delete(keyOf(waiting));
  }

  #settle(waiting: Waiting, outcome: LoginOutcome): void {
    this.#forget(waiting);
    for (const settle of waiting.settles) settle(outcome);
  }

  async #work(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    for (let one = this.#queue.next(); one !== undefined; one = this.#queue.next()) {
      this.#settle(one, this.#known(one.name, one.digest) ?? (await this.#compare(one)));
    }
    this.#isChecking = false;
  }

  async #compare({ name, password, digest }: Waiting): Promise<LoginOutcome> {
    let isRight: boolean;
    try {
      isRight = await this.#users.check(name, password);
    } catch {
      // No memory for it, say: that tells nothing of the password.
      return 'busy';
    }
    if (isRight) {
      this.#right.set(name, digest);
      return 'right';
    }
    this.#wrong.add(digest);
    const [oldest] = this.#wrong;
    if (this.#wrong.size > limits.wrongPasswordsRemembered && oldest !== undefined) this.#wrong.delete(oldest);
    return 'wrong';
  }

  #known(name: string, digest: string): LoginOutcome | undefined {
    if (this.#right.get(name) === digest) return 'right';
    return this.#wrong.has(digest) ? 'wrong' : undefined;
  }

  /** Under a key of this process: of no use to anyone who reads its memory later, and it does not tell by its time what it is compared with. */
  #digest(name: string, password: Uint8Array): string {
    const hash = createHmac('sha256', this.#digestKey)
      .update(`${Buffer.byteLength(name)} ${name}`)
      .update(password);
    return hash.digest('base64');
  }
}

const keyOf = ({ address, digest }: Pick<Waiting, 'address' | 'digest'>): string => `${digest} ${address}`;
