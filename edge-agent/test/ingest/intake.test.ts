import { epochMs, limits } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { Intake, type IntakeConfig, type Taken } from '../../src/ingest/intake.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import { copied } from '../../src/state-section.ts';

const NOW = epochMs(Date.UTC(2026, 0, 31, 12));
const YEAR_2000 = Date.UTC(2000, 0, 1);
/** The default, 400 days. */
const PAST_MS = 34_560_000_000;
const clock = { now: NOW, quality: 'synchronised' } as const;
const config: IntakeConfig = {
  topics: [{ topic: 'sensors/{device}/{metric}', codec: 'auto' }],
  sensorsMax: 100,
  readings: { futureMsMax: 600_000, duplicatesRemembered: 16, perMessageMax: 100 },
  units: { rules: [], aliases: [] },
  valueAbsMax: 1e150,
};
const nothingThere = { claim: () => false };

const intakeOf = (options: Partial<IntakeConfig> = {}, quarantine = nothingThere): Intake =>
  new Intake({ ...config, ...options }, quarantine);

interface Fields {
  readonly sensor?: string;
  readonly value?: number;
  readonly ts?: number;
  readonly seq?: number;
  readonly at?: number;
}

function message({ sensor = 'a/b', at = NOW, ...fields }: Fields): RawMessage {
  const payload = new TextEncoder().encode(JSON.stringify({ value: 1, ...fields }));
  return { topic: `sensors/${sensor}`, payload, receivedAt: epochMs(at), retained: false };
}

/** Takes messages and settles them as kept; gives the values that were accepted. */
function accept(intake: Intake, ...messages: readonly Fields[]): number[] {
  const taken = intake.take(messages.map(message), clock);
  intake.settled(taken, true);
  return valuesOf(taken);
}

const valuesOf = ({ readings }: Taken): number[] => readings.map(({ reading }) => reading.value);

const addsUp = ({ counts }: Intake): boolean =>
  counts.received ===
  counts.accepted + counts.rejected + counts.duplicates + counts.quarantined + counts.retainedCopies;

describe('the intake', () => {
  it('sorts the messages of a delivery, and counts them when they are settled', () => {
    const intake = intakeOf();
    const taken = intake.take(
      [
        message({ value: 1, ts: NOW }),
        message({ value: 1, ts: NOW }),
        message({ value: 2, ts: NOW }),
        { ...message({ value: 3 }), retained: true },
        message({ value: 4, ts: 0 }),
        message({ value: 1e200 }),
        { ...message({}), topic: 'elsewhere' },
      ],
      clock,
    );
    expect(intake.counts.received).toBe(0);
    expect(intake.lastRejects()).toEqual([]);
    intake.settled(taken, true);
    expect(valuesOf(taken)).toEqual([1, 2]);
    expect(taken.quarantined.map(({ reading, reason }) => [reading.value, reason])).toEqual([[4, 'time-before-2000']]);
    expect(intake.counts).toMatchObject({
      received: 7,
      accepted: 2,
      duplicates: 1,
      retainedCopies: 1,
      quarantined: 1,
      quarantinedByReason: { 'time-before-2000': 1, 'time-in-past': 0, 'time-in-future': 0 },
      rejected: 2,
      rejectedByReason: { 'value-too-large': 1, 'topic-unknown': 1 },
      refusedByReason: {},
    });
    expect(addsUp(intake)).toBe(true);
    expect(intake.lastRejects().map(({ reason }) => reason)).toEqual(['topic-unknown', 'value-too-large']);
  });

  it('hands on time of arrival and sequence number', () => {
    const taken = intakeOf().take([message({ value: 5, ts: NOW - 1, seq: 7 })], clock);
    expect(taken.readings).toEqual([
      {
        reading: { device: 'a', metric: 'b', eventTime: NOW - 1, value: 5, quality: 'good', seq: 7 },
        receivedAt: NOW,
        isUntimed: false,
        follows: false,
        message: undefined,
        isReleased: false,
      },
    ]);
  });

  it('takes no more sensors than it may', () => {
    const intake = intakeOf({ sensorsMax: 2 });
    expect(
      accept(intake, { sensor: 'a/1' }, { sensor: 'a/2', value: 2 }, { sensor: 'a/3' }, { sensor: 'a/1', value: 3 }),
    ).toEqual([1, 2, 3]);
    expect(intake.counts.rejectedByReason['too-many-sensors']).toBe(1);
    expect(intake.sensors).toBe(2);
  });
});

