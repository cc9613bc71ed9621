import { setTimeout as wait } from 'node:timers/promises';

import { epochMs, rollupAggregate } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import { viewAgent } from '../src/agent-views.ts';
import type { RawMessage } from '../src/ingest/raw-message.ts';
import type { LaneSpool } from '../src/lane-spool.ts';
import { Pipeline } from '../src/pipeline.ts';
import { decodeSpooled } from '../src/spooled-record.ts';
import { createStream } from './support/agent.ts';
import { Core, coreConfig, type CoreOptions, type Event } from './support/core.ts';
import { silentLogger } from './support/devices.ts';
import { FaultyDisk } from './support/faulty-disk.ts';

const resources = resourcesPerTest();
const START = 1_700_000_000_000;
const MIB = 1024 * 1024;

const message = (sensor: string, value: number, second = 0): RawMessage => ({
  topic: `sensors/${sensor}`,
  payload: Buffer.from(JSON.stringify({ value, ts: START + second * 1_000 })),
  receivedAt: epochMs(START + second * 1_000),
  retained: false,
});
const delivery = (...messages: RawMessage[]): Event => ({ messages });
const tick = (second: number): Event => ({
  tick: { now: epochMs(START + second * 1_000), quality: 'synchronised', sinceStartMs: second * 1_000 },
});

async function startOn(disk: FaultyDisk, storage: Partial<NonNullable<CoreOptions['storage']>> = {}): Promise<Core> {
  const config = coreConfig(await resources.directory(), { storage: { dataDir: '', durability: 'power', ...storage } });
  const core = await Core.start(config, START, disk.fileSystem);
  resources.defer(async () => core.abandon());
  return core;
}

const lastAnswer = (core: Core): string | undefined => core.handed.at(-1)?.answer;

/** Takes readings one by one, each a commit of its own, until one is refused; returns how many were not. */
async function fillJournal(core: Core): Promise<number> {
  for (let taken = 0; ; taken++) {
    await core.take([delivery(message('press/temp', taken, taken))]);
    await core.processed();
    if (lastAnswer(core) === 'nacked') return taken;
  }
}

describe('a journal at its limit', () => {
  it('gets room from snapshots that are taken although nothing can be processed', async () => {
    const core = await startOn(new FaultyDisk(), { journalBytesMax: MIB });
    const taken = await fillJournal(core);
    core.parts.snapshots.hurry();
    for (let second = 0; second < 20 && viewAgent(core.parts).refusing !== null; second++) {
      await core.take([tick(taken + second)]);
      await wait(20);
      await core.parts.snapshots.settled();
      core.parts.snapshots.hurry();
    }
    await core.take([delivery(message('press/temp', -1, taken))]);
    expect(lastAnswer(core)).toBe('acked');
  });

  it('does not keep the next start from beginning', async () => {
    const core = await startOn(new FaultyDisk(), { journalBytesMax: MIB });
    await fillJournal(core);
    const dataDir = await core.copyOfFolder(resources);
    const again = await Core.assemble({ ...core.config, storage: { ...core.config.storage, dataDir } });
    resources.defer(async () => again.abandon());
    const begun = again.begin(START + 1_000_000).then(() => 'begun');
    expect(await Promise.race([begun, wait(3_000)])).toBe('begun');
  });
});

describe('a log that could not be written', () => {
  it('is tried again when nothing comes, so that time goes on', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const works = disk.fail('sync', 'EIO', 'journal');
    await core.take([tick(1)]);
    expect(viewAgent(core.parts).refusing).toMatchObject({ log: 'journal' });
    works();
    await core.take([tick(6)]);
    expect(viewAgent(core.parts).refusing).toBeNull();
  });

  it('keeps only those readings waiting that would go there, and is tried again', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const works = disk.fail('sync', 'EIO', 'quarantine');
    const setAside = { ...message('press/temp', 5), payload: Buffer.from('{"value": 5, "ts": 86400000}') };
    await core.take([delivery(setAside)]);
    expect(lastAnswer(core)).toBe('nacked');
    expect(viewAgent(core.parts).refusing).toMatchObject({ log: 'quarantine' });
    await core.take([delivery(message('press/temp', 1))]);
    expect(lastAnswer(core)).toBe('acked');
    works();
    await core.take([tick(6)]);
    await waitFor('it is tried again', () => viewAgent(core.parts).refusing === null);
  });
});

