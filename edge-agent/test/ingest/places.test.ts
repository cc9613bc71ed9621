import { describe, expect, it } from 'vitest';

import { DoorLog, type DoorReason } from '../../src/ingest/door-log.ts';
import { Places } from '../../src/ingest/places.ts';
import { limits } from '../../src/limits.ts';

class FakeConnection {
  bytesRead = 0;
  readableLength = 0;
  destroyed = false;

  destroy(): never {
    this.destroyed = true;
    return this as never;
  }
}

/** Places with helpers: many connections at once, and what the door says. */
function opened() {
  const clock = { now: 0 };
  const door = new DoorLog();
  const places = new Places<FakeConnection>(door, () => clock.now);
  const enter = (address: string, loggedIn = true): FakeConnection | undefined => {
    const connection = new FakeConnection();
    if (!places.enter(connection, address)) return undefined;
    if (loggedIn) places.loggedIn(connection, 'client "x"');
    return connection;
  };
  const many = (count: number, addressOf: (i: number) => string, loggedIn = true): FakeConnection[] =>
    Array.from({ length: count }, (_, i) => enter(addressOf(i), loggedIn)!);
  const pass = (ms: number, active: readonly FakeConnection[] = []): void => {
    for (const connection of active) connection.bytesRead += 1;
    clock.now += ms;
    places.look();
  };
  const count = (reason: DoorReason): number => door.view()[reason].count;
  return { places, door, enter, many, pass, count };
}

const { connectionsMax, connectionsPerAddressMax, idleMsMin, idleUnknownMsMin } = limits;
const spread = (i: number): string => `10.0.0.${i % 100}`;

describe('places for connections', () => {
  it('go to whoever comes while there are some, and come back from whoever leaves', () => {
    const { places, many, enter, count } = opened();
    const [first] = many(connectionsMax, spread);
    expect(places.taken).toBe(connectionsMax);
    expect(enter('10.0.0.1')).toBeUndefined();
    places.leave(first!);
    places.leave(first!);
    expect(enter('10.0.0.1')).toBeDefined();
    expect([places.taken, count('no-place'), count('idle-closed')]).toEqual([connectionsMax, 1, 0]);
  });

  it.each([
    [true, idleMsMin - 1, false],
    [true, idleMsMin, true],
    [false, idleUnknownMsMin - 1, false],
    [false, idleUnknownMsMin, true],
  ])('of clients (logged in: %s) that are idle for %d ms can go to another: %s', (loggedIn, ms, goes) => {
    const { many, enter, pass, door } = opened();
    const guests = many(connectionsMax, spread, loggedIn);
    const [idle, ...busy] = guests;
    pass(ms, busy);
    expect(enter('10.0.0.1') !== undefined).toBe(goes);
    expect(idle?.destroyed).toBe(goes);
    expect(busy.some(({ destroyed }) => destroyed)).toBe(false);
    const { worst } = door.view()[goes ? 'idle-closed' : 'no-place'];
    const who = loggedIn ? 'client "x"' : 'a client that has not logged in';
    expect(worst?.who).toBe(goes ? `${who} at 10.0.0.0, idle for ${Math.round(ms / 1_000)} s` : '10.0.0.1');
  });

  it('go from the longest idle first', () => {
    const { many, enter, pass } = opened();
    const guests = many(connectionsMax, spread);
    pass(1_000, guests.slice(0, 5));
    pass(1_000, guests.slice(0, 3));
    pass(idleMsMin, guests.slice(5));
    for (let i = 0; i < 3; i++) enter('10.0.0.1');
    expect(guests.map(({ destroyed }) => destroyed).slice(0, 6)).toEqual([true, false, false, true, true, false]);
  });

  it('are not taken from clients that are not read because there is no room for what they sent', () => {
    const { many, enter, pass } = opened();
    const guests = many(connectionsMax, spread);
    for (const guest of guests) guest.readableLength = 1;
    pass(idleMsMin);
    expect(enter('10.0.0.1')).toBeUndefined();
  });

  it('of one address are bounded, but for this machine', () => {
    const { many, enter, pass, count } = opened();
    const [first] = many(connectionsPerAddressMax, () => '10.0.0.1');
    expect([enter('10.0.0.1'), count('address-full')]).toEqual([undefined, 1]);
    pass(idleMsMin);
    expect(enter('10.0.0.1')).toBeDefined();
    expect(first?.destroyed).toBe(true);
    many(connectionsMax - connectionsPerAddressMax, () => '127.0.0.1');
    const own = opened();
    expect(own.many(connectionsMax, () => '127.0.0.1').every(Boolean)).toBe(true);
    expect(own.count('address-full')).toBe(0);
  });

  it('go from the address that has most to one that has fewer, even if it is busy, until both have as many', () => {
    const { many, enter, pass, count } = opened();
    const guests = many(connectionsMax, () => '127.0.0.1');
    pass(1_000, guests.slice(1));
    const newcomers = many(connectionsMax, () => '10.0.0.1').filter(Boolean);
    expect(newcomers).toHaveLength(connectionsMax / 2);
    expect([guests[0]?.destroyed, guests.filter(({ destroyed }) => destroyed).length]).toEqual([
      true,
      connectionsMax / 2,
    ]);
    expect(enter('127.0.0.1')).toBeUndefined();
    expect(count('idle-closed')).toBe(connectionsMax / 2);
  });
});
