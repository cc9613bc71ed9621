import type { FloorRecord, GapRecord } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type Judgement, Sequencer, type SourceName } from '../../src/sequence/sequencer.ts';
import { BASE, GATEWAY, tick } from '../support/floor.ts';

const SOURCE: SourceName = { ...GATEWAY, lane: 'telemetry' };
const EPOCH = '1-00000001';

const numbers = (from: number, to: number): FloorRecord[] =>
  Array.from({ length: to - from + 1 }, (_, i) => tick(from + i, BASE + from + i));
const gap = (number: number, to: number): GapRecord => ({ kind: 'gap', number, to, reason: 'cap', frames: [] });

const at = (floor: number): Sequencer => {
  const sequencer = new Sequencer(10);
  if (floor > 0) sequencer.accept(SOURCE, EPOCH, numbers(1, floor));
  return sequencer;
};

describe('a batch with the floor at 5', () => {
  it.each<[string, FloorRecord[], Omit<Judgement, 'newEpoch'>, number]>([
    ['ends below the floor', numbers(3, 4), { from: 2, duplicates: 2, missing: 0 }, 5],
    ['ends at the floor', numbers(4, 5), { from: 2, duplicates: 2, missing: 0 }, 5],
    ['ends behind the floor', numbers(4, 6), { from: 2, duplicates: 2, missing: 0 }, 6],
    ['begins behind the floor', numbers(6, 7), { from: 0, duplicates: 0, missing: 0 }, 7],
    ['begins one further', numbers(7, 7), { from: 0, duplicates: 0, missing: 1 }, 7],
    ['begins far behind', numbers(106, 107), { from: 0, duplicates: 0, missing: 100 }, 107],
    ['has a gap below the floor', [gap(2, 5), ...numbers(6, 6)], { from: 1, duplicates: 4, missing: 0 }, 6],
    ['has a gap around the floor', [gap(3, 8), ...numbers(9, 9)], { from: 0, duplicates: 0, missing: 0 }, 9],
    ['has a gap behind the floor', [gap(6, 9)], { from: 0, duplicates: 0, missing: 0 }, 9],
    ['has a gap further on', [gap(8, 9)], { from: 0, duplicates: 0, missing: 2 }, 9],
  ])('that %s', (_what, records, judgement, floor) => {
    const sequencer = at(5);
    expect(sequencer.accept(SOURCE, EPOCH, records)).toEqual({ ...judgement, newEpoch: false });
    expect(sequencer.floor(SOURCE, EPOCH)).toBe(floor);
  });
});

describe('epochs', () => {
  it('each have a floor of their own and begin at 1, in any order', () => {
    const sequencer = at(5);
    expect(sequencer.accept(SOURCE, '2-00000002', numbers(1, 2))).toEqual({
      from: 0,
      duplicates: 0,
      missing: 0,
      newEpoch: true,
    });
    expect(sequencer.accept(SOURCE, EPOCH, numbers(5, 6))).toMatchObject({ from: 1, duplicates: 1, newEpoch: false });
    expect(sequencer.accept(SOURCE, '2-00000002', numbers(1, 2))).toMatchObject({ duplicates: 2 });
  });

  it('that begin behind 1 miss what is before', () => {
    expect(at(0).accept(SOURCE, EPOCH, numbers(4, 4))).toEqual({ from: 0, duplicates: 0, missing: 3, newEpoch: true });
  });

  it('of the other lane and of another gateway are separate', () => {
    const sequencer = at(5);
    expect(sequencer.accept({ ...SOURCE, lane: 'anomaly' }, EPOCH, numbers(1, 1))).toMatchObject({ from: 0 });
    expect(sequencer.accept({ ...SOURCE, gateway: 'gw-2' }, EPOCH, numbers(1, 1))).toMatchObject({ from: 0 });
  });

  it('are forgotten beyond the limit, oldest first, and that is counted', () => {
    const sequencer = new Sequencer(2);
    for (const epoch of ['1-00000001', '2-00000002', '3-00000003']) sequencer.accept(SOURCE, epoch, numbers(1, 1));
    expect(sequencer.forgottenEpochs).toBe(1);
    expect(sequencer.floor(SOURCE, '1-00000001')).toBeUndefined();
    expect(sequencer.floor(SOURCE, '3-00000003')).toBe(1);
  });
});

describe('any stream of batches', () => {
  /** Cuts 1..total into consecutive batches. */
  const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 10 }).map((lengths) => {
    let next = 1;
    return lengths.map((length) => {
      const batch = numbers(next, next + length - 1);
      next += length;
      return batch;
    });
  });

  const applied = (sequencer: Sequencer, batches: readonly (readonly FloorRecord[])[]): number[] =>
    batches.flatMap((records) =>
      records.slice(sequencer.accept(SOURCE, EPOCH, records).from).map(({ number }) => number),
    );

  it('with duplicates and resends lets every number through once and in order', () => {
    fc.assert(
      fc.property(cuts, fc.array(fc.nat()), fc.nat(20), (batches, repeats, cut) => {
        // After each batch, any batch sent so far may come again, cut anew or not.
        const sent: (readonly FloorRecord[])[] = [];
        for (const [index, batch] of batches.entries()) {
          sent.push(batch);
          const repeat = repeats[index];
          if (repeat === undefined) continue;
          const again = batches.slice(repeat % (index + 1), index + 1);
          sent.push(...(repeat % 2 === 0 ? again : [again.flat()]));
        }
        let sequencer = new Sequencer(10);
        const result = applied(sequencer, sent.slice(0, cut));
        sequencer = new Sequencer(10, sequencer.snapshot());
        result.push(...applied(sequencer, sent.slice(cut)));
        expect(result).toEqual(batches.flat().map(({ number }) => number));
      }),
    );
  });

  it('with losses counts exactly the numbers that never came', () => {
    fc.assert(
      fc.property(cuts, fc.array(fc.boolean()), (batches, lost) => {
        const sequencer = new Sequencer(10);
        const sent = batches.filter((_, index) => lost[index] !== true);
        let missing = 0;
        for (const records of sent) missing += sequencer.accept(SOURCE, EPOCH, records).missing;
        const last = sent.at(-1)?.at(-1)?.number ?? 0;
        expect(missing).toBe(last - sent.flat().length);
      }),
    );
  });
});
