import { type AcceptedCounts, epochMs, type FloorRecord, INGEST_STREAM, type WindowRow } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor as waitForIt } from '../../../tests/support/index.ts';
import type { StreamMessage } from '../../src/partition.ts';
import type { ReprocessStatus } from '../../src/reprocess/reprocess-state.ts';
import { StoreError } from '../../src/write/store.ts';
import { BASE, batchOf, messageOf, MINUTE, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, type RunningPipeline, startPipeline } from '../support/running.ts';
import { scriptedStream } from '../support/script.ts';

// Servers start slowly on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

const resources = resourcesPerTest();
const waitFor: typeof waitForIt = async (what, look, options) =>
  waitForIt(what, look, { timeoutMs: 60_000, ...options });
const TABLES = ['window', 'anomaly', 'late', 'gateway', 'counted', 'counted_episodes'] as const;
const ALL = { from: epochMs(0), to: epochMs(4e12), dryRun: false };
const NOTHING_NEW = { missing: 0, changed: 0, kept: 0, partial: 0 };
const signal = new AbortController().signal;

/** Reprocesses and waits for the end. */
async function reprocessed({ pipeline }: RunningPipeline, request = ALL): Promise<ReprocessStatus> {
  const reprocessor = pipeline.reprocessor!;
  await waitFor('reprocessing begins', () => reprocessor.start(request) === 'started');
  await waitFor('reprocessing ends', () => reprocessor.status!.state !== 'running');
  return reprocessor.status!;
}

/** A gateway's word of what it has accepted in an hour, and then of more. */
const told = (n: number): StreamMessage => {
  const counts: AcceptedCounts = {
    counter: '1-0000000a',
    completeFrom: null,
    hours: [{ device: 'press-01', metric: 'temperature', hour: epochMs(BASE), since: 0, n, hash: '0123456789abcdef' }],
  };
  const [number, at] = [8 + n, BASE + 3 * 3_600_000 + n];
  return messageOf(batchOf([{ ...tick(number, at), counts } as FloorRecord], { epoch: '2-0000000b' }), 0);
};

/** A processor that has read the scripted stream, whose rows are all in the store. */
async function processed() {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  const store = new MemoryStore();
  const dataDir = await resources.directory();
  const running = await startPipeline(resources, { url, dataDir, store });
  await waitFor('the stream exists', () => hasStream(publisher));
  const scripted = scriptedStream().filter(({ subject }) => !subject.includes('someone'));
  const messages = [...scripted, ...[1, 2].map(told)];
  for (const { subject, data } of messages) await publisher.client.publish(subject, data);
  await waitFor('all is applied', () => running.partition().counts.batches === messages.length);
  await waitFor('all is stored', () => {
    const { outbox, windows } = running.partition();
    return outbox.size === 0 && windows.lateWindows.rollups === 0;
  });
  return { url, publisher, store, dataDir, running, messages };
}

const windowsIn = (store: MemoryStore): WindowRow[] =>
  Object.values(store.contents('window')).map((text) => JSON.parse(text) as WindowRow);

