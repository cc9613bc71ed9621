import { setTimeout as wait } from 'node:timers/promises';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import type { RawMessage } from '../src/ingest/raw-message.ts';
import { Connection, NOW } from './ingest/repeating-devices.ts';
import { faultStream } from './snapshot/fault-stream.ts';
import {
  contentOf,
  Core,
  coreConfig,
  countedIn,
  type CoreOptions,
  countsOf,
  type Event,
  newestTick,
  readLane,
} from './support/core.ts';

const resources = resourcesPerTest();

const engine = {
  // A start changes what a silence is; pipeline-silence.test.ts has it.
  silent: { enabled: false },
  limits: { rules: [{ device: 'press-*', high: 6, warningHigh: 4, margin: 0.5 }] },
  statistics: { countReadings: 32 },
};
/** Everything may be on its way at once; the broker, which would bound that, is not there. */
const options: CoreOptions = { engine, readings: { duplicatesRemembered: 4_096 } };

/** Uniform in [0, 1), the same sequence for the same seed. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

/** A stream of readings with faults in deliveries of a few messages, and ticks. */
function eventsOf(seed: number, items: number): Event[] {
  const next = uniform(seed + 1);
  const events: Event[] = [];
  let messages: { messages: RawMessage[] } = { messages: [] };
  let now = 0;
  for (const [seq, item] of faultStream(seed, items).entries()) {
    if (item.kind === 'tick') {
      if (messages.messages.length > 0) events.push(messages);
      messages = { messages: [] };
      now = item.clock.now;
      events.push({ tick: { now: item.clock.now, quality: 'synchronised', sinceStartMs: item.clock.sinceStartMs } });
      continue;
    }
    const { device, metric, eventTime: ts, value, unit, quality } = item.reading;
    const payload = Buffer.from(JSON.stringify({ value, ts, unit, quality, seq }));
    messages.messages.push({
      topic: `sensors/${device}/${metric}`,
      payload,
      receivedAt: epochMs(now + seq),
      retained: false,
    });
    if (next() < 0.3) {
      events.push(messages);
      messages = { messages: [] };
    }
  }
  if (messages.messages.length > 0) events.push(messages);
  return events;
}

const START = 1_699_999_999_000;

/** What comes out if nothing happens in between. */
async function undisturbed(events: readonly Event[], more: CoreOptions = options): Promise<string[]> {
  const dataDir = await resources.directory();
  const core = await Core.start(coreConfig(dataDir, more), START);
  await core.take(events);
  await core.stop();
  return contentOf(dataDir);
}

describe('an agent that is stopped in the middle of open episodes and rollups', () => {
  it('makes exactly the records of one that is not', async () => {
    const events = eventsOf(5, 4_000);
    const expected = await undisturbed(events);
    expect(expected.filter((line) => line.includes('"phase":"opened"')).length).toBeGreaterThan(10);
    const dataDir = await resources.directory();
    for (let from = 0; from < events.length; from += 150) {
      const core = await Core.start(coreConfig(dataDir, options), START + from);
      await core.take(events.slice(from, from + 150));
      await core.stop();
    }
    expect(await contentOf(dataDir)).toEqual(expected);
    const starts = (await readLane(dataDir, 'anomaly')).filter(({ spooled }) => spooled.record.kind === 'start');
    expect(starts).toHaveLength(Math.ceil(events.length / 150));
  });
});

describe('an agent that was away for an hour', () => {
  /** A reading per second of each sensor, and a tick every five. */
  function eventsFrom(begin: number, seconds: number, sensors: readonly string[]): Event[] {
    return Array.from({ length: seconds }, (_, second): Event[] => {
      const now = epochMs(begin + second * 1_000);
      const messages = sensors.map((sensor, i) => ({
        topic: `sensors/press/${sensor}`,
        payload: Buffer.from(JSON.stringify({ value: Math.sin(second * (i + 1)) + i, ts: now })),
        receivedAt: now,
        retained: false,
      }));
      const tick: Event = { tick: { now, quality: 'synchronised', sinceStartMs: 120_000 + second * 1_000 } };
      return second % 5 === 0 ? [{ messages }, tick] : [{ messages }];
    }).flat();
  }

  it('calls nobody silent for it, and everybody who is silent since', async () => {
    const dataDir = await resources.directory();
    const before = await Core.start(coreConfig(dataDir), START);
    await before.take(eventsFrom(START, 600, ['a', 'b', 'c']));
    await before.stop();
    const back = START + 600_000 + 3_600_000;
    const core = await Core.start(coreConfig(dataDir), back);
    // From now on b is silent, and c comes back a little later.
    await core.take([...eventsFrom(back, 3, ['a']), ...eventsFrom(back + 3_000, 297, ['a', 'c'])]);
    await core.stop();
    const silent = (await readLane(dataDir, 'anomaly')).flatMap(({ spooled: { record } }) =>
      record.kind === 'anomaly' && record.detector === 'silent' && record.phase === 'opened' ? [record] : [],
    );
    expect(silent).toMatchObject([{ metric: 'b' }]);
    expect(silent[0]!.openedAt).toBeGreaterThan(back);
  });
});

