import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { INGEST_STREAM, type WindowRow } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { createMetrics } from '../../src/metrics.ts';
import { MINUTE, withoutRuns } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';
import { ScriptedGateway } from '../support/scripted-gateway.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();
const PATIENT = { timeoutMs: 30_000 };

/** A server, a running processor and a gateway. */
async function floor(store = new MemoryStore()) {
  const server = await resources.nats();
  const publisher = await connectPublisher(resources, server.url);
  const dataDir = await resources.directory();
  const options = { url: server.url, dataDir, store };
  const one = await startPipeline(resources, options);
  await waitFor('the stream exists', () => hasStream(publisher));
  const gateway = await ScriptedGateway.connect(resources, server.url);
  return { server, publisher, gateway, store, options, one };
}

/** What the store has of the minutes: `start` → `[n, sum]`. */
function minutes(store: MemoryStore): Record<number, readonly [n: number, sum: number]> {
  const rows = Object.values(store.contents('window')).map((text) => JSON.parse(text) as WindowRow);
  const ofMinutes = rows.filter(({ size }) => size === MINUTE);
  return Object.fromEntries(
    ofMinutes.map(({ start, aggregate: { n, reference, mean } }) => [start, [n, Math.round(n * (reference + mean))]]),
  );
}

const floorsHeard = ({ heard }: ScriptedGateway): number[] => heard.map(({ lanes }) => lanes.telemetry.floor);
const lastFloor = ({ heard }: ScriptedGateway): number => heard.at(-1)?.lanes.telemetry.floor ?? 0;
const isComplete = (gateway: ScriptedGateway): boolean => {
  const { epoch, floor: reached } = gateway.heard.at(-1)?.lanes.telemetry ?? {};
  const newest = gateway.lane.items.at(-1);
  return epoch === newest?.epoch && reached === newest?.number;
};

/** Lets everything arrive and be sealed, and compares with what was made. */
async function expectExact(gateway: ScriptedGateway, store: MemoryStore): Promise<void> {
  gateway.end();
  await waitFor('all is safe', () => isComplete(gateway), PATIENT);
  const expected = gateway.expected();
  await waitFor('all windows are stored', () => isDeepStrictEqual(minutes(store), expected)).catch(() => undefined);
  expect(minutes(store)).toEqual(expected);
}

const incomplete = (store: MemoryStore): number =>
  Object.values(store.contents('window')).filter((text) => text.includes('"incomplete":true')).length;

async function ordinalOf(dataDir: string, which: 'newest' | 'previous'): Promise<number> {
  const ending = which === 'previous' ? '.previous.ndjson' : '.ndjson';
  const name = (await readdir(dataDir)).find((file) => /^partition-\d+\./.test(file) && file.slice(12) === ending);
  if (name === undefined) return 0;
  const [first = ''] = (await readFile(path.join(dataDir, name), 'utf8')).split('\n', 1);
  return (JSON.parse(first) as { ordinal: number }).ordinal;
}

const checkpointPath = async (dataDir: string): Promise<string> =>
  path.join(
    dataDir,
    (await readdir(dataDir)).find((file) => /^partition-\d+\.ndjson$/.test(file))!,
  );