describe('reprocessing', () => {
  it('writes nothing when nothing has changed', async () => {
    const { store, running } = await processed();
    const before = store.contents(...TABLES);
    const written = store.log.length;
    const status = await reprocessed(running);
    expect(status).toMatchObject({ state: 'done', problems: [], gateways: [] });
    expect(status.counts.windows).toEqual({ same: windowsIn(store).length, ...NOTHING_NEW });
    expect(status.counts.anomalies).toMatchObject({ missing: 0, changed: 0 });
    expect(status.counts.counted).toEqual({ same: 1, missing: 0, changed: 0 });
    const rewritten = store.log.slice(written).map(({ row }) => row.table);
    expect(new Set(rewritten)).toEqual(new Set(['gateway', 'late']));
    expect(store.contents(...TABLES)).toEqual(before);
  });

  it('brings back everything that the store has lost, bit by bit', async () => {
    const { url, store, dataDir, running } = await processed();
    const before = store.contents(...TABLES);
    await running.stop();
    const empty = new MemoryStore();
    const again = await startPipeline(resources, { url, dataDir, store: empty });
    const status = await reprocessed(again);
    expect(status).toMatchObject({ state: 'done', problems: [] });
    expect(status.counts.windows).toMatchObject({ same: 0, changed: 0, kept: 0, partial: 0 });
    expect(empty.contents(...TABLES)).toEqual(before);
  });

  it('mends what was changed by hand, also in windows that late readings have corrected', async () => {
    const { store, running } = await processed();
    const before = store.contents(...TABLES);
    const rows = windowsIn(store);
    expect(rows.filter(({ revision }) => revision > 0).length).toBeGreaterThan(1);
    const wrong = rows.map((row) => ({ ...row, aggregate: { ...row.aggregate, mean: row.aggregate.mean + 1 } }));
    await store.write(wrong, signal);
    const { counts } = await reprocessed(running);
    expect(counts.windows).toMatchObject({ same: 0, changed: rows.length, kept: 0 });
    expect(store.contents(...TABLES)).toEqual(before);
  });

  it('leaves alone what the store knows better', async () => {
    const { store, running } = await processed();
    const [first, second, ...others] = windowsIn(store);
    const newer = { ...first!, revision: 9, through: { run: 7, number: 1 } };
    const fuller = { ...second!, aggregate: { ...second!.aggregate, n: 1_000 } };
    await store.write([newer, fuller], signal);
    const before = store.contents(...TABLES);
    const { counts } = await reprocessed(running);
    expect(counts.windows).toEqual({ same: others.length, ...NOTHING_NEW, kept: 2 });
    expect(store.contents(...TABLES)).toEqual(before);
  });

  it('writes only windows that lie wholly inside the range', async () => {
    const { url, store, dataDir, running } = await processed();
    const rows = windowsIn(store);
    await running.stop();
    const empty = new MemoryStore();
    const again = await startPipeline(resources, { url, dataDir, store: empty });
    const range = { from: epochMs(BASE), to: epochMs(BASE + 2 * MINUTE), dryRun: false };
    await reprocessed(again, range);
    const inside = rows.filter(({ start, size }) => start >= range.from && start + size <= range.to);
    expect(inside.length).toBeGreaterThan(2);
    expect(inside.length).toBeLessThan(rows.length);
    expect(windowsIn(empty)).toEqual(inside);
  });

  it('only counts in a dry run', async () => {
    const { url, store, dataDir, running } = await processed();
    const count = windowsIn(store).length;
    await running.stop();
    const empty = new MemoryStore();
    const again = await startPipeline(resources, { url, dataDir, store: empty });
    const { counts } = await reprocessed(again, { ...ALL, dryRun: true });
    expect(counts.windows.missing).toBeGreaterThanOrEqual(count);
    expect(empty.contents(...TABLES)).toEqual({});
    expect(again.partition().outbox.size).toBe(0);
  });

  it('never writes a window whose beginning the stream no longer holds', async () => {
    const { url, publisher, store, dataDir, running, messages } = await processed();
    const before = store.contents('window');
    await running.stop();
    for (let seq = 2; seq <= messages.length; seq += 3) {
      // The server drops the oldest message.
      await publisher.manager.streams.purge(INGEST_STREAM.name, { seq });
      const empty = new MemoryStore();
      const again = await startPipeline(resources, { url, dataDir, store: empty });
      const status = await reprocessed(again);
      expect(status).toMatchObject({ problems: [] });
      for (const [key, text] of Object.entries(empty.contents('window')))
        expect([key, text]).toEqual([key, before[key]]);
      await again.stop();
    }
  });

  it('lets live reading go on afterwards', async () => {
    const { publisher, running, messages } = await processed();
    await reprocessed(running);
    await publisher.client.publish(messages[0]!.subject, messages[0]!.data);
    await waitFor('the next message is applied', () => running.partition().counts.batches === messages.length + 1);
    expect(running.pipeline.health().parts['stream']).toBe('ok');
  });

  it('waits for a store that can not be asked for a while', async () => {
    const { store, running } = await processed();
    const before = store.contents(...TABLES);
    store.readFailure = new StoreError('unreachable', 'away');
    const { reprocessor } = running.pipeline;
    await waitFor('it begins', () => reprocessor!.start(ALL) === 'started');
    await waitFor('it has replayed what it can', () => reprocessor!.status!.now?.phase === 'replaying');
    expect(reprocessor!.start(ALL)).toBe('busy');
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(reprocessor!.status!.state).toBe('running');
    store.readFailure = undefined;
    await waitFor('it ends', () => reprocessor!.status!.state === 'done');
    expect(store.contents(...TABLES)).toEqual(before);
  });

  it('gives up when the store needs a person, says so, and lets live reading go on', async () => {
    const { store, running } = await processed();
    store.readFailure = new StoreError('unauthorised', 'the token is wrong');
    const status = await reprocessed(running);
    expect(status.state).toBe('failed');
    expect(status.problems).toEqual([expect.stringContaining('the token is wrong')]);
    await waitFor('reading goes on', () => running.pipeline.lanes.every(({ reader }) => reader?.reading === true));
  });

  it('ends when it is stopped, and when the processor stops', async () => {
    const { store, running } = await processed();
    const { reprocessor } = running.pipeline;
    store.readFailure = new StoreError('unreachable', 'away');
    await waitFor('it begins', () => reprocessor!.start(ALL) === 'started');
    expect(await reprocessor!.stop()).toBe(true);
    expect(reprocessor!.status!.state).toBe('stopped');
    expect(await reprocessor!.stop()).toBe(false);
    await waitFor('reading goes on', () => running.pipeline.lanes.every(({ reader }) => reader?.reading === true));
    expect(reprocessor!.start(ALL)).toBe('started');
    await running.stop();
    expect(reprocessor!.status!.state).toBe('stopped');
  });
});