/** How an agent ends, and what the next one is told. */
interface Life {
  readonly config: CoreOptions;
  /** How many events it is given; all that are left if undefined. */
  readonly many?: number;
  /** Milliseconds before it is killed; undefined: it is stopped when it has taken everything. */
  readonly killedAfterMs?: number;
  readonly hurry?: boolean;
}

/** One agent after the other on one folder; devices send again what was not answered, the clock goes on from where the journal has it. */
async function live(events: readonly Event[], nextLife: (isLast: (many: number) => boolean) => Life): Promise<string> {
  let dataDir = await resources.directory();
  let from = 0;
  let tick = 0;
  for (let start = START; ; start += 1_000) {
    const { config, many, killedAfterMs, hurry } = nextLife((count) => from + count >= events.length);
    const core = await Core.start(coreConfig(dataDir, config), start);
    const end = many === undefined ? events.length : from + many;
    const isNews = (event: Event): boolean => !('tick' in event) || event.tick.now > tick;
    const taking = core.take(events.slice(from, end).filter(isNews));
    if (hurry === true) core.parts.snapshots.hurry();
    if (killedAfterMs === undefined) {
      await taking;
      await core.stop();
      if (end >= events.length) return dataDir;
      from = end;
      continue;
    }
    if (killedAfterMs > 0) await wait(killedAfterMs);
    const acked = new Set(core.handed.flatMap(({ messages, answer }) => (answer === 'acked' ? [messages] : [])));
    dataDir = await core.copyOfFolder(resources);
    await core.abandon();
    tick = await newestTick(dataDir, tick);
    const isDone = (event: Event): boolean => ('tick' in event ? event.tick.now <= tick : acked.has(event.messages));
    while (from < events.length && isDone(events[from]!)) from += 1;
  }
}

describe('an agent that is killed', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'at random moments (seed %d) makes exactly the records of one that is not',
    async (seed) => {
      const events = eventsOf(seed, 2_500);
      const next = uniform(seed);
      let kills = 0;
      const dataDir = await live([...events, ...anHourLater(events)], (isLast) => {
        const many = Math.floor(next() * 400);
        if (isLast(many)) return { config: options };
        kills += 1;
        return { config: options, many, hurry: next() < 0.4, killedAfterMs: next() < 0.5 ? next() * 20 : 0 };
      });
      expect(kills).toBeGreaterThan(2);
      expect(await contentOf(dataDir)).toEqual(await undisturbed([...events, ...anHourLater(events)]));
      const { told, summed } = await countedIn(dataDir);
      expect(Object.keys(told).length).toBeGreaterThan(6);
      expect(told).toEqual(summed);
    },
    60_000,
  );
});

/** So long after everything else that all rollups go out, and the event hour is over. */
function anHourLater(events: readonly Event[]): Event[] {
  const last = events.findLast((event) => 'tick' in event)!;
  return [60, 120].flatMap((minutes, i): Event[] => {
    const now = epochMs(('tick' in last ? last.tick.now : 0) + minutes * 60_000);
    const payload = Buffer.from(JSON.stringify({ value: i, ts: now - 1_000 }));
    const message = { topic: 'sensors/closing/time', payload, receivedAt: now, retained: false };
    return [{ messages: [message] }, { tick: { now, quality: 'synchronised', sinceStartMs: 1e6 + minutes * 60_000 } }];
  });
}

