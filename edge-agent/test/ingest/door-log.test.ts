import { describe, expect, it } from 'vitest';

import { DoorLog, quoted } from '../../src/ingest/door-log.ts';
import { limits } from '../../src/limits.ts';

describe('the log of the door', () => {
  const opened = (): { readonly log: DoorLog; readonly clock: { now: number } } => {
    const clock = { now: 1_000_000 };
    return { clock, log: new DoorLog(() => clock.now) };
  };

  it('counts every reason apart, and names the client that causes it most often', () => {
    const { log } = opened();
    log.note('taken-over', 'a');
    for (const who of ['b 1', 'b 2']) log.note('taken-over', who, 'b');
    log.note('not-mqtt', 'c');
    const view = log.view();
    expect(view['taken-over']).toMatchObject({ count: 3, worst: { who: 'b 2', times: 2 } });
    expect(view['not-mqtt'].count).toBe(1);
    expect(view['protocol-version']).toEqual({ count: 0, worst: null });
  });

  it.each([
    [limits.doorQuietMs - 1, 2],
    [limits.doorQuietMs, 1],
  ])('counts again from one after %d ms of quiet: %d', (ms, times) => {
    const { log, clock } = opened();
    log.note('taken-over', 'a');
    clock.now += ms;
    expect(log.view()['taken-over'].worst === null).toBe(times === 1);
    log.note('taken-over', 'a');
    expect(log.view()['taken-over']).toMatchObject({ count: 2, worst: { times } });
  });

  it('remembers a bounded number of clients, and of the others the count', () => {
    const { log } = opened();
    for (let i = 0; i <= limits.doorClientsMax; i++) log.note('not-mqtt', `${i}`);
    log.note('not-mqtt', '0');
    expect(log.view()['not-mqtt']).toMatchObject({ count: limits.doorClientsMax + 2, worst: { times: 1 } });
  });

  it.each([
    ['pump', '"pump"'],
    ['a"b\n\u202e', '"a\\"b\\n\\u{202e}"'],
    ['x'.repeat(61), `"${'x'.repeat(60)}…"`],
  ])('quotes %j as %s', (name, expected) => expect(quoted(name)).toBe(expected));
});
