import { type AnomalyRow, epochMs, type GapRecord, limits as contractLimits } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type CheckpointState, decodeCheckpoint, encodeCheckpoint } from '../src/checkpoint/format.ts';
import { Partition, type StreamMessage } from '../src/partition.ts';
import { Alarms } from '../src/sequence/alarms.ts';
import {
  BASE,
  batchOf,
  deaf,
  GATEWAY,
  messageOf,
  MINUTE,
  partitionBasics,
  rollups,
  start,
  tick,
} from './support/floor.ts';
import { MemoryStore } from './support/memory-store.ts';
import { scriptedStream } from './support/script.ts';

const NOW = epochMs(BASE);
const never = new AbortController().signal;
const KEPT = ['window', 'anomaly', 'late', 'gateway'] as const;

/** The lines of a partition's checkpoint. */
const linesOf = (state: CheckpointState): string[] =>
  [...encodeCheckpoint(state, '0.1.0')].join('').split('\n').slice(0, -1);

/** A processor of one partition, without its I/O: every step that can be interrupted is a call of its own. */
class Bench {
  readonly store: MemoryStore;
  readonly rejected: { readonly reason: string; readonly streamSequence: number }[] = [];
  readonly #messages: readonly StreamMessage[];
  partition: Partition;
  #saved: readonly string[] | undefined;
  #captured: { readonly ordinal: number; readonly lines: readonly string[] } | undefined;
  #taken: ReturnType<Partition['outbox']['take']> = [];

  constructor(messages: readonly StreamMessage[], store: MemoryStore) {
    this.#messages = messages;
    this.store = store;
    this.partition = this.#start();
  }

  addBatch(fault: { readonly reason: string; readonly streamSequence: number }): void {
    this.rejected.push(fault);
  }