describe('a message with several readings', () => {
  const list = (from: number, count: number, rest: object = {}): RawMessage => ({
    topic: 'sensors/a/b',
    payload: new TextEncoder().encode(
      JSON.stringify(
        Array.from({ length: count }, (_, i) => ({ value: from + i, ts: NOW - 1_000 + from + i, ...rest })),
      ),
    ),
    receivedAt: NOW,
    retained: false,
  });
  const settle = (intake: Intake, messages: readonly RawMessage[], kept = true): Taken => {
    const taken = intake.take(messages, clock);
    intake.settled(taken, kept);
    return taken;
  };

  it('is sorted reading by reading, and each is counted', () => {
    const intake = intakeOf();
    const mixed = new TextEncoder().encode(
      JSON.stringify([
        { value: 1, ts: NOW },
        { value: 1, ts: NOW },
        { value: 2, ts: 0 },
        { value: 3 },
        { value: 'x' },
        { value: 4 },
      ]),
    );
    const taken = settle(intake, [{ ...list(0, 0), payload: mixed }, list(0, 101), list(0, 0)]);
    expect(valuesOf(taken)).toEqual([1]);
    expect(intake.counts).toMatchObject({
      received: 8,
      accepted: 1,
      duplicates: 1,
      quarantined: 1,
      rejected: 5,
      rejectedByReason: { 'time-missing': 2, 'value-not-a-number': 1, 'too-many-readings': 1, 'no-readings': 1 },
    });
    expect(addsUp(intake)).toBe(true);
    // One line for each reason, with the first reading that it is said of.
    expect(intake.lastRejects().map(({ reason, part }) => [reason, part])).toEqual([
      ['no-readings', null],
      ['too-many-readings', null],
      ['value-not-a-number', '[4]'],
      ['time-missing', '[3]'],
    ]);
  });

  it.each([1, 8, 9, 50, 100])(
    'of %d readings is recognised when it comes again, and the one before it too',
    (count) => {
      const intake = intakeOf();
      const messages = [0, 1, 2, 3].map((i) => list(i * 200, count));
      for (const one of messages) settle(intake, [one]);
      expect(valuesOf(settle(intake, messages.slice(2)))).toEqual([]);
      expect(intake.counts).toMatchObject({ accepted: 4 * count, duplicates: 2 * count });
      expect(addsUp(intake)).toBe(true);
    },
  );

  it('that is refused is refused as a whole, and counts once when it comes again', () => {
    const intake = intakeOf();
    settle(intake, [list(0, 50)], false);
    expect(intake.counts).toMatchObject({ received: 0, refusedByReason: { disk: 50 } });
    expect(settle(intake, [list(0, 50)]).readings).toHaveLength(50);
    expect(intake.counts).toMatchObject({ received: 50, accepted: 50, duplicates: 0 });
  });

  it('is recognised after a restart, from the snapshot and from the journal', () => {
    const before = intakeOf();
    settle(before, [list(0, 90)]);
    const sections = structuredClone(before.snapshot());
    const journaled = settle(before, [list(100, 100)]).readings;
    const after = intakeOf();
    after.restore(sections);
    for (const item of journaled) after.replay(item);
    expect(settle(after, [list(0, 90), list(100, 100)]).readings).toEqual([]);
    const fresh = intakeOf();
    for (const item of journaled) fresh.replay(item);
    expect(settle(fresh, [list(100, 100)]).readings).toEqual([]);
  });

  it('has no effect on what other sensors keep', () => {
    const intake = intakeOf();
    settle(intake, [list(0, 100)]);
    const others = Array.from({ length: 30 }, (_, i) => ({ ts: NOW + i, value: i, sensor: 'c/d' }));
    accept(intake, ...others);
    expect(accept(intake, ...others)).toHaveLength(14);
  });
});

