import { CLOCK_QUALITIES, epochMs } from '@floorwatch/contracts';
import { SegmentLog } from '@floorwatch/segment-log';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { apartMetric } from '../../src/ingest/apart-metric.ts';
import type { JournalItem } from '../../src/journal/journal-item.ts';
import { Journal } from '../../src/journal/journal.ts';

const resources = resourcesPerTest();
const bytesMax = 64 * 1024 * 1024;

async function openJournal(directory?: string): Promise<{ journal: Journal; directory: string }> {
  const at = directory ?? (await resources.directory());
  const journal = await Journal.open({ directory: at, durability: 'process', bytesMax });
  resources.defer(async () => journal.close());
  return { journal, directory: at };
}

async function read(journal: Journal, from: number): Promise<[number, JournalItem][]> {
  const found: [number, JournalItem][] = [];
  for await (const { first, items } of journal.read(from)) {
    found.push(...items.map((item, i): [number, JournalItem] => [first + i, item]));
  }
  return found;
}

const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
  fc.string({ minLength: 1, maxLength: 128 }),
  fc.constant('ß'.repeat(128)),
  fc.constant('温'.repeat(128)),
);
const instant = fc.integer({ min: -8.64e15, max: 8.64e15 }).map(epochMs);
const uint32 = fc.nat(2 ** 32 - 1);
const identity = fc
  .record(
    {
      client: uint32,
      connection: uint32,
      usesDup: fc.boolean(),
      packetId: fc.nat(65_535),
      hash: uint32,
      clientId: name,
    },
    { requiredKeys: ['client', 'connection', 'usesDup', 'packetId', 'hash'] },
  )
  .map((one) => Object.assign(one, one.packetId === 0 ? { hash: 0 } : {}));
const reading = fc
  .record(
    {
      receivedAt: instant,
      isUntimed: fc.boolean(),
      follows: fc.boolean(),
      message: identity,
      isReleased: fc.constant(true),
      reading: fc.record(
        {
          device: name,
          metric: name,
          eventTime: instant,
          value: fc.double({ noNaN: true, noDefaultInfinity: true }),
          quality: fc.constantFrom('good' as const, 'uncertain' as const),
          unit: fc.string({ maxLength: 32, unit: 'grapheme' }),
          seq: fc.maxSafeNat(),
        },
        { requiredKeys: ['device', 'metric', 'eventTime', 'value', 'quality'] },
      ),
    },
    { requiredKeys: ['receivedAt', 'isUntimed', 'follows', 'reading'] },
  )
  .map((item) => {
    if (item.isUntimed) item.reading.eventTime = item.receivedAt;
    return item;
  });
/** The same, kept apart for its unit. */
const apart = reading
  .filter((item) => item.reading.unit !== undefined)
  .map((item) => {
    const { metric, unit = '' } = item.reading;
    return Object.assign(item, { reading: { ...item.reading, metric: apartMetric(metric, unit), apartFrom: metric } });
  });
const arrival = fc.record({ sensor: fc.record({ device: name, metric: name }), receivedAt: instant });
const tick = fc.record(
  {
    now: instant,
    quality: fc.constantFrom(...CLOCK_QUALITIES),
    sinceStartMs: fc.integer({ min: 0, max: 2 ** 50 }),
    deaf: fc.constant(true),
  },
  { requiredKeys: ['now', 'quality', 'sinceStartMs'] },
);
const start = fc.record({
  epoch: fc.constant('12-0123456789abcdef'),
  at: instant,
  clock: fc.constantFrom(...CLOCK_QUALITIES),
  version: fc.string({ maxLength: 40, unit: 'grapheme' }),
  outputHash: fc.constant('0123456789abcdef'),
  upgrades: fc.boolean(),
});

