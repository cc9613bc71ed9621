import {
  type Batch,
  type Collector,
  epochMs,
  type FloorRecord,
  gatewayKey,
  lastNumber,
  type Row,
  type StartRecord,
  type WindowRow,
} from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';

import { deafObserver } from '../../src/floor-observer.ts';
import { Fold } from '../../src/fold.ts';
import type { StreamMessage } from '../../src/partition.ts';
import { HeldNumbers } from '../../src/reprocess/held-numbers.ts';
import { nameOf, readMessage, Replay } from '../../src/reprocess/replay.ts';
import type { LateWindows } from '../../src/window/late-windows.ts';
import type { SealedLoss } from '../../src/window/window-operator.ts';
import { rowKey } from '../../src/write/row-key.ts';
import {
  BASE,
  batchOf,
  messageOf,
  MINUTE,
  rollups,
  sequencerLimits,
  start,
  tick,
  windowConfig,
} from '../support/floor.ts';

// Hundreds of runs take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

/** What gateways do happens five minutes apart, because a replay remembers half hours. */
const STEP = 5 * MINUTE;

const sequence = sequencerLimits();
const ample = windowConfig();
/** So few windows that the oldest are sealed early. */
const scarce = windowConfig({ openWindowsMax: 12 });
type Windows = Map<string, WindowRow>;

/** Windows by key, of which late readings have corrected what they belong to. */
function corrected(sealed: Windows, late: LateWindows): Windows {
  for (const { sensor, size, starts } of late.groups()) {
    for (const at of starts) {
      const key = `window/${sensor.site}/${sensor.gateway}/${sensor.device}/${sensor.metric}/${size}/${at}`;
      const row = late.correct(sensor, size, at, sealed.get(key));
      if (row !== undefined) sealed.set(key, row);
    }
  }
  return sealed;
}

/** Windows of which those are marked that had been sealed when something in them was lost. */
function marked(windows: Windows, losses: readonly SealedLoss[]): Windows {
  for (const { gateway, range, sizes } of losses) {
    const [from, to] = range;
    for (const [key, row] of windows) {
      const isIn = row.start <= to && row.start + row.size > from && sizes.includes(row.size);
      if (isIn && row.sensor.gateway === gateway.gateway) windows.set(key, { ...row, incomplete: true });
    }
  }
  return windows;
}

/**
 * What a processor makes of messages.
 *
 * @param options.sealsAll at the end, so that nothing is open that a replay with other neighbours seals early.
 * @param options.leapAt before this message it begins without its newest checkpoint, and has counted up to run 50 before.
 */
function live(
  messages: readonly StreamMessage[],
  { windows = ample, leapAt = -1, sealsAll = false } = {},
): { readonly fold: Fold; readonly windows: Windows } {
  const sealed: Windows = new Map();
  const out: Collector<Row> = { emit: (row) => void (row.table === 'window' && sealed.set(rowKey(row), row)) };
  const fold = new Fold({ windows, sequence, observer: deafObserver, out, from: undefined });
  for (const [index, message] of messages.entries()) {
    if (index === leapAt) fold.sequencer.remember({ gateways: [], runsTo: 50 });
    const { address, batch } = readMessage(message)!;
    fold.apply(address, batch, message.storedAt);
  }
  const far = epochMs(BASE + 10_000 * STEP);
  if (sealsAll) for (const name of fold.windows.watermarks()) fold.windows.advance(name, far, out);
  return { fold, windows: marked(corrected(sealed, fold.windows.lateWindows), fold.windows.losses()) };
}

/** The whole windows that are made of the messages that a stream still holds, for a store that has lost all of them. */
function replayed(
  fold: Fold,
  held: readonly StreamMessage[],
  windows = ample,
): { readonly whole: Windows; readonly replay: Replay } {
  const numbers = new HeldNumbers();
  for (const message of held) {
    const { address, batch } = readMessage(message)!;
    if (address.lane !== 'telemetry') continue;
    numbers.add(nameOf(address), batch.epoch, batch.records[0]!.number, lastNumber(batch.records.at(-1)!));
  }
  const state = { sources: fold.sequencer.snapshot(), reachOf: fold.windows.reachOf.bind(fold.windows) };
  const replay = new Replay({ windows, sequence, live: state, held: numbers });
  const sealed: Windows = new Map();
  for (const message of held) {
    for (const row of replay.apply(message).windows) if (replay.isWhole(row)) sealed.set(rowKey(row), row);
  }
  const before = new Set(sealed.keys());
  const all = [...corrected(sealed, replay.lateWindows)].filter(([key, row]) => before.has(key) || replay.isWhole(row));
  return { whole: marked(new Map(all), replay.losses), replay };
}