describe('a repeat', () => {
  it.each([
    ['the same time and value', { ts: NOW, value: 1 }, { ts: NOW, value: 1 }, true],
    ['another value', { ts: NOW, value: 1 }, { ts: NOW, value: 2 }, false],
    ['another time', { ts: NOW, value: 1 }, { ts: NOW + 1, value: 1 }, false],
    ['another sensor', { ts: NOW, value: 1, sensor: 'a/b' }, { ts: NOW, value: 1, sensor: 'a/c' }, false],
    ['the same sequence number', { ts: NOW, value: 1, seq: 0 }, { ts: NOW, value: 1, seq: 0 }, true],
    ['another sequence number', { ts: NOW, value: 1, seq: 0 }, { ts: NOW, value: 1, seq: 1 }, false],
    ['a sequence number and none', { ts: NOW, value: 1, seq: 0 }, { ts: NOW, value: 1 }, false],
    ['no time, the same sequence number later', { value: 1, seq: 3 }, { value: 1, seq: 3, at: NOW + 5 }, true],
    ['no time, another sequence number', { value: 1, seq: 3 }, { value: 1, seq: 4 }, false],
    ['neither time nor sequence number', { value: 1 }, { value: 1 }, false],
  ])('%s: %j, %j', (_name, first, second, isRepeat) => {
    const intake = intakeOf();
    accept(intake, first);
    expect(accept(intake, second)).toHaveLength(isRepeat ? 0 : 1);
    expect(intake.counts.duplicates).toBe(isRepeat ? 1 : 0);
    expect(addsUp(intake)).toBe(true);
  });

  it.each([
    [15, 1],
    [16, 1],
    [17, 0],
  ])('is recognised among the last 16 readings of its sensor: the %dth last', (back, duplicates) => {
    const intake = intakeOf();
    for (let i = 0; i < 100; i++)
      accept(intake, { ts: NOW - 1_000 + i, value: i }, { sensor: 'other/one', ts: NOW + i });
    accept(intake, { ts: NOW - 1_000 + 100 - back, value: 100 - back });
    expect(intake.counts.duplicates).toBe(duplicates);
  });

  it.each([
    [1, 100],
    [3, 33],
    [6, 16],
    [50, 16],
  ])(
    'is recognised further back where readings are shared by few sensors: %d of them, %d readings',
    (sensors, back) => {
      const intake = intakeOf({ readings: { ...config.readings, duplicatesShared: 100 } });
      for (let i = 0; i < sensors; i++) accept(intake, { sensor: `a/${i}`, ts: NOW });
      const many = Array.from({ length: 200 }, (_, i) => ({ sensor: 'a/0', ts: NOW + i + 1, value: i }));
      accept(intake, ...many);
      expect(accept(intake, many[200 - back]!)).toEqual([]);
      expect(accept(intake, many[200 - back - 1]!)).toEqual([200 - back - 1]);
    },
  );

  it('does not push out what it repeats', () => {
    const intake = intakeOf();
    const sent = Array.from({ length: 16 }, (_, i) => ({ ts: NOW + i, value: i }));
    accept(intake, ...sent);
    for (let round = 0; round < 5; round++) expect(accept(intake, ...sent)).toEqual([]);
  });

  it('of a reading that is not safe yet is one, unless that is refused', () => {
    const intake = intakeOf();
    const first = intake.take([message({ ts: NOW })], clock);
    const second = intake.take([message({ ts: NOW }), message({ ts: NOW + 1, value: 9 })], clock);
    expect(valuesOf(second)).toEqual([9]);
    // The disk refuses the first; what the second appended is safe all the same, but it is not answered either.
    intake.settled(first, false, 'disk-full');
    intake.settled(second, true);
    expect(intake.counts).toMatchObject({
      received: 1,
      accepted: 1,
      duplicates: 0,
      refusedByReason: { 'disk-full': 2 },
    });
    // So both come again.
    expect(accept(intake, { ts: NOW }, { ts: NOW }, { ts: NOW + 1, value: 9 })).toEqual([1]);
    expect(intake.counts).toMatchObject({ received: 4, accepted: 2, duplicates: 2 });
    expect(addsUp(intake)).toBe(true);
  });

  it('is counted once, however often a delivery is refused', () => {
    const intake = intakeOf();
    const sent = [{ ts: NOW }, { ts: NOW }, { ts: 1 }, { value: 1e200 }].map(message);
    for (let i = 0; i < 3; i++) intake.settled(intake.take(sent, clock), false);
    expect(intake.counts).toMatchObject({ received: 0, refusedByReason: { disk: 12 } });
    expect(intake.lastRejects()).toEqual([]);
    intake.settled(intake.take(sent, clock), true);
    expect(intake.counts).toMatchObject({ received: 4, accepted: 1, duplicates: 1, quarantined: 1, rejected: 1 });
  });

  it('is recognised although readings behind it were refused while others of its sensor were on their way', () => {
    const intake = intakeOf();
    const safe = Array.from({ length: 16 }, (_, i) => ({ ts: NOW + i, value: i }));
    accept(intake, ...safe);
    const later = [100, 200].map((from) =>
      intake.take(
        Array.from({ length: 40 }, (_, i) => message({ ts: NOW + from + i, value: from + i })),
        clock,
      ),
    );
    // Nothing that is not safe has pushed out what is.
    expect(valuesOf(intake.take(safe.map(message), clock))).toEqual([]);
    intake.settled(later[0]!, false);
    intake.settled(later[1]!, true);
    const again = intake.take([message({ ts: NOW + 239, value: 239 }), message({ ts: NOW + 139, value: 139 })], clock);
    expect(valuesOf(again)).toEqual([139]);
  });

  it('is told by whoever settles out of order', () => {
    const intake = intakeOf();
    intake.take([], clock);
    const second = intake.take([], clock);
    expect(() => intake.settled(second, true)).toThrow('in the order');
  });
});

