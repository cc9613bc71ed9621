import { setTimeout as wait } from 'node:timers/promises';

import { epochMs, LANES } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import { viewAgent } from '../src/agent-views.ts';
import type { RawMessage } from '../src/ingest/raw-message.ts';
import {
  contentOf,
  copyLanes,
  Core,
  coreConfig,
  type CoreOptions,
  countsOf,
  type Event,
  framesOf,
  openJournal,
  readLane,
} from './support/core.ts';
import { FaultyDisk } from './support/faulty-disk.ts';

const resources = resourcesPerTest();
const START = 1_700_000_000_000;

/** Every reading of `hot` opens an episode of its sensor. */
const options: CoreOptions = {
  engine: { limits: { closeAfterReadings: 1, rules: [{ metric: 'hot', high: 0 }] } },
  storage: { dataDir: '', durability: 'power' },
};

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

async function startOn(disk: FaultyDisk, more: CoreOptions = {}): Promise<Core> {
  const config = coreConfig(await resources.directory(), {
    ...options,
    ...more,
    storage: { ...options.storage!, ...more.storage },
  });
  const core = await Core.start(config, START, disk.fileSystem);
  resources.defer(async () => core.abandon());
  return core;
}

const answers = (core: Core): (string | undefined)[] => core.handed.map(({ answer }) => answer);

describe('a reading', () => {
  it('is neither answered nor processed before its frame is safe', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const before = core.parts.storage.lanes.anomaly.next;
    const release = disk.hold('sync', 'journal');
    const taking = core.take([delivery(message('press/hot', 1))]);
    await wait(100);
    expect(answers(core)).toEqual([undefined]);
    expect(core.parts.engine.sensorCount).toBe(0);
    expect(core.parts.storage.lanes.anomaly.next).toBe(before);
    release();
    await taking;
    await core.processed();
    expect(answers(core)).toEqual(['acked']);
    expect(core.parts.storage.lanes.anomaly.next).toBe(before + 1);
  });

  it('that comes twice is answered the second time when the first one is safe, and not before', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const release = disk.hold('sync', 'journal');
    const taking = core.take([delivery(message('press/temp', 1)), delivery(message('press/temp', 1))]);
    await wait(100);
    expect(answers(core)).toEqual([undefined, undefined]);
    release();
    await taking;
    expect(answers(core)).toEqual(['acked', 'acked']);
    expect(core.parts.intake.counts).toMatchObject({ received: 2, accepted: 1, duplicates: 1 });
  });

  it('is refused when the disk can not keep it, and so is everything that was taken before that was known', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    let failures = 0;
    disk.fault = async (operation, file) => {
      if (operation !== 'sync' || !file.includes('journal') || failures++ > 0) return;
      await wait(50);
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    const first = message('press/temp', 1);
    const second = message('press/temp', 2, 1);
    const taking = core.take([delivery(first)]);
    await wait(10);
    const overlapping = core.take([delivery(second), delivery(first)]);
    await Promise.all([taking, overlapping]);
    expect(answers(core)).toEqual(['nacked', 'nacked', 'nacked']);
    await core.take([delivery(first), delivery(second)]);
    await core.processed();
    expect(answers(core).slice(3)).toEqual(['acked', 'acked']);
    expect(core.parts.intake.counts).toMatchObject({ accepted: 2, refusedByReason: expect.anything() });
    const view = viewAgent(core.parts);
    expect(view.journal?.counts.syncFailures).toBe(1);
    expect(view.troubles).toContainEqual(expect.objectContaining({ code: 'sync-failed' }));
    expect(view.refusing).toBeNull();
    await core.take([tick(100)]);
    await core.stop();
    expect((await countsOf(core.config.storage.dataDir)).size).toBe(0);
    // Nothing of the refused ones counts: the rollup that is still open has two readings.
    const again = await Core.start(core.config, START + 200_000);
    await again.take([delivery(message('later/temp', 0, 300)), tick(300)]);
    await again.stop();
    expect((await countsOf(core.config.storage.dataDir)).get('press/temp')).toEqual({ n: 2, sum: 3 });
  });

  it('is safe only together with what came with it and is put in quarantine', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const setAside = { ...message('press/temp', 5), payload: Buffer.from('{"value": 5, "ts": 86400000}') };
    core.parts.storage.quarantine.append = async () => {
      throw new Error('no room');
    };
    await core.take([delivery(message('press/temp', 1), setAside)]);
    expect(answers(core)).toEqual(['nacked']);
    expect(viewAgent(core.parts).refusing).toMatchObject({ log: 'quarantine', why: 'no room' });
    Reflect.deleteProperty(core.parts.storage.quarantine, 'append');
    await core.take([delivery(message('press/temp', 1), setAside)]);
    expect(answers(core)).toEqual(['nacked', 'acked']);
    expect(core.parts.intake.counts).toMatchObject({ received: 2, accepted: 1, quarantined: 1 });
    expect(viewAgent(core.parts).refusing).toBeNull();
  });
});