/** One record of a made-up gateway. */
const anyRecord = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('rollups' as const),
      back: fc.integer({ min: -20, max: 3 }),
      n: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('rollups' as const),
      back: fc.integer({ min: 4, max: 200 }),
      n: fc.constant(1),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('tick' as const), ahead: fc.integer({ min: 1, max: 12 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('gap' as const),
      to: fc.integer({ min: 0, max: 3 }),
      lost: fc.integer({ min: -6, max: 6 }),
    }),
  },
);

/** What happens to a gateway's stream. */
const anyStep = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      records: fc.array(anyRecord, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), back: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('overtake' as const),
      records: fc.array(anyRecord, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clone' as const) }) },
);

/** The messages of one gateway: batches in order, some of them twice or early, and restarts after which a copy of the disk may go on too. */
function streamOf(
  gateway: string,
  steps: readonly (typeof anyStep extends fc.Arbitrary<infer T> ? T : never)[],
): Omit<StreamMessage, 'sequence'>[] {
  const sent: Batch[] = [];
  const epochs = [{ name: '1-00000001', last: 1 }];
  let [now, watermark] = [0, 0];
  const send = (records: readonly FloorRecord[], epoch: string): void => {
    sent.push(batchOf(records, { epoch, gateway }));
  };
  const made = (
    records: readonly (typeof anyRecord extends fc.Arbitrary<infer T> ? T : never)[],
    at: { last: number },
  ): FloorRecord[] =>
    records.map((record): FloorRecord => {
      const number = at.last + 1;
      at.last = number;
      if (record.kind === 'gap') {
        at.last += record.to;
        const from = BASE + (now + record.lost) * STEP;
        const frames = [
          {
            number,
            to: at.last,
            readings: 1,
            anomalies: 0,
            eventTimes: { from: epochMs(from), to: epochMs(from + 9_999) },
          },
        ];
        return { kind: 'gap', number, to: at.last, reason: 'cap', frames };
      }
      if (record.kind === 'tick') {
        now += record.ahead;
        watermark = Math.max(watermark, now - 1);
        return tick(number, BASE + watermark * STEP);
      }
      const readings = Array.from({ length: record.n }, (_, i) => ({
        sensor: i,
        at: BASE + (now - record.back) * STEP + i,
        value: number / 7 + i,
      }));
      return rollups(number, readings);
    });
  const begin = (predecessor: StartRecord['predecessor'], name: string): void => send([start(predecessor)], name);
  begin(null, epochs[0]!.name);
  for (const [index, step] of steps.entries()) {
    const current = epochs[index % epochs.length]!;
    switch (step.kind) {
      case 'send':
        send(made(step.records, current), current.name);
        break;
      case 'repeat':
        sent.push(...sent.slice(-step.back));
        break;
      case 'overtake': {
        const first = made(step.records, current);
        const second = made([{ kind: 'tick', ahead: 1 }], current);
        send(second, current.name);
        send(first, current.name);
        send(second, current.name);
        break;
      }
      case 'restart':
      case 'clone': {
        const name = `${index + 2}-0000000${epochs.length}`;
        begin({ epoch: current.name, last: current.last }, name);
        if (step.kind === 'restart') epochs.splice(epochs.indexOf(current), 1);
        epochs.push({ name, last: 1 });
        break;
      }
    }
  }
  return sent.map((batch) => messageOf(batch, 0));
}

const numbered = (messages: readonly Omit<StreamMessage, 'sequence'>[]): StreamMessage[] =>
  messages.map(({ subject, data, storedAt }, index) => ({ subject, data, storedAt, sequence: index + 1 }));

const anyScript = fc.record({
  one: fc.array(anyStep, { minLength: 5, maxLength: 40 }),
  two: fc.array(anyStep, { maxLength: 20 }),
  mix: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
});

