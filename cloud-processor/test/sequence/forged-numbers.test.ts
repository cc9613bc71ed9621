import { days, epochMs, type FloorRecord, type GapRecord, limits } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { recordDigest } from '../../src/sequence/record-digest.ts';
import { Sequencer, type SourceName } from '../../src/sequence/sequencer.ts';
import { anomaly, BASE, GATEWAY, rollups, report, sequencerLimits, start, tick } from '../support/floor.ts';

const SOURCE: SourceName = { ...GATEWAY, lane: 'telemetry' };
const AT = epochMs(BASE);
const [E1, E2] = ['1-00000001', '2-00000002'] as const;
const FAR = limits.numbersAheadMax;

const numbers = (from: number, to: number): FloorRecord[] =>
  Array.from({ length: to - from + 1 }, (_, i) => tick(from + i, BASE + from + i));
const gap = (number: number, to: number, reason: GapRecord['reason'] = 'cap'): GapRecord => {
  return { kind: 'gap', number, to, reason, frames: [] };
};

/** One epoch that has come to `floor`. */
function at(floor: number): Sequencer {
  const sequencer = new Sequencer(sequencerLimits());
  sequencer.accept(SOURCE, E1, [start(), ...numbers(2, floor)], AT);
  return sequencer;
}

const restarted = (sequencer: Sequencer): Sequencer => new Sequencer(sequencerLimits(), sequencer.snapshot());
const floorOf = (sequencer: Sequencer) => sequencer.floor(SOURCE);

describe('a gap that the gateway did not write', () => {
  it.each<[string, FloorRecord[][]]>([
    ['alone', [[gap(6, 10_411)]]],
    ['that ends where it does not', [[gap(6, 8)]]],
    ['in several pieces', [[gap(6, 9)], [gap(10, 10_411)]]],
    ['behind records of its own', [[...numbers(4, 5), gap(6, 10_411)]]],
  ])('%s is refuted by the next record, and nothing is missing', (_what, forged) => {
    const sequencer = at(5);
    for (const records of forged) sequencer.accept(SOURCE, E1, records, AT);
    for (const one of [restarted(sequencer), sequencer]) {
      const judgement = one.accept(SOURCE, E1, numbers(6, 7), AT);
      expect(judgement).toMatchObject({ from: 0, floor: 5, duplicates: 0, alarms: ['gap-refuted'], refutedFrom: 6 });
      expect(floorOf(one)).toEqual({ epoch: E1, floor: 7, highest: 7 });
      expect(one.accept(SOURCE, E1, numbers(8, 9), AT)).toMatchObject({ from: 0, alarms: [] });
    }
  });

  it('is refuted by a later record too, and what lies before that is asked for again', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E1, [gap(6, 100)], AT);
    expect(sequencer.accept(SOURCE, E1, numbers(20, 30), AT)).toMatchObject({
      from: 11,
      ahead: 11,
      alarms: ['gap-refuted'],
      refutedFrom: 6,
    });
    expect(floorOf(sequencer)).toEqual({ epoch: E1, floor: 5, highest: 30 });
    expect(sequencer.accept(SOURCE, E1, numbers(6, 30), AT)).toMatchObject({ from: 0, alarms: [] });
  });

  it('is refuted where it took the place of the end of an epoch', () => {
    const sequencer = at(5);
    const forged = { ...gap(1, 1, 'trimmed'), predecessor: { epoch: E1, last: 900 } };
    expect(sequencer.accept(SOURCE, E2, [forged], AT)).toMatchObject({ begun: 'after-loss' });
    expect(sequencer.accept(SOURCE, E1, numbers(6, 7), AT)).toMatchObject({
      from: 0,
      floor: 5,
      alarms: ['gap-refuted', 'not-current'],
      refutedFrom: 6,
    });
  });

  it('with a record behind it is known by that record, once the gateway gets there', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E1, [gap(6, 9), tick(10, BASE)], AT);
    expect(sequencer.accept(SOURCE, E1, numbers(6, 9), AT)).toMatchObject({ duplicates: 4, alarms: [] });
    expect(sequencer.accept(SOURCE, E1, numbers(10, 11), AT)).toMatchObject({ from: 1, alarms: ['other-content'] });
    expect(sequencer.accept(SOURCE, E1, numbers(12, 12), AT)).toMatchObject({ from: 0, alarms: [] });
  });
});

describe("a gap of the gateway's own", () => {
  it.each<[string, FloorRecord[]]>([
    ['again', [gap(6, 9)]],
    ['with what follows', [gap(6, 9), ...numbers(10, 12)]],
    ['grown', [gap(6, 12)]],
    ['with what lay before it', [...numbers(3, 5), gap(6, 9)]],
  ])('is not refuted when it comes %s', (_what, records) => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E1, [gap(6, 9)], AT);
    expect(sequencer.accept(SOURCE, E1, records, AT).alarms).toEqual([]);
    expect(floorOf(sequencer).floor).toBeGreaterThanOrEqual(9);
  });

  it('is not refuted by records that were applied before it grew around them', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E1, [gap(3, 9)], AT);
    expect(sequencer.accept(SOURCE, E1, numbers(3, 5), AT)).toMatchObject({ duplicates: 3, alarms: [] });
    expect(floorOf(sequencer)).toEqual({ epoch: E1, floor: 9, highest: 9 });
  });

  it('is not taken back once something behind it was applied: that would be applied twice', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E1, [gap(6, 9), ...numbers(10, 12)], AT);
    expect(sequencer.accept(SOURCE, E1, numbers(6, 9), AT)).toMatchObject({ from: 4, duplicates: 4 });
    expect(floorOf(sequencer)).toEqual({ epoch: E1, floor: 12, highest: 12 });
  });
});