  #start(): Partition {
    const from = this.#saved === undefined ? undefined : decodeCheckpoint(this.#saved);
    return new Partition({ ...partitionBasics, number: 3, observer: deaf, deadLetters: this, from });
  }

  /** Everything that was not saved is gone, a request under way included. */
  crash(): void {
    this.#captured = undefined;
    this.#taken = [];
    this.partition = this.#start();
  }

  /** One step: `apply` the next message, `capture` a checkpoint, `save` it, `take` rows, `write` them, `settle`. */
  async step(kind: (typeof STEPS)[number]): Promise<void> {
    switch (kind) {
      case 'apply': {
        const next = this.#messages.find(({ sequence }) => sequence > this.partition.cursor.position);
        if (next !== undefined) this.partition.apply(next, NOW);
        break;
      }
      case 'capture': {
        const state = this.partition.capture();
        this.#captured = { ordinal: state.ordinal, lines: linesOf(state) };
        break;
      }
      case 'save':
        if (this.#captured === undefined) break;
        this.#saved = this.#captured.lines;
        this.partition.outbox.saved(this.#captured.ordinal);
        this.#captured = undefined;
        break;
      case 'take':
        if (this.#taken.length === 0) this.#taken = this.partition.outbox.take(3, 0);
        break;
      case 'write':
        if (this.#taken.length > 0) await this.store.write(this.#taken, never);
        break;
      case 'settle':
        // Only what was written may be settled, so both are done here.
        if (this.#taken.length > 0) await this.store.write(this.#taken, never);
        this.partition.settle();
        this.#taken = [];
        break;
    }
  }

  /** Applies all that is left and brings all of it into the store. */
  async finish(): Promise<Record<string, string>> {
    while (this.#messages.some(({ sequence }) => sequence > this.partition.cursor.position)) await this.step('apply');
    for (let round = 0; round < 100 && this.partition.outbox.size > 0; round++) {
      for (const kind of ['capture', 'save', 'take', 'settle'] as const) await this.step(kind);
    }
    if (this.partition.outbox.size > 0) throw new Error('the outbox does not become empty');
    return this.store.contents(...KEPT);
  }
}

const STEPS = ['apply', 'capture', 'save', 'take', 'write', 'settle'] as const;

async function bench(messages = scriptedStream()): Promise<Bench> {
  const store = new MemoryStore();
  await store.connect(never);
  return new Bench(messages, store);
}

/** Whether the store ever replaced a value of an episode by an older one. */
function wentBackwards(store: MemoryStore): boolean {
  const newest = new Map<string, AnomalyRow>();
  for (const { row } of store.log) {
    if (row.table !== 'anomaly') continue;
    const before = newest.get(row.id);
    if (before !== undefined && before.readings > row.readings) return true;
    newest.set(row.id, row);
  }
  return false;
}

describe('a partition', () => {
  it('counts and stores what the scripted stream holds', async () => {
    const one = await bench();
    const rows = await one.finish();
    expect(one.partition.counts).toEqual({
      batches: 20,
      records: 31,
      rollups: 14,
      readings: 17,
      duplicates: 10,
      ahead: 5,
      gaps: 5,
      epochs: 4,
    });
    expect(one.rejected).toMatchObject([{ reason: 'subject', streamSequence: 17 }]);
    const tables = Object.keys(rows).map((key) => key.slice(0, key.indexOf('/')));
    const count = (table: string): number => tables.filter((name) => name === table).length;
    expect({
      window: count('window'),
      anomaly: count('anomaly'),
      late: count('late'),
      gateway: count('gateway'),
    }).toEqual({
      window: 13,
      anomaly: 3,
      late: 2,
      gateway: 2,
    });
    expect(one.partition.windows.openWindows).toBe(0);
  });

  it('killed at any single step and started again gives exactly the same rows', { tags: ['long'] }, async () => {
    const expected = await (await bench()).finish();
    // A rhythm in which checkpoints, requests and messages fall on one another in every way.
    const rhythm = Array.from({ length: 120 }, (_, i) => STEPS[(i * 5 + Math.floor(i / 7)) % STEPS.length]!);
    for (let at = 0; at <= rhythm.length; at++) {
      const one = await bench();
      for (const [index, kind] of rhythm.entries()) {
        if (index === at) one.crash();
        await one.step(kind);
      }
      expect(await one.finish(), `killed before step ${at}`).toEqual(expected);
      expect(wentBackwards(one.store), `killed before step ${at}`).toBe(false);
    }
  });

  it('killed any number of times in any rhythm gives exactly the same rows, and never an older value over a newer', async () => {
    const expected = await (await bench()).finish();
    const steps = fc.array(fc.constantFrom(...STEPS, 'apply' as const, 'crash' as const), { maxLength: 150 });
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const one = await bench();
        for (const kind of list) {
          if (kind === 'crash') one.crash();
          else await one.step(kind);
        }
        expect(await one.finish()).toEqual(expected);
        expect(wentBackwards(one.store)).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it('given the whole stream again stores nothing new', async () => {
    const messages = scriptedStream();
    const last = messages.at(-1)!.sequence;
    const again = messages.map((message) => ({ ...message, sequence: message.sequence + last }));
    const expected = await (await bench(messages)).finish();
    const one = await bench([...messages, ...again]);
    expect(await one.finish()).toEqual(expected);
    expect(one.partition.counts.readings).toBe(17);
  });

  it.each([
    ['an unreadable batch', { data: new TextEncoder().encode('{') }, 'not-json'],
    ['a batch of a newer schema', { data: new TextEncoder().encode('{"schema":99}') }, 'schema'],
    [
      'a batch of another gateway',
      { subject: messageOf(batchOf([tick(1, BASE)], { gateway: 'gw-2' }), 1).subject },
      'address',
    ],
    [
      'a batch of the other lane',
      { subject: messageOf(batchOf([tick(1, BASE)], { lane: 'anomaly' }), 1).subject },
      'address',
    ],
    ['a foreign subject', { subject: 'ingest.v1.99.a.b.telemetry' }, 'subject'],
    ['a batch that is too large', { data: new Uint8Array(262_145) }, 'too-large'],
  ])('hands %s to the dead letters, and goes on behind it', async (_what, wrong, reason) => {
    const good = messageOf(batchOf([rollups(1, [{ sensor: 0, at: BASE, value: 1 }])]), 6);
    const one = await bench([{ ...messageOf(batchOf([tick(1, BASE)]), 5), ...wrong }, good]);
    await one.step('apply');
    expect(one.rejected).toMatchObject([{ reason, streamSequence: 5 }]);
    await one.step('apply');
    expect(one.partition.cursor.position).toBe(6);
    expect(one.partition.windows.openWindows).toBe(3);
  });
});

describe('a gap', () => {
  const minute = (rows: Record<string, string>): [number, boolean][] =>
    Object.values(rows)
      .map((text) => JSON.parse(text) as { size: number; start: number; incomplete: boolean })
      .filter(({ size }) => size === MINUTE)
      .map(({ start: at, incomplete }): [number, boolean] => [(at - BASE) / MINUTE, incomplete])
      .sort(([a], [b]) => a - b);
  const frame = (number: number, to: number, minutes: readonly [number, number] | null, readings = 5) => {
    const at = (m: number) => epochMs(BASE + m * MINUTE);
    const eventTimes = minutes === null ? null : { from: at(minutes[0]), to: at(minutes[1]) };
    return { number, to, readings, anomalies: 0, eventTimes };
  };
  /** Five minutes with a reading each; numbers 3 to 10 are lost, and before that `applied` of them came. */
  async function stored(frames: GapRecord['frames'], applied = 0): Promise<readonly (readonly [number, boolean])[]> {
    const reading = (number: number, m: number) => rollups(number, [{ sensor: 0, at: BASE + m * MINUTE, value: m }]);
    const gap: GapRecord = { kind: 'gap', number: 3, to: 10, reason: 'damage', frames: [...frames] };
    const some = Array.from({ length: applied }, (_, i) => tick(3 + i, BASE));
    const rest = [1, 2, 3, 4].map((m) => reading(10 + m, m));
    const one = await bench([
      messageOf(batchOf([start(), reading(2, 0), ...some]), 1),
      messageOf(batchOf([gap, ...rest, tick(15, BASE + 100 * MINUTE)]), 2),
    ]);
    const rows = await one.finish();
    expect(one.partition.counts).toMatchObject({ gaps: 8 - applied, duplicates: applied });
    return minute(rows);
  }
  const marks = (...incomplete: number[]): [number, boolean][] =>
    [0, 1, 2, 3, 4].map((m) => [m, incomplete.includes(m)]);

  it('marks the windows that its frames touch, and no others', async () => {
    expect(await stored([frame(3, 6, [1, 1]), frame(7, 10, [3, 3.5])])).toEqual(marks(1, 3));
  });

  it('marks nothing for frames that were applied before it grew', async () => {
    expect(await stored([frame(3, 6, [1, 1]), frame(7, 10, [3, 3.5])], 4)).toEqual(marks(3));
    expect(await stored([frame(3, 6, [1, 1]), frame(7, 10, [3, 3.5])], 3)).toEqual(marks(1, 3));
  });

  it('marks nothing for frames without readings', async () => {
    expect(await stored([frame(3, 10, null, 0)])).toEqual(marks());
  });

  it.each([
    ['no frame is described', []],
    ['the times of a frame are not known', [frame(3, 6, [1, 1]), frame(7, 10, null)]],
    ['the first frames are not described', [frame(5, 10, [3, 3])]],
    ['frames in the middle are not described', [frame(3, 4, [1, 1]), frame(6, 10, [3, 3])]],
    ['the last frames are not described', [frame(3, 9, [3, 3])]],
  ])('marks every window that was open when %s', async (_what, frames) => {
    const [first, second] = await stored(frames);
    expect([first, second]).toEqual(marks(0, 1).slice(0, 2));
  });
});

it('can go on from its checkpoint whatever a gateway says of how much it counted or lost', () => {
  const make = (from?: CheckpointState): Partition =>
    new Partition({
      ...partitionBasics,
      number: 3,
      observer: deaf,
      deadLetters: { addBatch: () => expect.fail() },
      from,
    });
  const most = contractLimits.readingsMax;
  const late = rollups(3, [{ sensor: 0, at: BASE, value: 1 }]);
  const more = (number: number) => ({ ...late, number, columns: { ...late.columns, n: [most] } });
  const frames = [5, 6].map((number) => ({ number, to: number, readings: most, anomalies: most, eventTimes: null }));
  const gap: GapRecord = { kind: 'gap', number: 5, to: 6, reason: 'cap', frames };
  const partition = make();
  partition.apply(messageOf(batchOf([start(), tick(2, BASE + 100 * MINUTE), more(3), more(4), gap]), 1), NOW);
  const state = partition.capture();
  expect(state.windows.late[0]?.[1]).toBe(2 * most);
  const again = make(decodeCheckpoint(linesOf(state)));
  expect(linesOf(again.capture()).slice(1)).toEqual(linesOf(state).slice(1));
});

describe('alarms of a gateway', () => {
  it('are told, counted, and kept in the checkpoint; raised again they are the same alarm', async () => {
    const told: unknown[] = [];
    const make = (from?: CheckpointState) =>
      new Partition({
        ...partitionBasics,
        number: 3,
        observer: { ...deaf, alarm: ({ cause, count }) => told.push([cause, count]) },
        deadLetters: { addBatch: () => undefined },
        from,
      });
    const epochs = ['1-00000001', '2-00000002', '3-00000003'];
    let partition = make();
    for (const [i, epoch] of epochs.entries()) partition.apply(messageOf(batchOf([start()], { epoch }), i + 1), NOW);
    const alarm = { ...GATEWAY, lane: 'telemetry', cause: 'no-predecessor', epoch: epochs[2], count: 2 };
    expect(partition.alarms.all()).toEqual([{ ...alarm, firstAt: BASE + 2, lastAt: BASE + 3 }]);
    expect(partition.alarms.takeNew()).toMatchObject([{ count: 1 }]);
    expect(partition.alarms.takeNew()).toEqual([]);
    partition = make(decodeCheckpoint(linesOf(partition.capture())));
    expect(partition.alarms.all()).toEqual([{ ...alarm, firstAt: BASE + 2, lastAt: BASE + 3 }]);
    expect(partition.alarms.takeNew()).toEqual([]);
    expect(told).toEqual([
      ['no-predecessor', 1],
      ['no-predecessor', 2],
      ['no-predecessor', 2],
    ]);
  });

  it('are limited in number; the one that was silent for longest goes', () => {
    const alarms = new Alarms(2);
    const raise = (gateway: string) =>
      alarms.raise({ ...GATEWAY, gateway, lane: 'anomaly' }, 'shorter', '1-00000001', NOW);
    for (const gateway of ['gw-1', 'gw-2', 'gw-1', 'gw-3']) raise(gateway);
    expect(alarms.all().map(({ gateway, count }) => [gateway, count])).toEqual([
      ['gw-1', 2],
      ['gw-3', 1],
    ]);
    expect(alarms.raised.get('shorter')).toBe(4);
  });
});
