import { cp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { type FloorRecord, type GapRecord, INGEST_STREAM, type WindowRow } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { anomaly, BASE, batchOf, BUCKET, MINUTE, report, rollups, start, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, type Publisher, type RunningPipeline, startPipeline } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();
const LINGER_MS = 300;
const EPOCHS = ['1-0000000a', '2-0000000b', '3-0000000c', '4-0000000d', '5-0000000e'] as const;

/** A gateway whose every record is known, one reading of one sensor each. */
class Gateway {
  readonly #publisher: Publisher;
  readonly #lasts = new Map<string, number>();
  #epoch: string = EPOCHS[0];
  #number = 0;
  /** What was published of the last epoch, with its number. */
  readonly sent: FloorRecord[] = [];
  /** How many readings each minute must have. */
  readonly minutes = new Map<number, number>();

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  get number(): number {
    return this.#number;
  }

  async begin(index: number): Promise<void> {
    const before = EPOCHS[index - 1];
    const predecessor = before === undefined ? null : { epoch: before, last: this.#number };
    this.#lasts.set(this.#epoch, this.#number);
    this.#epoch = EPOCHS[index]!;
    this.#number = 0;
    this.sent.length = 0;
    await this.#send(() => start(predecessor));
    // A report follows the first tick of every start.
    await this.#send((number) => ({ ...report(number), at: (BASE + index * MINUTE) as never }));
  }

  async reading(at: number): Promise<void> {
    const minute = Math.floor(at / MINUTE);
    this.minutes.set(minute, (this.minutes.get(minute) ?? 0) + 1);
    await this.#send((number) => rollups(number, [{ sensor: 0, at: BASE + at, value: 1 }]));
  }

  async watermark(at: number): Promise<void> {
    await this.#send((number) => tick(number, BASE + at));
  }

  /** Sends once more what it holds: all from `number` on, with a gap in the place of what it has deleted. */
  async sendFrom(number: number): Promise<void> {
    const before = EPOCHS[EPOCHS.indexOf(this.#epoch as never) - 1];
    const gap: GapRecord = { kind: 'gap', number: 1, to: number - 1, reason: 'trimmed', frames: [] };
    const predecessor = before === undefined ? null : { epoch: before, last: this.#lasts.get(before)! };
    await this.#publish({ ...gap, predecessor });
    for (const record of this.sent.slice(number - 1)) await this.#publish(record);
  }

  async #send(make: (number: number) => FloorRecord): Promise<void> {
    const record = make(++this.#number);
    this.sent.push(record);
    await this.#publish(record);
  }

  async #publish(record: FloorRecord): Promise<void> {
    await this.#publisher.publish(batchOf([record], { epoch: this.#epoch }));
  }
}

async function floor() {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  const store = new MemoryStore();
  store.lingerMs = LINGER_MS;
  const dataDir = await resources.directory();
  const begin = async (folder = dataDir): Promise<RunningPipeline> =>
    startPipeline(resources, { url, dataDir: folder, store });
  const one = await begin();
  await waitFor('it works', () => one.pipeline.health().ok);
  return { publisher, store, dataDir, begin, one, gateway: new Gateway(publisher) };
}

async function removeCheckpoints(dataDir: string): Promise<void> {
  for (const file of await readdir(dataDir)) if (file.startsWith('partition-')) await rm(path.join(dataDir, file));
}

/** Readings, revision and mark of every stored minute. */
function minutesOf(store: MemoryStore): Map<number, Pick<WindowRow, 'revision' | 'incomplete'> & { n: number }> {
  const rows = Object.values(store.contents('window')).map((text) => JSON.parse(text) as WindowRow);
  return new Map(
    rows
      .filter(({ size }) => size === MINUTE)
      .map(({ start: at, aggregate, revision, incomplete }) => {
        return [(at - BASE) / MINUTE, { n: aggregate.n, revision, incomplete }] as const;
      }),
  );
}

/** Everything that was sent so far is applied and, but for open windows, in the store. */
const settled = async (running: RunningPipeline): Promise<unknown> =>
  waitFor('all is applied and stored', async () => {
    const { outbox, windows, cursor } = running.partition();
    return running.pipeline.health().ok && cursor.position > 0 && outbox.size + windows.lateWindows.rollups === 0;
  });

/** Four starts of the agent, two minutes each with a late reading for the minute before; the fifth minute of the last is still open. */
async function threeRestarts(gateway: Gateway): Promise<void> {
  for (let index = 0; index < 4; index++) {
    await gateway.begin(index);
    const from = index * 2 * MINUTE;
    for (let i = 0; i < 12; i++) await gateway.reading(from + i * BUCKET);
    await gateway.watermark(from + 2 * MINUTE + 30_000);
    // Late for the minute that is sealed now.
    await gateway.reading(from + MINUTE + 5_000);
  }
}

describe('a processor whose checkpoints are gone', () => {
  it('after the stream was trimmed and the gateway restarted three times, counts all but what the gap names', async () => {
    const { publisher, store, dataDir, begin, one, gateway } = await floor();
    await threeRestarts(gateway);
    const open = 8 * MINUTE;
    await gateway.reading(open);
    await gateway.reading(open + BUCKET);
    await waitFor('all is applied', () => one.partition().counts.readings === 4 * 13 + 2);
    await settled(one);
    const before = minutesOf(store);
    expect([...before].map(([minute, { n }]) => [minute, n])).toEqual([...gateway.minutes].slice(0, 8));
    await one.stop();

    await removeCheckpoints(dataDir);
    // The stream holds the last eight records, and so does the gateway: half of minute 7, its seal, a late reading and what is open.
    const { state } = await publisher.manager.streams.info(INGEST_STREAM.name);
    const held = 8;
    await publisher.manager.streams.purge(INGEST_STREAM.name, { seq: state.last_seq - held + 1 });
    const two = await begin();
    await waitFor('it has looked at the store', () => two.pipeline.health().ok);
    await waitFor('it asks', () => two.partition().cursor.position === state.last_seq);
    await gateway.sendFrom(gateway.number - held + 1);
    await waitFor(
      'what is held is taken',
      () => two.partition().counts.ahead > 0 && two.partition().counts.records > 8,
    );
    await settled(two);
    // Nothing of what was stored has changed: not by half of a window, not by a late reading that it holds already.
    expect(minutesOf(store)).toEqual(before);

    // Late readings that are new, for windows of every start before, and one more for the open window.
    for (const minute of [0, 3, 5, 7]) await gateway.reading(minute * MINUTE + 7_000);
    await gateway.reading(open + 2 * BUCKET);
    await gateway.watermark(10 * MINUTE);
    await waitFor('the open minute is sealed', () => minutesOf(store).has(8));
    await settled(two);
    const after = minutesOf(store);
    expect([...after].map(([minute, { n }]) => [minute, n])).toEqual([...gateway.minutes]);
    for (const minute of [0, 3, 5, 7]) {
      expect(after.get(minute)).toEqual({
        ...before.get(minute),
        n: before.get(minute)!.n + 1,
        revision: before.get(minute)!.revision + 1,
      });
    }
    // It began before what the gap names.
    expect(after.get(8)).toMatchObject({ incomplete: true });
    expect(two.pipeline.alarms().map(({ cause }) => cause)).toEqual(['trimmed']);
  });

  it('counts each reading once when the stream still has everything', async () => {
    const { store, dataDir, begin, one, gateway } = await floor();
    await threeRestarts(gateway);
    await waitFor('all is applied', () => one.partition().counts.readings === 4 * 13);
    await settled(one);
    const before = store.contents('window');
    const { length } = store.log;
    await one.stop();
    await removeCheckpoints(dataDir);
    const two = await begin();
    await waitFor('all is applied again', () => two.partition().counts.readings === 4 * 13);
    await settled(two);
    expect(store.contents('window')).toEqual(before);
    // Nor was anything else there in between.
    expect(store.log.slice(length).filter(({ row }) => row.table === 'window')).toEqual([]);
  });

  it('reads, writes and saves nothing before requests of the one before can no longer land, and says so', async () => {
    const { store, dataDir, begin, one, gateway } = await floor();
    await threeRestarts(gateway);
    await waitFor('all is applied', () => one.partition().counts.readings === 4 * 13);
    await settled(one);
    await one.stop();
    await removeCheckpoints(dataDir);
    store.lingerMs = 3_000;
    const two = await begin();
    await waitFor('it waits', () => two.pipeline.health().parts['recovery'] !== undefined);
    const { length } = store.log;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(two.pipeline.health()).toMatchObject({ ok: false, parts: { claims: 'ok', stream: 'not reading' } });
    expect(two.partition().counts.batches).toBe(0);
    expect(store.log).toHaveLength(length);
    expect((await readdir(dataDir)).filter((file) => file.startsWith('partition-'))).toEqual([]);
  });
});

describe('a processor with an older checkpoint than the last', () => {
  it('that was put back from a backup makes nothing worse', async () => {
    const { publisher, store, dataDir, begin, one, gateway } = await floor();
    await gateway.begin(0);
    for (let i = 0; i < 9; i++) await gateway.reading(i * BUCKET);
    await gateway.watermark(MINUTE + 30_000);
    await waitFor('all is applied', () => one.partition().counts.readings === 9);
    await settled(one);
    await one.stop();
    const backup = await resources.directory();
    await cp(dataDir, backup, { recursive: true, filter: (file) => !file.endsWith('.lock') });
    const two = await begin();
    for (let i = 9; i < 12; i++) await gateway.reading(i * BUCKET);
    await gateway.watermark(2 * MINUTE + 30_000);
    await gateway.reading(5_000);
    await publisher.publish(batchOf([start(), anomaly(2, 1, 'opened')], { lane: 'anomaly' }));
    await publisher.publish(batchOf([anomaly(3, 1, 'closed', 2)], { lane: 'anomaly' }));
    await waitFor('all is applied', () => two.partition().counts.readings === 4);
    await settled(two);
    const before = store.contents('window', 'anomaly');
    const { length } = store.log;
    await two.stop();

    await removeCheckpoints(dataDir);
    await cp(backup, dataDir, { recursive: true, filter: (file) => !file.endsWith('processor-id') });
    const three = await begin();
    await waitFor('all is applied again', () => three.partition().counts.readings === 4);
    await settled(three);
    expect(store.contents('window', 'anomaly')).toEqual(before);
    const changed = store.log.slice(length).filter(({ row }) => row.table === 'window' || row.table === 'anomaly');
    expect(changed).toEqual([]);
    await gateway.reading(6_000);
    await waitFor('the late reading is merged', () => minutesOf(store).get(0)!.n === 8);
  });

  it('takes a partition over without replacing what the one before it has stored', async () => {
    const { publisher, store, begin, one, gateway } = await floor();
    await threeRestarts(gateway);
    await waitFor('all is applied', () => one.partition().counts.readings === 4 * 13);
    await settled(one);
    const before = minutesOf(store);
    await one.stop();
    // The new one has a folder of its own, and the stream holds nothing of what came before.
    await publisher.manager.streams.purge(INGEST_STREAM.name);
    const two = await begin(await resources.directory());
    await waitFor('it has looked at the store', () => two.pipeline.health().ok);
    // The gateway holds its last record, a late reading that is stored, and one for the same minute comes before the next tick.
    await gateway.sendFrom(gateway.number);
    await gateway.reading(7 * MINUTE + 7_000);
    await gateway.watermark(9 * MINUTE);
    await waitFor('what is held is taken', () => two.partition().counts.records === 4);
    await settled(two);
    expect(minutesOf(store)).toEqual(before.set(7, { n: 8, revision: 2, incomplete: false }));
    await two.stop();

    // And once more, with a start of which nobody knows, and nothing of the starts before.
    await publisher.manager.streams.purge(INGEST_STREAM.name);
    const three = await begin(await resources.directory());
    await waitFor('it has looked at the store', () => three.pipeline.health().ok);
    await gateway.begin(4);
    await gateway.sendFrom(3);
    await gateway.reading(7 * MINUTE + 8_000);
    await gateway.watermark(9 * MINUTE + 1_000);
    await waitFor('what is held is taken', () => three.partition().counts.records === 3);
    await settled(three);
    expect(minutesOf(store)).toEqual(before.set(7, { n: 9, revision: 3, incomplete: false }));
  });
});
