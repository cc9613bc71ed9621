import { days, type EpochMs, epochMs, type FloorRecord, type GapRecord, type Predecessor } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { floorOfSnapshot, type Judgement, Sequencer, type SourceName } from '../../src/sequence/sequencer.ts';
import { BASE, GATEWAY, sequencerLimits, start, tick } from '../support/floor.ts';

const SOURCE: SourceName = { ...GATEWAY, lane: 'telemetry' };
const AT = epochMs(BASE);
const [E1, E2, E3] = ['1-00000001', '2-00000002', '3-00000003'] as const;

const numbers = (from: number, to: number): FloorRecord[] =>
  Array.from({ length: to - from + 1 }, (_, i) => tick(from + i, BASE + from + i));
const gap = (number: number, to: number, reason: GapRecord['reason'] = 'cap'): GapRecord => {
  return { kind: 'gap', number, to, reason, frames: [] };
};
/** Records 1 to `to` of an epoch: the first is its start. */
const begin = (predecessor: Predecessor, to = 1): FloorRecord[] => [start(predecessor), ...numbers(2, to)];

/** One epoch that has come to `floor`. */
function at(floor: number): Sequencer {
  const sequencer = new Sequencer(sequencerLimits());
  sequencer.accept(SOURCE, E1, begin(null, floor), AT);
  return sequencer;
}

const restarted = (sequencer: Sequencer): Sequencer => new Sequencer(sequencerLimits(), sequencer.snapshot());

describe('a batch with the floor at 5', () => {
  const nothing: Judgement = { from: 0, run: 1, floor: 5, duplicates: 0, ahead: 0, begun: false, alarms: [] };

  it.each<[string, FloorRecord[], Partial<Judgement>, number, number]>([
    ['ends below the floor', numbers(3, 4), { from: 2, duplicates: 2 }, 5, 5],
    ['ends at the floor', numbers(4, 5), { from: 2, duplicates: 2 }, 5, 5],
    ['ends behind the floor', numbers(4, 6), { from: 2, duplicates: 2 }, 6, 6],
    ['begins behind the floor', numbers(6, 7), {}, 7, 7],
    ['begins one further', numbers(7, 7), { from: 1, ahead: 1 }, 5, 7],
    ['begins far behind', numbers(106, 107), { from: 2, ahead: 2 }, 5, 107],
    ['has a gap below the floor', [gap(2, 5), ...numbers(6, 6)], { from: 1, duplicates: 4 }, 6, 6],
    ['has a gap that ends at the floor', [gap(2, 5)], { from: 1, duplicates: 4 }, 5, 5],
    ['has a gap around the floor', [gap(3, 8), ...numbers(9, 9)], { duplicates: 3 }, 9, 9],
    ['has a gap from the floor', [gap(5, 6)], { duplicates: 1 }, 6, 6],
    ['has a gap behind the floor', [gap(6, 9)], {}, 9, 9],
    ['has a gap further on', [gap(8, 9)], { from: 1, ahead: 2 }, 5, 9],
    ['has a gap of what was trimmed', [gap(6, 9, 'trimmed')], { alarms: ['trimmed'] }, 9, 9],
    ['has such a gap below the floor', [gap(2, 5, 'trimmed')], { from: 1, duplicates: 4 }, 5, 5],
  ])('that %s', (_what, records, judgement, floor, highest) => {
    for (const sequencer of [at(5), restarted(at(5))]) {
      expect(sequencer.accept(SOURCE, E1, records, AT)).toEqual({ ...nothing, ...judgement });
      expect(sequencer.floor(SOURCE)).toEqual({ epoch: E1, floor, highest });
      expect(sequencer.sourcesWaiting).toBe(highest > floor ? 1 : 0);
      expect(restarted(sequencer).floor(SOURCE)).toEqual({ epoch: E1, floor, highest });
    }
  });
});

