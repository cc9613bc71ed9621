import { type AnomalyRow, epochMs } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeCheckpoint, encodeCheckpoint } from '../src/checkpoint/format.ts';
import { Partition, type StreamMessage } from '../src/partition.ts';
import { BASE, batchOf, deaf, messageOf, partitionBasics, rollups, tick } from './support/floor.ts';
import { MemoryStore } from './support/memory-store.ts';
import { scriptedStream } from './support/script.ts';

const NOW = epochMs(BASE);
const never = new AbortController().signal;
const KEPT = ['window', 'anomaly', 'late', 'gateway'] as const;

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
        this.#captured = { ordinal: state.ordinal, lines: [...encodeCheckpoint(state, '0.1.0')] };
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

  it('killed at any single step and started again gives exactly the same rows', async () => {
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