describe('a disk that is full', () => {
  it('gets room from telemetry that was never sent, so that readings and anomalies go on', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk, {
      storage: { dataDir: '', durability: 'process', telemetry: { bytesMax: 8 * 1024 * 1024 } },
    });
    const { telemetry } = core.parts.storage.lanes;
    for (let second = 0; telemetry.segments < 3; second += 20) {
      const many = Array.from({ length: 500 }, (_, i) => message(`press/m${i}`, i, second));
      await core.take([delivery(...many), tick(second)]);
      await core.processed();
    }
    let isFull = true;
    disk.fault = (operation, file) => {
      if (operation !== 'write' || !isFull || !/journal.*segment|journal\/\d/.test(file)) return;
      if (telemetry.dropped > 0) isFull = false;
      else throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    await core.take([delivery(message('press/hot', 1, 100_000))]);
    expect(answers(core).at(-1)).toBe('acked');
    expect(telemetry.dropped).toBeGreaterThan(0);
  });

  it('that may drop nothing refuses readings until there is room, and loses none that was answered', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk, {
      storage: { dataDir: '', durability: 'process', telemetry: { whenFull: 'refuse' } },
    });
    const hasRoom = disk.fail('write', 'ENOSPC', 'journal');
    await core.take([delivery(message('press/temp', 1))]);
    expect(answers(core)).toEqual(['nacked']);
    expect(viewAgent(core.parts)).toMatchObject({ refusing: { log: 'journal' } });
    hasRoom();
    await core.take([delivery(message('press/temp', 1))]);
    expect(answers(core)).toEqual(['nacked', 'acked']);
    expect(viewAgent(core.parts).refusing).toBeNull();
  });

  it('keeps what was made until a lane takes it, and takes nothing new before', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const hasRoom = disk.fail('write', 'ENOSPC', '/anomaly/');
    await core.take([delivery(message('press/hot', 1))]);
    await waitFor('the lane is refused', () => viewAgent(core.parts).refusing?.log === 'anomaly');
    const taking = core.take([delivery(message('press/hot', -1, 1))]);
    await wait(200);
    // The second one is not even asked for.
    expect(answers(core)).toEqual(['acked']);
    hasRoom();
    await taking;
    await core.processed();
    expect(answers(core)).toEqual(['acked', 'acked']);
    await core.stop();
    const episodes = (await readLane(core.config.storage.dataDir, 'anomaly')).map(({ spooled }) => spooled.record);
    expect(episodes).toMatchObject([{ kind: 'start' }, { phase: 'opened' }, { phase: 'closed' }]);
  });

  it('does not keep an agent from starting: it begins when there is room', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    await core.take([delivery(message('press/hot', 1))]);
    await core.stop();
    const again = await Core.assemble(core.config, disk.fileSystem);
    resources.defer(async () => again.abandon());
    const hasRoom = disk.fail('write', 'ENOSPC', 'journal');
    const begun = again.begin(START + 1_000);
    await waitFor('the journal is refused', () => viewAgent(again.parts).refusing?.log === 'journal');
    hasRoom();
    await begun;
    expect(viewAgent(again.parts).refusing).toBeNull();
  });
});

