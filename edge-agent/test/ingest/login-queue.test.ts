import { describe, expect, it } from 'vitest';

import { type Login, LoginQueue } from '../../src/ingest/login-queue.ts';
import { limits } from '../../src/limits.ts';

interface Numbered extends Login {
  readonly number: number;
}

/** A queue with a helper that names logins by address, user and number. */
function opened(): { readonly queue: LoginQueue<Numbered>; readonly add: (name: string) => string | undefined } {
  const queue = new LoginQueue<Numbered>();
  const add = (name: string): string | undefined => {
    const [address = '', user = '', number] = name.split(' ');
    return nameOf(queue.add({ address, user: user === '?' ? undefined : user, number: Number(number) }));
  };
  return { queue, add };
}

const nameOf = (login: Numbered | undefined): string | undefined =>
  login && `${login.address} ${login.user ?? '?'} ${login.number}`;

const rest = (queue: LoginQueue<Numbered>): (string | undefined)[] => {
  const all = [];
  while (queue.length > 0) all.push(nameOf(queue.next()));
  return all;
};

describe('logins that wait', () => {
  it('take turns by address, and by user within an address', () => {
    const { queue, add } = opened();
    for (const name of ['A a 1', 'A a 2', 'A a 3', 'A b 1', 'A ? 1', 'A ? 2', 'B a 1', 'B a 2']) add(name);
    const turns = ['A a 1', 'B a 1', 'A b 1', 'B a 2', 'A ? 1', 'A a 2', 'A ? 2', 'A a 3'];
    expect(rest(queue)).toEqual(turns);
    expect(queue.next()).toBeUndefined();
  });

  it('of one user at one address give way to newer ones, the oldest first', () => {
    const { queue, add } = opened();
    const displaced = Array.from({ length: limits.loginsWaitingPerUserMax + 2 }, (_, i) => add(`A a ${i}`));
    expect(displaced.slice(-3)).toEqual([undefined, 'A a 0', 'A a 1']);
    expect(rest(queue)).toHaveLength(limits.loginsWaitingPerUserMax);
  });

  it('of whoever has most give way when there are too many in all', () => {
    const { queue, add } = opened();
    const users = Math.floor(limits.loginsWaitingMax / 2) - 1;
    for (let i = 0; i < users; i++) for (const number of [1, 2]) add(`A ${i} ${number}`);
    expect([add('B b 1'), add('C c 1')]).toEqual([undefined, undefined]);
    expect(queue.length).toBe(limits.loginsWaitingMax);
    expect(add('D d 1')).toBe('A 0 1');
    expect(queue.length).toBe(limits.loginsWaitingMax);
  });

  it('are turned away themselves where nobody has more than one', () => {
    const { queue, add } = opened();
    for (let i = 0; i < limits.loginsWaitingMax; i++) add(`${i} a 1`);
    expect(add('new a 1')).toBe('new a 1');
    expect(queue.length).toBe(limits.loginsWaitingMax);
    expect(nameOf(queue.next())).toBe('0 a 1');
  });

  it('can leave at any place', () => {
    const { queue, add } = opened();
    const login = { address: 'A', user: 'a', number: 1 };
    queue.add(login);
    add('A a 2');
    queue.remove(login);
    queue.remove(login);
    expect(rest(queue)).toEqual(['A a 2']);
    queue.remove(login);
    expect(queue.length).toBe(0);
  });
});