describe('the journal', () => {
  it('gives back what was put in, at the positions that it said, also to the next process', async () => {
    const { journal, directory } = await openJournal();
    const kept: [number, JournalItem][] = [];
    const append = fc.oneof(
      fc.record({
        items: fc.array(fc.oneof(reading, apart), { maxLength: 40 }),
        arrivals: fc.array(arrival, { maxLength: 3 }),
      }),
      tick.map((item) => ({ tick: item })),
      start.map((item) => ({ start: item })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(append, { minLength: 1, maxLength: 5 }), async (appends) => {
        const from = journal.next;
        const expected: [number, JournalItem][] = [];
        await Promise.all(
          appends.map(async (one) => {
            if ('items' in one) {
              const first = await journal.appendReadings(one.items, one.arrivals);
              const items: JournalItem[] = [
                ...one.items.map((item): JournalItem => ({ kind: 'reading', ...item })),
                ...one.arrivals.map((item): JournalItem => ({ kind: 'arrival', ...item })),
              ];
              expected.push(...items.map((item, i): [number, JournalItem] => [first + i, item]));
            } else if ('tick' in one)
              expected.push([await journal.appendTick(one.tick), { kind: 'tick', ...one.tick }]);
            else expected.push([await journal.appendStart(one.start), { kind: 'start', ...one.start }]);
          }),
        );
        expect(expected.map(([position]) => position)).toEqual(expected.map((_, i) => from + i));
        expect(await read(journal, from)).toEqual(expected);
        kept.push(...expected);
      }),
      { numRuns: 200 },
    );
    await journal.close();
    const { journal: next } = await openJournal(directory);
    expect(await read(next, 1)).toEqual(kept);
    const starts: number[] = [];
    for await (const { position } of next.starts(1)) starts.push(position);
    expect(starts).toEqual(kept.filter(([, item]) => item.kind === 'start').map(([position]) => position));
  });

  it('takes about 55 bytes for a reading', async () => {
    const { journal } = await openJournal();
    const one = {
      device: 'press-12',
      metric: 'temperature',
      eventTime: epochMs(1.7e12),
      value: 21.5,
      quality: 'good',
    } as const;
    const before = journal.bytes;
    await journal.appendReadings(Array.from({ length: 1_000 }, () => ({ reading: one, receivedAt: epochMs(1.7e12) })));
    expect((journal.bytes - before) / 1_000).toBeLessThan(60);
  });

  it.each([
    [
      'of a kind that only a newer release knows',
      [9, 1, 2],
      /item 2 of the journal in .* can't be read: its kind 9 is unknown; a newer release wrote it; start the release that wrote it/,
    ],
    [
      'with flags that only a newer release knows',
      [1, 128, ...Array.from({ length: 40 }, () => 0)],
      /item 2 .*its flags 128 are unknown/,
    ],
    ['that is cut off', [1, 0, 5, 0], /item 2 .*4 bytes are no reading/],
    [
      'whose names reach beyond its end',
      [1, 0, 255, 255, ...Array.from({ length: 40 }, () => 0)],
      /item 2 .*no reading/,
    ],
    ['that is no start', [3, 123], /item 2 .*no start/],
    ['that is no tick', [2, 7], /item 2 .*no tick/],
    ['that is empty', [], /item 2 .*it is empty/],
  ])('names an item %s by its position, with the remedy', async (_what, bytes, message) => {
    const { journal, directory } = await openJournal();
    await journal.appendTick({ now: epochMs(1), quality: 'unknown', sinceStartMs: 0 });
    await journal.close();
    const { log } = await SegmentLog.open({ directory, durability: 'process', bytesMax });
    await log.append([Uint8Array.from(bytes)]);
    await log.close();
    const { journal: next } = await openJournal(directory);
    await expect(read(next, 1)).rejects.toMatchObject({ name: 'StartError', message: expect.stringMatching(message) });
  });

  it('says when its oldest item came, also after it was trimmed', async () => {
    const { journal } = await openJournal();
    expect(journal.oldestAt).toBeNull();
    const many = (at: number) =>
      Array.from({ length: 40_000 }, (_, i) => ({
        receivedAt: epochMs(at + i),
        reading: { device: 'd'.repeat(60), metric: 'm', eventTime: epochMs(1), value: i, quality: 'good' } as const,
      }));
    for (const at of [1e6, 2e6, 3e6, 4e6]) await journal.appendReadings(many(at));
    expect(journal.oldestAt).toBe(1e6);
    await journal.trim(100_001);
    expect(journal.first).toBeGreaterThan(1);
    const [oldest] = await read(journal, journal.first);
    expect(oldest?.[1]).toMatchObject({ receivedAt: journal.oldestAt });
  });
});

describe('a journal', () => {
  it('takes a start where only the reserve has room', async () => {
    const limits = { bytesMax: 256 * 1024, segmentBytesMax: 64 * 1024, reserveBytes: 64 * 1024 };
    const journal = await Journal.open({ directory: await resources.directory(), durability: 'process', ...limits });
    const beat = { kind: 'tick', now: epochMs(0), quality: 'synchronised', sinceStartMs: 0 } as const;
    let isFull = false;
    while (!isFull) {
      const ticks = Array.from({ length: 200 }, async () => journal.appendTick(beat));
      isFull = (await Promise.allSettled(ticks)).some(({ status }) => status === 'rejected');
    }
    const begun = { kind: 'start', epoch: '2-aaaaaaaa', ordinal: 2, at: epochMs(0), version: '1', outputHash: 'a' };
    expect(await journal.appendStart(begun as never)).toBe(journal.next - 1);
    await journal.close();
  });

  it('counts positions that no item ever had not as lost', async () => {
    const { journal } = await openJournal();
    await journal.advanceTo(11);
    expect(journal.lostIn({ from: 1, to: 10 })).toBe(0);
  });
});