/** The messages of two gateways, mixed. */
function messagesOf({ one, two, mix }: typeof anyScript extends fc.Arbitrary<infer T> ? T : never): StreamMessage[] {
  const [a, b] = [streamOf('gw-1', one), streamOf('gw-2', two)];
  const messages: Omit<StreamMessage, 'sequence'>[] = [];
  while (a.length + b.length > 0) {
    const from = (mix[messages.length % mix.length]! && a.length > 0) || b.length === 0 ? a : b;
    messages.push(from.shift()!);
  }
  return numbered(messages);
}

const anyLoss = fc.record({ a: fc.nat(), b: fc.nat(), isTrimmed: fc.boolean() });

/** Messages without those at the beginning, or without some anywhere. */
function without(
  messages: readonly StreamMessage[],
  { a, b, isTrimmed }: typeof anyLoss extends fc.Arbitrary<infer T> ? T : never,
): readonly StreamMessage[] {
  const [from, to] = [a % messages.length, b % messages.length].sort((x, y) => x - y) as [number, number];
  return isTrimmed ? messages.slice(to) : messages.filter((_, index) => index < from || index >= to);
}

/** How many messages after both gateways have begun; null: never. */
const anyLeap = fc.option(fc.nat({ max: 30 }));

const leapOf = (messages: readonly StreamMessage[], leap: number | null): number =>
  leap === null ? -1 : 1 + leap + messages.findIndex(({ subject }) => subject !== messages[0]!.subject);

const keysOf = (windows: Windows): string[] => [...windows.keys()].sort();

