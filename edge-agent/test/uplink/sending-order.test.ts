import { decodeBatch, epochMs } from '@floorwatch/contracts';
import { type FileSystem, type LogFile, nodeFileSystem } from '@floorwatch/segment-log';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import type { LaneSpool } from '../../src/lane-spool.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { encodeSpooled } from '../../src/spooled-record.ts';
import { SpoolSender } from '../../src/uplink/spool-sender.ts';
import { silentLogger } from '../support/devices.ts';

const resources = resourcesPerTest();
const EPOCH = '1-0123456789abcdef';

const start = encodeSpooled({
  record: { kind: 'start', number: 1, predecessor: null, at: epochMs(0), clock: 'unknown' },
  sensors: [],
  position: 0,
  at: epochMs(0),
});
const tick = (number: number): Uint8Array =>
  encodeSpooled({
    record: { kind: 'tick', number, watermark: epochMs(0), at: epochMs(0), clock: 'unknown' },
    sensors: [],
    position: number,
    at: epochMs(0),
  });

/** The machine's file system, on which a sync lasts until what `hold` gave is called. */
function slowDisk(): { readonly disk: FileSystem; readonly hold: () => () => void } {
  let held: Promise<void> = Promise.resolve();
  const open = async (...parameters: Parameters<FileSystem['open']>): Promise<LogFile> => {
    const file = await nodeFileSystem.open(...parameters);
    const sync = file.sync.bind(file);
    file.sync = async () => {
      await held;
      await sync();
    };
    return file;
  };
  const hold = (): (() => void) => {
    let release: () => void = () => undefined;
    held = new Promise((resolve) => (release = resolve));
    return release;
  };
  return { disk: { ...nodeFileSystem, open }, hold };
}

async function openLane(fileSystem: FileSystem = nodeFileSystem): Promise<DiskLaneSpool> {
  const { spool } = await DiskLaneSpool.open({
    directory: await resources.directory(),
    lane: 'telemetry',
    durability: 'power',
    bytesMax: 4 * 1024 * 1024,
    reserveBytes: 0,
    whenFull: 'refuse',
    commitDelayMs: 0,
    fileSystem,
  });
  return spool;
}

/** Stands in for NATS: what it is given, and what it answers. */
class RecordingLink {
  readonly published: Uint8Array[] = [];
  readonly isConnected = true;
  readonly batchBytesMax = 256 * 1024;
  refusals = 0;
  onPublish: () => void = () => undefined;
  async whenConnected(): Promise<void> {}
  async publish(_subject: string, bytes: Uint8Array): Promise<{ seq: number }> {
    this.onPublish();
    this.published.push(bytes);
    if (this.refusals-- > 0) throw new Error('no answer');
    return { seq: this.published.length };
  }
}

function run(lane: LaneSpool, link: RecordingLink): () => Promise<void> {
  const sender = new SpoolSender({ site: 'Leipzig', gateway: 'hall 1' }, lane, link, silentLogger);
  const abort = new AbortController();
  const running = sender.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  return stop;
}

const numbers = (bytes: Uint8Array): number[] => {
  const decoded = decodeBatch(bytes);
  return decoded.ok ? decoded.batch.records.map(({ number }) => number) : [];
};

describe('a batch', () => {
  it('is published only when the disk has synced it', async () => {
    const { disk, hold } = slowDisk();
    const lane = await openLane(disk);
    await lane.append([start], { epoch: EPOCH });
    const link = new RecordingLink();
    const stop = run(lane, link);
    await waitFor('the start is published', () => link.published.length === 1);
    const release = hold();
    const appended = lane.append([tick(2)], { now: true });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(link.published).toHaveLength(1);
    release();
    await appended;
    await waitFor('the tick is published', () => link.published.length === 2);
    await stop();
    await lane.close();
  });

  it('is published only when it is marked as sent, so that nothing of it can be dropped', async () => {
    const lane = await openLane();
    await lane.append([start, tick(2)], { epoch: EPOCH });
    const marked: number[] = [];
    const watched = new Proxy<LaneSpool>(lane, {
      get(target, key) {
        if (key === 'markSent') {
          return async (position: number) => {
            await new Promise((resolve) => setTimeout(resolve, 50));
            marked.push(position);
            return target.markSent(position);
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const link = new RecordingLink();
    const markedBefore: number[] = [];
    link.onPublish = () => markedBefore.push(Math.max(0, ...marked));
    const stop = run(watched, link);
    await waitFor('it is published', () => link.published.length === 1);
    expect(markedBefore).toEqual([2]);
    await stop();
    await lane.close();
  });

  it('whose outcome is unknown goes again, byte for byte, before anything behind it', async () => {
    const lane = await openLane();
    await lane.append([start, tick(2)], { epoch: EPOCH });
    const link = new RecordingLink();
    link.refusals = 3;
    const stop = run(lane, link);
    await waitFor('it is tried', () => link.published.length === 1);
    await lane.append([tick(3)], { now: true });
    await waitFor('all is sent', () => link.published.length === 5);
    expect(link.published.map(numbers)).toEqual([[1, 2], [1, 2], [1, 2], [1, 2], [3]]);
    expect(new Set(link.published.slice(0, 4).map((bytes) => Buffer.from(bytes).toString())).size).toBe(1);
    await stop();
    await lane.close();
  });
});