describe('floor messages', () => {
  it('follow what is safe, only grow within a series, and never tell of the newest checkpoint', async () => {
    const { gateway, options, one } = await floor();
    const { dataDir } = options;
    for (let i = 0; i < 20; i++) {
      gateway.append(5);
      const heard = gateway.heard.length;
      await waitFor('a floor message', () => gateway.heard.length > heard);
      // Read after the message: what it told was the older checkpoint then, or an even older one.
      expect(gateway.heard.at(-1)!.ordinal).toBeLessThanOrEqual(await ordinalOf(dataDir, 'previous'));
    }
    await waitFor('all is safe', () => isComplete(gateway));
    expect(lastFloor(gateway)).toBe(101);
    const floors = floorsHeard(gateway);
    expect(floors).toEqual([...floors].sort((a, b) => a - b));
    const ordinals = gateway.heard.map(({ ordinal }) => ordinal);
    expect(ordinals).toEqual([...ordinals].sort((a, b) => a - b));
    expect(new Set(gateway.heard.map(({ checkpoints }) => checkpoints)).size).toBe(1);
    expect(gateway.heard.every(({ lanes }) => lanes.anomaly.epoch === null)).toBe(true);
    expect(gateway.rewinds).toBe(0);
    expect(one.pipeline.floorMessages.published).toBeGreaterThanOrEqual(gateway.heard.length);
  });

  it('go on in the same series after a restart, and tell of all without a new record', async () => {
    const { gateway, options, one } = await floor();
    gateway.append(5);
    await waitFor('all is safe', () => isComplete(gateway));
    await one.stop();
    const before = gateway.heard.length;
    await startPipeline(resources, options);
    await waitFor('floor messages come again', () => gateway.heard.length > before);
    expect(gateway.heard.at(-1)).toMatchObject({ checkpoints: gateway.heard[0]!.checkpoints });
    expect(gateway.heard.at(-1)!.ordinal).toBeGreaterThan(gateway.heard[before - 1]!.ordinal);
    expect(isComplete(gateway)).toBe(true);
    expect(gateway.rewinds).toBe(0);
  });

  it('do not hold up anything while NATS is away', async () => {
    const { server, gateway, one } = await floor();
    gateway.append(3);
    await waitFor('all is safe', () => isComplete(gateway));
    await server.kill9();
    await waitFor('the loss is seen', () => !one.pipeline.health().ok);
    await expect(one.stop()).resolves.toBeUndefined();
    expect(one.pipeline.floorMessages.failed).toBe(0);
  });
});

describe('what the stream lost', () => {
  it('is asked for, and comes again: messages dropped in the middle', async () => {
    const { publisher, gateway, store, one, options } = await floor();
    gateway.append(9);
    await waitFor('all is safe', () => isComplete(gateway));
    await one.stop();
    gateway.append(12);
    await waitFor('all is in the stream', () => gateway.lane.next === gateway.lane.items.length);
    const { state } = await publisher.manager.streams.info(INGEST_STREAM.name);
    for (const seq of [state.last_seq - 2, state.last_seq - 1]) {
      await publisher.manager.streams.deleteMessage(INGEST_STREAM.name, seq);
    }
    const two = await startPipeline(resources, options);
    await expectExact(gateway, store);
    expect(gateway.rewinds).toBe(1);
    expect(two.partition().counts).toMatchObject({ gaps: 0, duplicates: 0 });
    expect(two.partition().counts.ahead).toBeGreaterThan(0);
    expect(two.pipeline.alarms()).toEqual([]);
    expect(incomplete(store)).toBe(0);
  });

  it('is asked for when the whole store of the server is gone, in the middle of restarts of the agent', async () => {
    const { server, gateway, store, one } = await floor();
    gateway.append(9);
    gateway.restart();
    gateway.append(9);
    await waitFor('some is safe', () => lastFloor(gateway) > 0);
    await server.kill9();
    await rm(path.join(server.directory, 'jetstream'), { recursive: true, force: true });
    gateway.restart();
    gateway.append(9);
    await server.start();
    await waitFor('the stream is read again', () => one.pipeline.health().ok, PATIENT);
    gateway.append(9);
    await expectExact(gateway, store);
    expect(one.pipeline.lanes[0]?.reader?.moves.get('recreated')).toBe(1);
    expect(one.partition().counts.gaps).toBe(0);
    expect(one.pipeline.alarms()).toEqual([]);
    expect(incomplete(store)).toBe(0);
  });

  it('and what the gateway lost of it, comes as a gap that counts once and marks its windows', async () => {
    const { publisher, gateway, store, one, options } = await floor();
    gateway.append(9);
    await waitFor('all is safe', () => isComplete(gateway));
    await one.stop();
    gateway.append(12);
    await waitFor('all is in the stream', () => gateway.lane.next === gateway.lane.items.length);
    await publisher.manager.streams.purge(INGEST_STREAM.name);
    gateway.lane.damage(12, 4);
    const two = await startPipeline(resources, options);
    await expectExact(gateway, store);
    expect(two.partition().counts).toMatchObject({ gaps: 4 });
    expect(incomplete(store)).toBeGreaterThan(0);
  });
});