describe('a snapshot', () => {
  it('is not ahead of the lanes: what waits for them is made again after a kill', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    await core.take([delivery(message('press/temp', 1)), tick(1)]);
    await core.processed();
    disk.fail('write', 'ENOSPC', '/anomaly/');
    core.parts.snapshots.hurry();
    await core.take([delivery(message('press/hot', 1))]);
    await waitFor('the lane is refused', () => viewAgent(core.parts).refusing?.log === 'anomaly');
    await wait(200);
    const copy = await core.copyOfFolder(resources);
    const next = await Core.start(
      { ...core.config, storage: { ...core.config.storage, dataDir: copy } },
      START + 1_000,
    );
    await next.stop();
    const phases = (await readLane(copy, 'anomaly')).map(({ spooled: { record } }) => record.kind);
    expect(phases).toEqual(['start', 'anomaly', 'start']);
  });

  it('that can not be saved is tried again, and told', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const hasRoom = disk.fail('create', 'ENOSPC', 'snapshot');
    const snapshotAt = async (second: number): Promise<void> => {
      core.parts.snapshots.hurry();
      for (let i = 0; i < 3; i++) {
        await core.take([tick(second + i)]);
        await core.processed();
        await core.parts.snapshots.settled();
      }
    };
    await snapshotAt(1);
    expect(viewAgent(core.parts)).toMatchObject({ snapshot: { failures: 1, at: null } });
    expect(viewAgent(core.parts).troubles).toContainEqual(expect.objectContaining({ code: 'snapshot' }));
    hasRoom();
    await snapshotAt(11);
    const { snapshot } = viewAgent(core.parts);
    expect(snapshot).toMatchObject({ failures: 1, at: expect.any(Number) });
    expect(snapshot).not.toHaveProperty('lastError');
  });
});

describe('what is on the disk', () => {
  it('has every start in the journal, at the position that its records in both lanes name', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    await core.stop();
    for (let start = 1; start < 4; start++) await (await Core.start(core.config, START + start)).stop();
    const { dataDir } = core.config.storage;
    const journal = await openJournal(dataDir);
    const starts: [string, number][] = [];
    for await (const { position, start } of journal.starts(1)) starts.push([start.epoch, position]);
    await journal.close();
    expect(starts).toHaveLength(4);
    for (const lane of LANES) {
      const records = (await readLane(dataDir, lane)).filter(({ spooled }) => spooled.record.kind === 'start');
      expect(records.map(({ epoch, spooled }) => [epoch, spooled.position])).toEqual(starts);
    }
  });

  it('has all outputs of one position in one frame', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    const many = Array.from({ length: 2_500 }, (_, i) => message(`press/m${i}`, i));
    await core.take([delivery(...many), tick(1), delivery(message('press/hot', 1, 60)), tick(60)]);
    await core.stop();
    const { dataDir } = core.config.storage;
    expect(
      (await readLane(dataDir, 'telemetry')).filter(({ spooled }) => spooled.record.kind === 'rollups').length,
    ).toBe(3);
    for (const lane of LANES) {
      const seen = new Set<number>();
      for (const frame of await framesOf(dataDir, lane)) {
        const positions = new Set(frame.map(({ position }) => position));
        for (const position of positions) expect([lane, position, seen.has(position)]).toEqual([lane, position, false]);
        for (const position of positions) seen.add(position);
      }
    }
  });

  it('can be gone on from when the journal ends before the lanes, as a power cut leaves it with durability process', async () => {
    const disk = new FaultyDisk();
    const core = await startOn(disk);
    await core.take([delivery(message('press/hot', 1))]);
    await core.processed();
    const copy = await core.copyOfFolder(resources);
    await core.take([delivery(message('press/hot', -1, 1)), delivery(message('press/hot', 2, 2))]);
    await core.stop();
    copyLanes(core.config.storage.dataDir, copy);
    const config = { ...core.config, storage: { ...core.config.storage, dataDir: copy } };
    const next = await Core.start(config, START + 10_000);
    await next.take([delivery(message('press/hot', -1, 11)), delivery(message('other/hot', 1, 12))]);
    await next.stop();
    const lane = await readLane(copy, 'anomaly');
    const positions = lane.map(({ spooled }) => spooled.position);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(lane.map(({ spooled: { record } }) => (record.kind === 'anomaly' ? record.device : record.kind))).toEqual([
      'start',
      'press',
      'press',
      'press',
      'start',
      'press',
      'other',
    ]);
    expect((await contentOf(copy)).length).toBeGreaterThan(0);
  });
});