describe('a reading in another unit than its sensor', () => {
  const inUnit = (unit: string, value: number): RawMessage => ({
    ...message({}),
    payload: new TextEncoder().encode(JSON.stringify({ value, unit, ts: NOW + value })),
  });
  const namesOf = ({ readings }: Taken): unknown[] =>
    readings.map(({ reading: { metric, unit, apartFrom } }) => [metric, unit, apartFrom]);
  const settle = (intake: Intake, ...messages: RawMessage[]): unknown[] => {
    const taken = intake.take(messages, clock);
    intake.settled(taken, true);
    return namesOf(taken);
  };

  it('is kept apart, counts as a sensor, and other spellings are the same unit', () => {
    const intake = intakeOf({ units: { rules: [], aliases: [{ unit: 'celsius', names: ['Grad'] }] } });
    expect(settle(intake, inUnit('degC', 1), inUnit('°F', 2), inUnit('Grad', 3), inUnit('°C', 4))).toEqual([
      ['b', '°C', undefined],
      ['b (°F)', '°F', 'b'],
      ['b', '°C', undefined],
      ['b', '°C', undefined],
    ]);
    expect(intake.sensors).toBe(2);
    // A repeat is one whatever its unit.
    expect(settle(intake, inUnit('°F', 2), inUnit('F', 2))).toEqual([]);
    expect(intake.counts).toMatchObject({ received: 6, accepted: 4, duplicates: 2 });
  });

  it('is rejected where there is no room for another sensor', () => {
    const intake = intakeOf({ sensorsMax: 2 });
    expect(settle(intake, inUnit('a', 1), inUnit('b', 2), inUnit('c', 3), inUnit('c', 3), inUnit('b', 4))).toHaveLength(
      3,
    );
    expect(intake.counts).toMatchObject({ accepted: 3, rejectedByReason: { 'too-many-sensors': 2 } });
    expect(addsUp(intake)).toBe(true);
  });

  it('is none because the unit was kept under another name: by an earlier release, or before an alias was added', () => {
    const reading = { device: 'a', metric: 'b', eventTime: NOW, value: 1, quality: 'good', unit: 'degC' } as const;
    const journaled = intakeOf();
    journaled.replay({ reading, receivedAt: NOW });
    expect(settle(journaled, inUnit('degC', 2))).toEqual([['b', '°C', undefined]]);

    const before = intakeOf();
    settle(before, inUnit('Grad', 1));
    const after = intakeOf({ units: { rules: [], aliases: [{ unit: '°C', names: ['Grad'] }] } });
    after.restore(structuredClone(before.snapshot()));
    expect(settle(after, inUnit('Grad', 2), { ...message({}), released: { ...reading, unit: 'Grad' } })).toEqual([
      ['b', '°C', undefined],
      ['b', '°C', undefined],
    ]);
  });

  it('is one after a restart too, by the snapshot and by the journal', () => {
    const before = intakeOf();
    settle(before, inUnit('°C', 1));
    const sections = structuredClone(before.snapshot());
    const taken = before.take([inUnit('°F', 2)], clock);
    before.settled(taken, true);
    const after = intakeOf();
    after.restore(sections);
    for (const item of taken.readings) after.replay(item);
    expect(settle(after, inUnit('°F', 2), inUnit('°F', 3), inUnit('°C', 4))).toEqual([
      ['b (°F)', '°F', 'b'],
      ['b', '°C', undefined],
    ]);
    expect(after.sensors).toBe(2);
  });
});