describe('an agent with another configuration', () => {
  /** Readings by sensor, as devices know them. */
  function sentIn(events: readonly Event[]): Map<string, { n: number; sum: number }> {
    const sent = new Map<string, { n: number; sum: number }>();
    for (const event of events) {
      if ('tick' in event) continue;
      for (const { topic, payload } of event.messages) {
        const sensor = topic.replace('sensors/', '');
        const known = sent.get(sensor) ?? { n: 0, sum: 0 };
        const { value } = JSON.parse(Buffer.from(payload).toString()) as { value: number };
        sent.set(sensor, { n: known.n + 1, sum: known.sum + value });
      }
    }
    return sent;
  }

  async function expectEachOnce(dataDir: string, events: readonly Event[]): Promise<number> {
    const { told: toldCounts, summed } = await countedIn(dataDir);
    expect(toldCounts).toEqual(summed);
    const counted = await countsOf(dataDir);
    counted.delete('closing/time');
    const sent = sentIn(events);
    const numbers = (counts: typeof sent): string[] => [...counts].map(([sensor, { n }]) => `${sensor}: ${n}`).sort();
    expect(numbers(counted)).toEqual(numbers(sent));
    for (const [sensor, { sum }] of sent) expect(counted.get(sensor)?.sum).toBeCloseTo(sum, 9);
    const phases = new Map<string, string[]>();
    let upgraded = 0;
    for (const { spooled } of await readLane(dataDir, 'anomaly')) {
      const { record } = spooled;
      if (record.kind !== 'anomaly') continue;
      phases.set(record.id, [...(phases.get(record.id) ?? []), record.phase]);
      if (record.closeReason === 'upgraded') upgraded += 1;
    }
    for (const [id, told] of phases) {
      expect([id, told[0], told.filter((phase) => phase === 'opened').length]).toEqual([id, 'opened', 1]);
      expect(told.slice(0, -1)).not.toContain('closed');
    }
    return upgraded;
  }

  const readings = { duplicatesRemembered: 4_096 };
  const configs: readonly CoreOptions[] = [
    options,
    { readings, engine: { ...engine, watermark: { outOfOrderMs: 0 } } },
    { readings, engine: { watermark: { outOfOrderMs: 40_000 }, zScore: { watch: 'always' } } },
    { readings, engine: { ...engine, limits: { rules: [{ high: 3, margin: 0.5 }] } } },
  ];

  it('ends what was open and counts every reading once, after a clean stop', async () => {
    const events = eventsOf(7, 3_000);
    let life = 0;
    const dataDir = await live([...events, ...anHourLater(events)], (isLast) => {
      const config = configs[life++ % configs.length]!;
      return isLast(120) ? { config } : { config, many: 120 };
    });
    expect(await expectEachOnce(dataDir, events)).toBeGreaterThan(10);
  });

  it.each([11, 12, 13, 14, 15, 16])(
    'ends what was open and counts every reading once, after kills (seed %d)',
    async (seed) => {
      const events = eventsOf(seed, 2_500);
      const next = uniform(seed);
      let lives = 0;
      const dataDir = await live([...events, ...anHourLater(events)], (isLast) => {
        lives += 1;
        const config = configs[Math.floor(next() * configs.length)]!;
        const many = Math.floor(next() * 300);
        if (isLast(many)) return { config };
        return { config, many, hurry: next() < 0.4, killedAfterMs: next() < 0.5 ? next() * 20 : 0 };
      });
      expect(lives).toBeGreaterThan(2);
      expect(await expectEachOnce(dataDir, events)).toBeGreaterThan(0);
    },
    60_000,
  );

  it.each([5_000, 20_000])(
    'counts every reading once when rollups were %d ms wide before, also after a kill',
    async (widthMs) => {
      const events = eventsOf(21, 2_500);
      const path = new URL('../../contracts/src/rollup.ts', import.meta.url).pathname;
      vi.resetModules();
      vi.doMock(path, async (original) => ({ ...(await original<object>()), ROLLUP_MS: widthMs }));
      resources.defer(() => vi.doUnmock(path));
      const { Core: CoreBefore } = await import('./support/core.ts');
      const before = await CoreBefore.start(coreConfig(await resources.directory(), options), START);
      await before.take(events.slice(0, 300));
      await before.processed();
      for (let i = 0; i < 3; i++) {
        before.parts.snapshots.hurry();
        before.parts.snapshots.betweenSteps();
        await before.parts.snapshots.settled();
      }
      await before.take(events.slice(300, 600));
      await before.processed();
      const dataDir = await before.copyOfFolder(resources);
      await before.abandon();
      const widths = (await readLane(dataDir, 'telemetry')).flatMap(({ spooled: { record } }) =>
        record.kind === 'rollups' ? [record.bucketMs] : [],
      );
      expect(new Set(widths)).toEqual(new Set([widthMs]));
      const core = await Core.start(coreConfig(dataDir, options), START + 1_000);
      await core.take([...events.slice(600), ...anHourLater(events)]);
      await core.stop();
      expect(await expectEachOnce(dataDir, events)).toBeGreaterThan(0);
    },
    60_000,
  );
});

it('remembers each reading once where a snapshot was taken before it was processed', async () => {
  const config = coreConfig(await resources.directory());
  const core = await Core.start(config, NOW);
  await core.processed();
  const { writer, snapshots, input } = core.parts;
  // The step with the tick ends when readings behind it are safe, and a snapshot is taken then.
  const commit = writer.commit.bind(writer);
  let go = (): void => undefined;
  const released = new Promise<void>((resolve) => (go = resolve));
  writer.commit = async () => released.then(commit);
  snapshots.hurry();
  input.tick({ now: NOW, quality: 'synchronised', sinceStartMs: 0 });
  await input.settled();
  const first = new Connection('press');
  const payload = { value: 21.5, ts: NOW };
  await core.take([{ messages: [first.message(1, payload), first.message(2, payload)] }]);
  go();
  await core.processed();
  await snapshots.settled();
  expect(core.parts.snapshots.view.bytes).toBeGreaterThan(0);
  await core.abandon();

  const next = await Core.start(config, NOW);
  expect(next.parts.recovery.view.items).toBeGreaterThan(1);
  const second = new Connection('press');
  const messages = [1, 2, 3].map((id) => second.message(id, payload));
  await next.take([{ messages }]);
  await next.processed();
  expect(next.parts.intake.counts).toMatchObject({ accepted: 1, duplicates: 2 });
  await next.abandon();
});