describe('a record with a number that another one had', () => {
  const records = [
    rollups(5, [{ sensor: 0, at: BASE, value: 1 }]),
    rollups(5, [{ sensor: 0, at: BASE, value: 2 }]),
    tick(5, BASE),
    tick(5, BASE + 1),
    anomaly(5, 1, 'opened'),
    anomaly(5, 2, 'opened'),
    report(5),
  ];

  it('raises an alarm, whatever the two are; the first one counts', () => {
    for (const [i, first] of records.entries()) {
      for (const [j, second] of records.entries()) {
        const sequencer = at(4);
        sequencer.accept(SOURCE, E1, [first], AT);
        const judgement = restarted(sequencer).accept(SOURCE, E1, [second, ...numbers(6, 6)], AT);
        expect(judgement).toMatchObject({ from: 1, duplicates: 1, alarms: i === j ? [] : ['other-content'] });
      }
    }
  });

  it('is the same one in another batch, or when it has become backlog', () => {
    const [record] = records;
    if (record?.kind !== 'rollups') throw new Error('not rollups');
    const elsewhere = { ...record, columns: { ...record.columns, sensor: [7] } };
    expect(recordDigest(elsewhere)).toBe(recordDigest(record));
    const opened = anomaly(5, 1, 'opened');
    expect(recordDigest({ ...opened, provenance: 'backlog' })).toBe(recordDigest(opened));
  });
});

describe('numbers from the future', () => {
  const why = (records: readonly FloorRecord[], epoch: string = E1) =>
    at(5).impossibleNumber(SOURCE, epoch, records) ?? '';

  it.each<[string, readonly FloorRecord[], string, string]>([
    ['as far ahead as a gateway gets', [tick(FAR + 5, BASE)], E1, ''],
    ['one further', [tick(FAR + 6, BASE)], E1, 'more than 10000000 behind 5'],
    ['the last exact number', [tick(Number.MAX_SAFE_INTEGER, BASE)], E1, 'more than 10000000 behind 5'],
    ['a gap as far ahead as a gateway gets', [gap(6, FAR + 5)], E1, ''],
    ['gaps in turn that end further on', [gap(6, FAR + 5), gap(FAR + 6, 2 * FAR), tick(2 * FAR + 1, BASE)], E1, ''],
    ['a gap that ends one further', [gap(7, FAR + 6)], E1, 'more than 10000000 behind 5'],
    ['an epoch that follows one as long as they get', [start({ epoch: E1, last: FAR + 5 })], E2, ''],
    ['an epoch that follows a longer one', [start({ epoch: E1, last: FAR + 6 })], E2, `of which 5 was applied last`],
    [
      'a gap in the place of the start of such an epoch',
      [{ ...gap(1, 1, 'trimmed'), predecessor: { epoch: E1, last: 9e15 } }],
      E2,
      'of which 5 was applied last',
    ],
    ['an epoch that follows one that nobody knows', [start({ epoch: '9-00000009', last: 9e15 })], E2, ''],
    ['an epoch that nobody knows, far on', [tick(FAR + 1, BASE)], E2, ''],
  ])('%s', (_what, records, epoch, message) => {
    expect(why(records, epoch)).toContain(message);
    expect(why(records, epoch) === '').toBe(message === '');
  });

  it('are judged by the floor, which may have come further', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E1, [gap(6, FAR)], epochMs(BASE + days(1)));
    expect(sequencer.impossibleNumber(SOURCE, E1, [tick(FAR + 6, BASE)])).toBeUndefined();
  });

  it('are none where the checkpoint is lost: an agent that has run for months is asked for what it has, and taken', () => {
    const sequencer = new Sequencer(sequencerLimits());
    const send = (...records: FloorRecord[]) => {
      expect(sequencer.impossibleNumber(SOURCE, E1, records)).toBeUndefined();
      sequencer.accept(SOURCE, E1, records, AT);
      return floorOf(sequencer);
    };
    const newest = tick(4 * FAR + 1, BASE);
    expect(send(newest)).toEqual({ epoch: null, floor: 0, highest: 1 });
    expect(send(gap(1, FAR, 'trimmed'))).toEqual({ epoch: E1, floor: FAR, highest: FAR });
    const gaps = [1, 2, 3].map((i) => gap(i * FAR + 1, (i + 1) * FAR, 'trimmed'));
    expect(send(...gaps, newest)).toEqual({ epoch: E1, floor: 4 * FAR + 1, highest: 4 * FAR + 1 });
  });
});