describe('a time that cannot be right', () => {
  it.each([
    [NOW + 600_000, undefined],
    [NOW + 600_001, 'time-in-future'],
    [NOW * 1_000, undefined],
    [NOW * 10, 'time-in-future'],
    [NOW - PAST_MS, undefined],
    [NOW - PAST_MS - 1, 'time-in-past'],
    [YEAR_2000, 'time-in-past'],
    [YEAR_2000 - 1, 'time-before-2000'],
    [-5, 'time-before-2000'],
  ])('%d: %s', (ts, reason) => {
    const readings = { ...config.readings, pastMsMax: PAST_MS };
    const taken = intakeOf({ readings }).take([message({ ts })], clock);
    expect([taken.readings.length, taken.quarantined[0]?.reason]).toEqual([reason === undefined ? 1 : 0, reason]);
  });

  it('can lie in the future while the gateway does not know the time itself', () => {
    const unsure = { now: NOW, quality: 'unsynchronised' } as const;
    const readings = { ...config.readings, pastMsMax: PAST_MS };
    expect(intakeOf({ readings }).take([message({ ts: NOW * 2 })], unsure).readings).toHaveLength(1);
    expect(intakeOf({ readings }).take([message({ ts: YEAR_2000 })], unsure).readings).toHaveLength(1);
    // Not before 2000: no clock that was ever set shows that, the gateway's neither.
    expect(intakeOf().take([message({ ts: 0 })], unsure).quarantined).toHaveLength(1);
    expect(intakeOf().take([message({ at: 60_000 })], unsure).quarantined).toHaveLength(1);
  });

  it('is never one that no record may hold, whatever the clock of the gateway shows, and is not released as it is', () => {
    const unsure = { now: NOW, quality: 'unsynchronised' } as const;
    const intake = intakeOf();
    const times = [limits.instantMax, limits.instantMax + 1, NOW * 10, 8.64e15];
    const taken = intake.take(
      times.map((ts) => message({ ts })),
      unsure,
    );
    expect(taken.readings.map(({ reading }) => reading.eventTime)).toEqual([limits.instantMax]);
    expect(taken.quarantined.map(({ reading }) => reading.eventTime)).toEqual(times.slice(1));
    intake.settled(taken, true);
    const held = { ...message({}), topic: '', payload: new Uint8Array(), released: taken.quarantined[0]!.reading };
    const released = intake.take([held], clock);
    expect(released.readings).toEqual([]);
    intake.settled(released, true);
    expect(intake.counts.rejectedByReason['time-malformed']).toBe(1);
    expect(addsUp(intake)).toBe(true);
  });

  it('is a repeat when it is in quarantine already', () => {
    const intake = intakeOf({}, { claim: () => true });
    const taken = intake.take([message({ ts: 0 })], clock);
    expect(taken.quarantined).toEqual([]);
    intake.settled(taken, true);
    expect(intake.counts).toMatchObject({ received: 1, duplicates: 1, quarantined: 0 });
  });

  it('is taken as it is when a person has released it, and not twice', () => {
    const intake = intakeOf();
    const [held] = intake.take([message({ ts: NOW * 2 })], clock).quarantined;
    const released = { ...message({}), topic: '', payload: new Uint8Array(), released: held!.reading };
    const taken = intake.take([released, released], clock);
    expect(taken.readings.map(({ reading }) => reading)).toEqual([held!.reading]);
  });
});