/** Readings that the rollups of a lane count. */
async function readingsIn(spool: LaneSpool): Promise<number> {
  let readings = 0;
  for (let next = spool.first; next < spool.next;) {
    const part = await spool.read(next, 1e9, 1e9);
    if (part?.kind !== 'records') throw new Error(`position ${next} is missing`);
    for (const item of part.items) {
      const { record } = decodeSpooled(item);
      if (record.kind === 'rollups')
        readings += record.columns.sensor.reduce((n, _, i) => n + rollupAggregate(record, i).n, 0);
    }
    next = part.to + 1;
  }
  return readings;
}

describe('a start with another configuration', () => {
  it('counts nothing again that a lane had to let go of since the snapshot', async () => {
    const core = await startOn(new FaultyDisk(), { durability: 'process', telemetry: { bytesMax: 4 * MIB } });
    const { telemetry } = core.parts.storage.lanes;
    let sent = 0;
    let second = 0;
    const takeMore = async (): Promise<void> => {
      second += 20;
      const many = Array.from({ length: 500 }, (_, i) => message(`press/m${i}`, i, second));
      sent += many.length;
      await core.take([delivery(...many), tick(second)]);
      await core.processed();
    };
    core.parts.snapshots.hurry();
    for (let i = 0; i < 3; i++) {
      await takeMore();
      await core.parts.snapshots.settled();
    }
    expect(viewAgent(core.parts).snapshot?.at).not.toBeNull();
    while (telemetry.segments < 4) await takeMore();
    const told = await readingsIn(telemetry);
    await telemetry.markSent(telemetry.next - 1);
    telemetry.keepFrom = Infinity;
    await telemetry.release(telemetry.next - 1);
    const released = told - (await readingsIn(telemetry));
    expect(released).toBeGreaterThan(0);
    const dataDir = await core.copyOfFolder(resources);
    const config = coreConfig(dataDir, {
      engine: { limits: { rules: [{ high: 1e6 }] } },
      storage: core.config.storage,
    });
    const next = await Core.start(config, START + 1_000 * second);
    resources.defer(async () => next.abandon());
    expect(released + (await readingsIn(next.parts.storage.lanes.telemetry))).toBe(sent);
  });
});

describe('an anomaly on a full disk', () => {
  it('gets room from telemetry that was never sent', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk, { durability: 'process', telemetry: { bytesMax: 8 * MIB } });
    const { anomaly, telemetry } = core.parts.storage.lanes;
    for (let second = 0; telemetry.segments < 3; second += 20) {
      const many = Array.from({ length: 500 }, (_, i) => message(`press/m${i}`, i, second));
      await core.take([delivery(...many), tick(second)]);
      await core.processed();
    }
    disk.fault = (operation, file) => {
      if (operation !== 'write' || !/anomaly\/\d/.test(file) || telemetry.dropped > 0) return;
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    const { next } = anomaly;
    await anomaly.append([new Uint8Array(100)]);
    expect(anomaly.next).toBe(next + 1);
    expect(telemetry.dropped).toBeGreaterThan(0);
  });
});

describe('an agent whose lane is full', () => {
  const storage = { durability: 'process', telemetry: { bytesMax: MIB, whenFull: 'refuse' } } as const;

  it('can be stopped while it waits to begin', async () => {
    const disk = new FaultyDisk();
    const dataDir = await resources.directory();
    const config = coreConfig(dataDir, { storage: { dataDir } });
    const pipeline = await Pipeline.open(config, silentLogger, { fileSystem: disk.fileSystem });
    disk.fail('write', 'ENOSPC', 'journal');
    const started = pipeline.start();
    await waitFor('the journal is refused', () => pipeline.view().refusing?.log === 'journal');
    const stopped = pipeline.stop().then(() => 'stopped');
    expect(await Promise.race([stopped, wait(5_000)])).toBe('stopped');
    await started;
  });

  it('sends what is in it before it can begin, while it waits for room', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const dataDir = await resources.directory();
    const core = await Core.start(coreConfig(dataDir, { storage: { dataDir, ...storage } }), START);
    for (let second = 0; viewAgent(core.parts).refusing === null; second += 10) {
      const many = Array.from({ length: 300 }, (_, i) => message(`press/m${i}`, i, second));
      void core.take([delivery(...many), tick(second)]);
      await wait(5);
    }
    await core.abandon();
    const config = coreConfig(dataDir, { nats: { servers: [nats.url] }, storage: { dataDir, ...storage } });
    const pipeline = await Pipeline.open(config, silentLogger, { tickMs: 100 });
    void pipeline.start();
    resources.defer(async () => pipeline.stop());
    await waitFor('the lane is refused', () => pipeline.view().refusing?.log === 'telemetry');
    await waitFor('all records are sent', () => pipeline.view().lanes.telemetry.recordsWaiting === 0);
    expect(pipeline.view().refusing).toMatchObject({ log: 'telemetry' });
  });
});
