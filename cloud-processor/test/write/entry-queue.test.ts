import fc from 'fast-check';
import { expect, it } from 'vitest';

import { type Entry, EntryQueue, GONE_MAX } from '../../src/write/entry-queue.ts';
import { windowRow } from './sample-rows.ts';

const row = windowRow();
const entry = (number: number): Entry => ({
  key: String(number),
  table: 'window',
  row,
  checkpoint: number,
  first: true,
  place: 'gone',
});

it('gives out in order what is in it, whatever leaves from the middle or may not go yet', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), count: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constant('leave' as const), at: fc.nat(20) }),
    fc.record({ kind: fc.constant('take' as const), max: fc.nat(8), waiting: fc.integer({ min: 2, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const queue = new EntryQueue('ready');
      let plain: Entry[] = [];
      let next = 0;
      for (const action of steps) {
        let [taken, expected]: [Entry[], Entry[]] = [[], []];
        if (action.kind === 'push') {
          for (let i = 0; i < action.count; i++) {
            const pushed = entry(next++);
            queue.push(pushed);
            plain.push(pushed);
          }
        } else if (action.kind === 'leave') {
          const left = plain[action.at];
          if (left === undefined) continue;
          queue.left(left);
          left.place = 'gone';
          plain = plain.filter((other) => other !== left);
        } else {
          const mayGo = ({ checkpoint }: Entry): boolean => checkpoint % action.waiting !== 0;
          expected = plain.filter(mayGo).slice(0, action.max);
          taken = queue.take(action.max, mayGo);
          for (const gone of taken) gone.place = 'sending';
          plain = plain.filter((other) => !expected.includes(other));
        }
        expect(taken).toEqual(expected);
        expect([...queue.entries()]).toEqual(plain);
        expect(queue.size).toBe(plain.length);
      }
    }),
    { numRuns: 500 },
  );
});

it('stays in order when most of what was put into it is gone', () => {
  const queue = new EntryQueue('held');
  const kept: Entry[] = [];
  for (let number = 0; number < 3 * GONE_MAX; number++) {
    const pushed = entry(number);
    queue.push(pushed);
    if (number % 1_000 === 0) kept.push(pushed);
    else {
      queue.left(pushed);
      pushed.place = 'gone';
    }
  }
  expect(queue.take(Infinity, () => true)).toEqual(kept);
  expect(queue.size).toBe(0);
});