describe('a processor', () => {
  it('whose newest checkpoint is damaged goes on from the one before, and has not told too much', async () => {
    const { gateway, store, one, options } = await floor();
    for (let i = 0; i < 5; i++) {
      gateway.append(5);
      await waitFor('the floor follows', () => lastFloor(gateway) > i * 5);
    }
    await one.stop();
    // The gateway has deleted all that was safe, and the stream is gone: what the checkpoint before lacks only it can give.
    const before = gateway.heard.length;
    await truncate(await checkpointPath(options.dataDir), 100);
    const publisher = await connectPublisher(resources, options.url);
    await publisher.manager.streams.delete(INGEST_STREAM.name);
    const two = await startPipeline(resources, options);
    gateway.append(5);
    await expectExact(gateway, store);
    expect(gateway.heard[before]!.checkpoints).toBe(gateway.heard[0]!.checkpoints);
    expect(gateway.heard[before]!.ordinal).toBeGreaterThanOrEqual(gateway.heard[before - 1]!.ordinal);
    expect(two.partition().counts.gaps).toBe(0);
    expect(two.pipeline.alarms()).toEqual([]);
  });

  it('without any checkpoint gets what the gateway still holds, and both know that the rest is gone', async () => {
    const { gateway, one, options, publisher } = await floor();
    gateway.append(9);
    gateway.restart();
    gateway.append(9);
    await waitFor('all is safe', () => isComplete(gateway));
    await one.stop();
    for (const file of await readdir(options.dataDir)) {
      if (file.startsWith('partition-')) await rm(path.join(options.dataDir, file));
    }
    await publisher.manager.streams.delete(INGEST_STREAM.name);
    const two = await startPipeline(resources, options);
    gateway.append(6);
    await waitFor('all is safe again', () => isComplete(gateway), PATIENT);
    expect(new Set(gateway.heard.map(({ checkpoints }) => checkpoints)).size).toBe(2);
    // The first 20 records but the very last, which a gateway keeps; the first epoch is forgotten.
    expect(two.partition().counts).toMatchObject({ gaps: 9, readings: 7 });
    const [alarm, ...others] = two.pipeline.alarms();
    expect(others).toEqual([]);
    expect(alarm).toMatchObject({ cause: 'trimmed', lane: 'telemetry', gateway: 'gw-1', count: 1 });
    const { ok, parts } = two.pipeline.health();
    expect(ok).toBe(true);
    expect(parts['alarms']).toMatch(/^trimmed of plant-1\/gw-1 \(telemetry\): .+ What to do: /);
    const metrics = await createMetrics(two.pipeline).metrics();
    expect(metrics).toContain('floorwatch_processor_alarms_total{kind="trimmed",cause="trimmed"} 1\n');
    expect(metrics).toMatch(/floorwatch_processor_sources_waiting\{partition="\d+"\} 0\n/);
    expect(metrics).toMatch(/floorwatch_processor_floor_messages_total [1-9]/);
  });

  it('without a checkpoint makes the same windows again from a stream that still has everything', async () => {
    const { gateway, store, one, options } = await floor();
    gateway.append(30);
    gateway.restart();
    gateway.append(30);
    await expectExact(gateway, store);
    const expected = store.contents('window');
    await one.stop();
    for (const file of await readdir(options.dataDir)) {
      if (file.startsWith('partition-')) await rm(path.join(options.dataDir, file));
    }
    const again = new MemoryStore();
    const two = await startPipeline(resources, { ...options, store: again });
    await waitFor(
      'all windows are stored',
      () => Object.keys(again.contents('window')).length === Object.keys(expected).length,
    );
    expect(withoutRuns(again.contents('window'))).toEqual(withoutRuns(expected));
    expect(two.pipeline.alarms()).toEqual([]);
  });
});