describe('a replay', () => {
  it('of everything makes every window that was sealed, bit by bit', () => {
    fc.assert(
      fc.property(anyScript, anyLeap, (script, leap) => {
        const messages = messagesOf(script);
        const { fold, windows } = live(messages, { leapAt: leapOf(messages, leap) });
        const { whole, replay } = replayed(fold, messages);
        expect(replay.unfinished()).toEqual([]);
        expect(keysOf(whole)).toEqual(keysOf(windows));
        for (const [key, row] of windows) expect(whole.get(key)).toEqual(row);
      }),
      { numRuns: 30 },
    );
  });

  it('of a stream that has lost messages, at its beginning or anywhere, makes no window in part', () => {
    fc.assert(
      fc.property(anyScript, anyLoss, anyLeap, (script, loss, leap) => {
        const messages = messagesOf(script);
        const { fold, windows } = live(messages, { leapAt: leapOf(messages, leap) });
        const { whole } = replayed(fold, without(messages, loss));
        for (const [key, row] of whole) expect(row).toEqual(windows.get(key));
      }),
      { numRuns: 100 },
    );
  });

  it('of such a stream makes none in part where windows are sealed early for want of room', () => {
    fc.assert(
      fc.property(anyScript, anyLoss, (script, loss) => {
        const messages = messagesOf(script);
        const { fold, windows } = live(messages, { windows: scarce, sealsAll: true });
        const { whole, replay } = replayed(fold, without(messages, loss), scarce);
        // What was sealed early before the replay goes astray lacks what would have come after.
        const unfinished = new Set(replay.unfinished().map(({ gateway }) => gateway));
        // How often a window was corrected depends on who else has windows open.
        const plain = (row: WindowRow | undefined): unknown => ({ ...row, revision: 0 });
        const finished = [...whole].filter(([, { sensor }]) => !unfinished.has(gatewayKey(sensor)));
        for (const [key, row] of finished) expect(plain(row)).toEqual(plain(windows.get(key)));
      }),
      { numRuns: 50 },
    );
  });

  it('that meets records in another order than they were taken in makes no window of what follows', () => {
    const [one, copy] = ['1-0000000a', '2-0000000b'];
    const minutes = (epoch: string, from: number, at: number): Omit<StreamMessage, 'sequence'>[] =>
      Array.from({ length: 10 }, (_, i) => {
        const time = BASE + (at + i) * STEP;
        const records = [rollups(from + 2 * i, [{ sensor: 0, at: time, value: at }]), tick(from + 2 * i + 1, time)];
        return messageOf(batchOf(records, { epoch }), 0);
      });
    const begun = [
      messageOf(batchOf([start()], { epoch: one }), 0),
      ...minutes(one, 2, 0),
      messageOf(batchOf([start({ epoch: one, last: 21 })], { epoch: copy }), 0),
    ];
    // The stream loses its end, and the two gateways send what it held in another order.
    const [ofOne, ofCopy] = [minutes(one, 22, 20), minutes(copy, 2, 10)];
    const { fold, windows } = live(numbered([...begun, ...ofCopy, ...ofOne]));
    const { whole, replay } = replayed(fold, numbered([...begun, ...ofOne, ...ofCopy]));
    expect(replay.unfinished()).toEqual([{ gateway: 'plant-1/gw-1', why: 'astray' }]);
    for (const [key, row] of whole) expect(row).toEqual(windows.get(key));
    expect([...whole.values()].filter(({ start: from }) => from >= BASE + 10 * STEP)).toEqual([]);
    expect([...windows.values()].filter(({ start: from }) => from >= BASE + 10 * STEP)).not.toEqual([]);
  });

  it('of a stream that has lost its beginning makes the windows that begin behind it', () => {
    const records = Array.from({ length: 120 }, (_, i): FloorRecord[] => [
      rollups(2 * i + 2, [{ sensor: 0, at: BASE + i * STEP, value: i }]),
      tick(2 * i + 3, BASE + (i + 1) * STEP),
    ]);
    const messages = [[start()], ...records].map((each, index) => messageOf(batchOf(each), index + 1));
    const { fold, windows } = live(messages);
    // What is held begins with the reading at 60; how far the records before it reached is known to half an hour.
    const { whole } = replayed(fold, messages.slice(61));
    const behind = (at: number): string[] => keysOf(new Map([...windows].filter(([, { start: from }]) => from >= at)));
    expect(behind(BASE + 61 * STEP)).toEqual(expect.arrayContaining(keysOf(whole)));
    expect(keysOf(whole)).toEqual(expect.arrayContaining(behind(BASE + 61 * STEP + 30 * MINUTE)));
    for (const [key, row] of whole) expect(row).toEqual(windows.get(key));
    expect(whole.size).toBeGreaterThan(60);
  });

  it('numbers runs as the processor did, also when the stream begins in the middle of them', () => {
    const [first, second] = ['1-0000000a', '2-0000000b'];
    const minutes = (from: number, epoch: string, at: number): Omit<StreamMessage, 'sequence'>[] =>
      Array.from({ length: 30 }, (_, i) => {
        const time = BASE + (at + i) * STEP;
        const number = from + 2 * i;
        return messageOf(
          batchOf([rollups(number, [{ sensor: 0, at: time, value: i }]), tick(number + 1, time)], { epoch }),
          0,
        );
      });
    const messages = numbered([
      messageOf(batchOf([start()], { epoch: first }), 0),
      ...minutes(2, first, 0),
      messageOf(batchOf([start({ epoch: first, last: 61 })], { epoch: second }), 0),
      ...minutes(2, second, 30),
      // A copy of the disk as it was before wakes up.
      ...minutes(62, first, 60),
    ]);
    const { fold, windows } = live(messages);
    const { whole, replay } = replayed(fold, messages.slice(45));
    expect(replay.unfinished()).toEqual([]);
    expect(new Set([...whole.values()].map(({ through }) => through?.run))).toEqual(new Set([2, 3]));
    for (const [key, row] of whole) expect(row).toEqual(windows.get(key));
  });

  it('takes a reading for late that was late, although nothing is held of what made it so', () => {
    const reading = (number: number, at: number): FloorRecord =>
      rollups(number, [{ sensor: 0, at: BASE + at * STEP, value: at }]);
    // The gateway had nothing to tell for hours while its watermark went on; then a device brings an old reading.
    const records = [
      start(),
      reading(2, 0),
      tick(3, BASE + STEP),
      tick(4, BASE + 40 * STEP),
      reading(5, 39),
      tick(6, BASE + 60 * STEP),
    ];
    const messages = records.map((record, index) => messageOf(batchOf([record]), index + 1));
    const { fold, windows } = live(messages);
    const { whole } = replayed(fold, messages.slice(4));
    expect([...windows.values()].some(({ revision }) => revision === 1)).toBe(true);
    for (const [key, row] of whole) expect(row).toEqual(windows.get(key));
  });
});