describe('after a restart the intake', () => {
  const sent = Array.from({ length: 40 }, (_, i) => ({ ts: NOW + i, value: i, sensor: `a/${i % 3}`, seq: i }));

  it('recognises repeats of what the snapshot held and of what was replayed', () => {
    const before = intakeOf();
    accept(before, ...sent.slice(0, 30));
    const open = before.take(sent.slice(30).map(message), clock);
    const sections = structuredClone(before.snapshot());
    const after = intakeOf();
    after.restore(sections);
    expect(after.sensors).toBe(3);
    // Those that were not safe when the snapshot was taken come from the journal, with some that it holds.
    const untimed = message({ value: 5, seq: 99, sensor: 'new/one' });
    const journaled = [...before.take([untimed], clock).readings, ...open.readings.slice(0, 5)];
    for (const item of journaled) after.replay(item);
    expect(accept(after, ...sent)).toEqual([35, 36, 37, 38, 39]);
    expect(accept(after, { value: 5, seq: 99, sensor: 'new/one', at: NOW + 9 })).toEqual([]);
    expect(after.sensors).toBe(4);
  });

  it('is captured as it is, although it goes on before the sections are read', () => {
    const before = intakeOf();
    accept(before, ...sent.slice(0, 20));
    const then = structuredClone(before.snapshot());
    const { sections, release } = before.capture();
    accept(before, ...sent.slice(20));
    const refused = before.take([message({ ts: NOW + 1_000, sensor: 'a/1' })], clock);
    before.settled(refused, false);
    expect(sections.map(copied)).toEqual(then);
    release();
  });

  it('knows sensors beyond a limit that has become smaller', () => {
    const before = intakeOf();
    accept(before, ...sent);
    const after = intakeOf({ sensorsMax: 1 });
    after.restore(before.snapshot());
    expect(after.sensors).toBe(3);
    expect(accept(after, { ts: NOW + 100, sensor: 'a/2' }, { sensor: 'a/new' })).toEqual([1]);
  });

  it('keeps the newest keys where it may keep fewer', () => {
    const before = intakeOf({ readings: { ...config.readings, duplicatesRemembered: 64 } });
    const many = Array.from({ length: 50 }, (_, i) => ({ ts: NOW + i, value: i }));
    accept(before, ...many);
    const after = intakeOf();
    after.restore(before.snapshot());
    expect(accept(after, ...many)).toEqual(Array.from({ length: 34 }, (_, i) => i));
  });

  it('keeps as many as always behind a broker that needs less', () => {
    const before = intakeOf({ readings: { ...config.readings, duplicatesShared: 100 } });
    const many = Array.from({ length: 50 }, (_, i) => ({ ts: NOW + i, value: i }));
    accept(before, ...many);
    const after = intakeOf();
    after.restore(before.snapshot());
    expect(accept(after, ...many)).toEqual(Array.from({ length: 34 }, (_, i) => i));
  });

  it('knows nothing when there is no snapshot, and refuses one that it cannot read', () => {
    const intake = intakeOf();
    intake.restore([{ name: 'other', version: 7, values: {}, arrays: {} }]);
    expect(intake.sensors).toBe(0);
    const [section] = intakeOf().snapshot();
    expect(() => intake.restore([{ ...section!, version: 2 }])).toThrow('version');
    expect(() => intake.restore([{ ...section!, values: { names: ['a', 'b'] } }])).toThrow('not as long');
  });
});