describe('runs that the store tells of', () => {
  const after = (last: number): Predecessor => ({ epoch: E1, last });
  const told = { ...GATEWAY, runs: [[1, E1, 1, 5] as const, [2, E2, 1, 3] as const] };
  const run = (sequencer: Sequencer, epoch: string, records: readonly FloorRecord[]): number =>
    sequencer.accept(SOURCE, epoch, records, AT).run;

  it('are those of records that come again, and of what follows them while no other run has begun', () => {
    const sequencer = at(3);
    sequencer.remember({ gateways: [told], runsTo: 7 });
    expect(run(sequencer, E1, numbers(4, 5))).toBe(1);
    expect(run(sequencer, E1, numbers(6, 6))).toBe(1);
    expect(run(sequencer, E2, begin(after(6), 4))).toBe(2);
  });

  it('never come back behind a later one', () => {
    const sequencer = at(3);
    sequencer.remember({ gateways: [told], runsTo: 7 });
    expect(run(sequencer, E1, numbers(4, 5))).toBe(1);
    expect(run(sequencer, E2, begin(after(5), 3))).toBe(2);
    // A copy of the gateway's disk wakes up.
    expect(run(sequencer, E1, numbers(6, 6))).toBe(8);
    expect(run(sequencer, E2, numbers(4, 4))).toBe(9);
  });
});

