import { setMaxListeners } from 'node:events';

import { describe, expect, it } from 'vitest';

import { Logins } from '../../src/ingest/logins.ts';
import { limits } from '../../src/limits.ts';

/** Users whose password is their name, with a check that ends when the test says so. */
class SlowUsers {
  readonly checked: string[] = [];
  readonly #ends: (() => void)[] = [];

  has(name: string): boolean {
    return !name.startsWith('nobody');
  }

  async check(name: string, password: Uint8Array): Promise<boolean> {
    this.checked.push(`${name}:${Buffer.from(password).toString()}`);
    await new Promise<void>((resolve) => this.#ends.push(resolve));
    if (name === 'broken') throw new Error('no memory');
    return this.has(name) && Buffer.from(password).toString() === name;
  }

  /** Lets checks end until no more begin. */
  async end(count = Infinity): Promise<void> {
    for (let i = 0; i < count && this.#ends.length > 0; i++) {
      this.#ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe('logins', () => {
  const opened = (): { readonly users: SlowUsers; readonly logIn: LogIn } => {
    const users = new SlowUsers();
    const logins = new Logins(users);
    const logIn: LogIn = async (name, password, address = 'A', gone = new AbortController().signal) =>
      logins.check({ name, password: password === undefined ? undefined : Buffer.from(password) }, address, gone);
    return { users, logIn };
  };

  it('are right with the right password, and wrong without a name, a password, or with one that nobody can have', async () => {
    const { users, logIn } = opened();
    const first = logIn('a', 'a');
    await users.end();
    expect(await first).toBe('right');
    for (const [name, password] of [
      [undefined, 'a'],
      ['a', undefined],
      ['a', 'x'.repeat(limits.passwordBytesMax + 1)],
    ])
      expect(await logIn(name, password)).toBe('wrong');
    expect(users.checked).toEqual(['a:a']);
  });

  it('that were right once are known without a check, whatever others guess', async () => {
    const { users, logIn } = opened();
    const first = logIn('a', 'a');
    await users.end();
    await first;
    const guesses = Array.from({ length: 900 }, async (_, i) => logIn('a', `guess ${i}`));
    expect(await logIn('a', 'a')).toBe('right');
    expect(await logIn('a', 'a', 'another address')).toBe('right');
    expect(users.checked).toHaveLength(2);
    await users.end();
    expect(await Promise.all(guesses)).not.toContain('right');
  });

  it.each([
    ['for other users', (i: number) => `${i % 3}`, 'good', 5],
    ['of names that do not exist', (i: number) => `nobody ${i}`, 'good', 3],
    ['for the same user', () => 'good', 'good', limits.loginsWaitingPerUserMax + 1],
  ])(
    'for the first time, behind guesses %s from the same address wait no longer than a round',
    async (_, nameOf, good, checks) => {
      const { users, logIn } = opened();
      const guesses = Array.from({ length: 900 }, async (__, i) => logIn(nameOf(i), `guess ${i}`));
      const login = logIn(good, good);
      await users.end(checks);
      expect(await Promise.race([login, Promise.resolve('waits')])).toBe('right');
      await users.end();
      expect(new Set(await Promise.all(guesses))).toEqual(new Set(['wrong', 'busy']));
    },
  );

  it('do not wait for what clients guessed that have gone', async () => {
    const { users, logIn } = opened();
    const gone = new AbortController();
    setMaxListeners(9, gone.signal);
    const guesses = Array.from({ length: 9 }, async (_, i) => logIn(`${i}`, 'guess', 'A', gone.signal));
    gone.abort();
    const late = await logIn('b', 'b', 'A', gone.signal);
    const login = logIn('good', 'good');
    // The first guess was being checked already.
    await users.end(2);
    expect(await login).toBe('right');
    expect(users.checked).toEqual(['0:guess', 'good:good']);
    expect(new Set([late, ...(await Promise.all(guesses))])).toEqual(new Set(['gone']));
  });

  it('of many devices that share a user and connect together wait as one', async () => {
    const { users, logIn } = opened();
    const gone = new AbortController();
    const count = 10 * limits.loginsWaitingPerUserMax;
    const first = logIn('b', 'b');
    const leaving = logIn('a', 'a', 'A', gone.signal);
    const devices = Array.from({ length: count }, async () => logIn('a', 'a'));
    gone.abort();
    await users.end();
    expect([await first, await leaving]).toEqual(['right', 'gone']);
    expect(await Promise.all(devices)).toEqual(devices.map(() => 'right'));
    expect(users.checked).toEqual(['b:b', 'a:a']);
  });

  it('with the same wrong password cost one check', async () => {
    const { users, logIn } = opened();
    const tries = Array.from({ length: 5 }, async () => logIn('a', 'old'));
    await users.end();
    expect(await Promise.all(tries)).toEqual(tries.map(() => 'wrong'));
    expect(await logIn('a', 'old')).toBe('wrong');
    expect(users.checked).toEqual(['a:old']);
    // The digest is of both.
    const other = logIn('b', 'old');
    await users.end();
    expect(await other).toBe('wrong');
    expect(users.checked).toHaveLength(2);
  });

  it('remember a bounded number of wrong passwords, and never lock a user out', async () => {
    const { users, logIn } = opened();
    for (let i = 0; i <= limits.wrongPasswordsRemembered; i++) {
      const guess = logIn('a', `guess ${i}`);
      await users.end();
      await guess;
    }
    const login = logIn('a', 'a');
    await users.end();
    expect(await login).toBe('right');
    const checked = users.checked.length;
    expect(await logIn('a', `guess ${limits.wrongPasswordsRemembered}`)).toBe('wrong');
    expect(users.checked).toHaveLength(checked);
    void logIn('a', 'guess 0');
    expect(users.checked).toHaveLength(checked + 1);
  });

  it('whose check breaks are told to try again, and it is checked again', async () => {
    const { users, logIn } = opened();
    for (const _ of [1, 2]) {
      const login = logIn('broken', 'broken');
      await users.end();
      expect(await login).toBe('busy');
    }
    expect(users.checked).toHaveLength(2);
  });
});

type LogIn = (name?: string, password?: string, address?: string, gone?: AbortSignal) => Promise<string>;