describe('an epoch', () => {
  const after = (last: number): Predecessor => ({ epoch: E1, last });

  it.each<[string, Sequencer, FloorRecord[], Judgement['begun'], Judgement['alarms'], object]>([
    [
      'without a predecessor begins where nothing is known',
      new Sequencer(sequencerLimits()),
      begin(null, 3),
      'in-turn',
      [],
      { epoch: E2, floor: 3, highest: 3 },
    ],
    [
      'begins when its predecessor is complete',
      at(5),
      begin(after(5), 3),
      'in-turn',
      [],
      { epoch: E2, floor: 3, highest: 3 },
    ],
    [
      'waits for one number of its predecessor',
      at(5),
      begin(after(6), 3),
      false,
      [],
      { epoch: E1, floor: 5, highest: 6 },
    ],
    ['waits for many', at(5), begin(after(60), 3), false, [], { epoch: E1, floor: 5, highest: 60 }],
    [
      'whose predecessor ended earlier begins, with an alarm',
      at(5),
      begin(after(4), 3),
      'in-turn',
      ['shorter'],
      { epoch: E2, floor: 3, highest: 3 },
    ],
    [
      'without a predecessor where others are known begins, with an alarm',
      at(5),
      begin(null),
      'in-turn',
      ['no-predecessor'],
      { epoch: E2, floor: 1, highest: 1 },
    ],
    [
      'of an unknown predecessor waits',
      at(5),
      begin({ epoch: E3, last: 9 }),
      false,
      [],
      { epoch: E1, floor: 5, highest: 6 },
    ],
    [
      'of an unknown predecessor waits where nothing is known',
      new Sequencer(sequencerLimits()),
      begin(after(5)),
      false,
      [],
      { epoch: null, floor: 0, highest: 1 },
    ],
    ['whose start is missing waits', at(5), numbers(2, 4), false, [], { epoch: E1, floor: 5, highest: 6 }],
    [
      'whose start is missing waits where nothing is known',
      new Sequencer(sequencerLimits()),
      numbers(2, 4),
      false,
      [],
      { epoch: null, floor: 0, highest: 1 },
    ],
    [
      'begins with a gap like with a start',
      at(5),
      [{ ...gap(1, 9), predecessor: after(5) }],
      'in-turn',
      [],
      { epoch: E2, floor: 9, highest: 9 },
    ],
    [
      'with a gap waits for its predecessor, too',
      at(5),
      [{ ...gap(1, 9), predecessor: after(6) }],
      false,
      [],
      { epoch: E1, floor: 5, highest: 6 },
    ],
    [
      'with a gap of an unknown predecessor waits',
      at(5),
      [{ ...gap(1, 9, 'damage'), predecessor: { epoch: E3, last: 9 } }],
      false,
      [],
      { epoch: E1, floor: 5, highest: 6 },
    ],
    [
      'with a trimmed gap of an unknown predecessor begins, with an alarm',
      at(5),
      [{ ...gap(1, 9, 'trimmed'), predecessor: { epoch: E3, last: 9 } }],
      'after-loss',
      ['trimmed'],
      { epoch: E2, floor: 9, highest: 9 },
    ],
    [
      'with a trimmed gap does not wait for what is trimmed, too, and raises an alarm',
      at(5),
      [{ ...gap(1, 9, 'trimmed'), predecessor: after(7) }],
      'after-loss',
      ['trimmed'],
      { epoch: E2, floor: 9, highest: 9 },
    ],
    [
      'with a trimmed gap begins in its turn when its predecessor is complete',
      at(5),
      [{ ...gap(1, 9, 'trimmed'), predecessor: after(5) }],
      'in-turn',
      ['trimmed'],
      { epoch: E2, floor: 9, highest: 9 },
    ],
    [
      'of an older agent begins with any record',
      new Sequencer(sequencerLimits()),
      numbers(1, 4),
      'in-turn',
      [],
      { epoch: E2, floor: 4, highest: 4 },
    ],
    [
      'of an older agent follows another one without a word',
      at(5),
      numbers(1, 4),
      'in-turn',
      [],
      { epoch: E2, floor: 4, highest: 4 },
    ],
  ])('%s', (_what, sequencer, records, begun, alarms, floor) => {
    const again = restarted(sequencer);
    for (const one of [sequencer, again]) {
      const judgement = one.accept(SOURCE, E2, records, AT);
      expect(judgement).toMatchObject({ begun, alarms, floor: 0, duplicates: 0 });
      const count = records.reduce((sum, record) => sum + (record.kind === 'gap' ? record.to : 1), 0);
      expect(judgement).toMatchObject(begun === false ? { from: records.length, ahead: count } : { from: 0, ahead: 0 });
      expect(one.floor(SOURCE)).toEqual(floor);
      expect(restarted(one).floor(SOURCE)).toEqual(floor);
    }
  });

  it('that waited begins when what it waits for has come, and nothing is waited for any more', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E2, begin(after(7), 3), AT);
    expect(sequencer.accept(SOURCE, E1, numbers(6, 6), AT)).toMatchObject({ from: 0, alarms: [] });
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E1, floor: 6, highest: 7 });
    sequencer.accept(SOURCE, E1, numbers(7, 7), AT);
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E1, floor: 7, highest: 7 });
    expect(sequencer.accept(SOURCE, E2, begin(after(7), 3), AT)).toMatchObject({ begun: 'in-turn', alarms: [] });
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E2, floor: 3, highest: 3 });
  });

  it('that follows the same one as another raises an alarm, and both go on', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E2, begin(after(5), 2), AT);
    expect(sequencer.accept(SOURCE, E3, begin(after(5), 2), AT)).toMatchObject({ alarms: ['second-successor'] });
    expect(sequencer.floor(SOURCE)).toMatchObject({ epoch: E3 });
    expect(sequencer.accept(SOURCE, E2, numbers(2, 3), AT)).toMatchObject({ from: 1, duplicates: 1, alarms: [] });
    // Heard last, and none has a successor.
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E2, floor: 3, highest: 3 });
    sequencer.accept(SOURCE, E3, numbers(1, 2), AT);
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E3, floor: 2, highest: 2 });
  });

  it('of which the end is lost is complete when the next one begins, and its gateway is told so', () => {
    const sequencer = at(5);
    const lost: GapRecord = { ...gap(1, 3, 'trimmed'), predecessor: after(8) };
    expect(sequencer.accept(SOURCE, E2, [lost], AT)).toMatchObject({ from: 0, begun: 'after-loss' });
    const [snapshot] = sequencer.snapshot();
    expect(floorOfSnapshot(snapshot!)).toMatchObject({ epoch: E2, floor: 3, others: [{ epoch: E1, floor: 8 }] });
  });

  it('that is over: duplicates of it say nothing, new records of it are applied with an alarm', () => {
    const sequencer = at(5);
    sequencer.accept(SOURCE, E2, begin(after(5), 2), AT);
    expect(sequencer.accept(SOURCE, E1, numbers(4, 5), AT)).toMatchObject({ duplicates: 2, alarms: [] });
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E2, floor: 2, highest: 2 });
    expect(sequencer.accept(SOURCE, E1, numbers(5, 6), AT)).toMatchObject({ from: 1, alarms: ['not-current'] });
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E2, floor: 2, highest: 2 });
    // A hole in it is told as one behind the current epoch: its gateway does not know that one, and sends all it has.
    expect(sequencer.accept(SOURCE, E1, numbers(9, 9), AT)).toMatchObject({ ahead: 1, alarms: [] });
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: E2, floor: 2, highest: 3 });
  });

  it('of the other lane and of another gateway are separate', () => {
    const sequencer = at(5);
    for (const other of [
      { ...SOURCE, lane: 'anomaly' as const },
      { ...SOURCE, gateway: 'gw-2' },
    ]) {
      expect(sequencer.floor(other)).toEqual({ epoch: null, floor: 0, highest: 0 });
      expect(sequencer.accept(other, E1, begin(null), AT)).toMatchObject({ from: 0, begun: 'in-turn', alarms: [] });
    }
  });
});

describe('old epochs', () => {
  const name = (i: number): string => `${i}-0000000a`;
  const limits = sequencerLimits({ epochsPerSourceMin: 2, epochsPerSourceMax: 5 });

  /** Starts of one record each, `apart` milliseconds from one another. */
  function startsOf(count: number, apart: number): Sequencer {
    const sequencer = new Sequencer(limits);
    for (let i = 1; i <= count; i++) {
      const records = begin(i === 1 ? null : { epoch: name(i - 1), last: 1 });
      expect(sequencer.accept(SOURCE, name(i), records, epochMs(BASE + i * apart))).toMatchObject({ alarms: [] });
    }
    return sequencer;
  }
  const known = (sequencer: Sequencer): string[] => sequencer.snapshot()[0]!.epochs.map(([epoch]) => epoch);

  it('are kept while the stream can hold their records, then forgotten, which is counted', () => {
    // Each was heard of last when its successor began.
    const kept = startsOf(4, days(7) / 2);
    expect(known(kept)).toEqual([name(1), name(2), name(3), name(4)]);
    const one = kept.accept(SOURCE, name(5), begin({ epoch: name(4), last: 1 }), epochMs(BASE + 2.5 * days(7) + 1));
    expect(one.begun).toBe('in-turn');
    expect(known(kept)).toEqual([name(3), name(4), name(5)]);
    expect(kept).toMatchObject({ forgottenOld: 2, forgottenAtLimit: 0 });
  });

  it('without a successor are kept however old they are: their gateway may go on', () => {
    const sequencer = startsOf(2, 1);
    // A copy of the disk has begun another epoch behind the first one, and only that one goes on.
    sequencer.accept(SOURCE, 'copy-1', begin({ epoch: name(1), last: 1 }), epochMs(BASE + 2));
    const muchLater = (count: number): EpochMs => epochMs(BASE + days(count));
    sequencer.accept(SOURCE, 'copy-2', begin({ epoch: 'copy-1', last: 1 }), muchLater(10));
    sequencer.accept(SOURCE, 'copy-3', begin({ epoch: 'copy-2', last: 1 }), muchLater(20));
    expect(known(sequencer)).toEqual([name(2), 'copy-2', 'copy-3']);
    expect(sequencer.accept(SOURCE, name(2), numbers(1, 3), muchLater(20))).toMatchObject({ from: 1, duplicates: 1 });
  });

  it('heard again are kept', () => {
    const sequencer = startsOf(2, 1);
    const later = epochMs(BASE + days(7) + 10);
    sequencer.accept(SOURCE, name(1), begin(null), later);
    sequencer.accept(SOURCE, name(3), begin({ epoch: name(2), last: 1 }), later);
    expect(known(sequencer)).toContain(name(1));
  });

  it('take their runs along when they are forgotten', () => {
    const sequencer = startsOf(8, 1);
    expect(sequencer.snapshot()[0]!.runs.map(([, epoch]) => epoch)).toEqual(known(sequencer));
  });

  it('do not count the current one, also where the clock of the stream goes back', () => {
    const sequencer = startsOf(5, 1);
    sequencer.accept(SOURCE, name(6), begin(null), epochMs(BASE - 1_000));
    expect(known(sequencer)).toEqual([name(2), name(3), name(4), name(5), name(6)]);
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: name(6), floor: 1, highest: 1 });
  });

  it('are forgotten at the limit, which is counted apart, but never the current one', () => {
    const sequencer = startsOf(8, 1);
    expect(known(sequencer)).toEqual([name(4), name(5), name(6), name(7), name(8)]);
    expect(sequencer).toMatchObject({ forgottenOld: 0, forgottenAtLimit: 3 });
    expect(sequencer.floor(SOURCE)).toEqual({ epoch: name(8), floor: 1, highest: 1 });
  });
});
