import { nodeFileSystem } from '@floorwatch/segment-log';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { RecentFrames } from '../../src/spool/recent-frames.ts';

const item = (text: string): Uint8Array => Buffer.from(text);
const textsOf = (frames: ReturnType<RecentFrames['from']>): unknown =>
  frames?.map(({ first, items }) => [first, ...items.map((bytes) => Buffer.from(bytes).toString())]);

describe('the newest frames of a lane', () => {
  it('are there from any of their positions on, cut to it', () => {
    const recent = new RecentFrames(100);
    recent.add(11, [item('a'), item('b')]);
    recent.add(13, [item('c')]);
    expect(recent.from(10)).toBeUndefined();
    expect(textsOf(recent.from(11))).toEqual([
      [11, 'a', 'b'],
      [13, 'c'],
    ]);
    expect(textsOf(recent.from(12))).toEqual([
      [12, 'b'],
      [13, 'c'],
    ]);
    expect(textsOf(recent.from(13))).toEqual([[13, 'c']]);
    expect(recent.from(14)).toBeUndefined();
  });

  it('are forgotten, the oldest first, when they have more bytes than they may', () => {
    const recent = new RecentFrames(4);
    recent.add(1, [item('aa')]);
    recent.add(2, [item('bb')]);
    expect(textsOf(recent.from(1))).toEqual([
      [1, 'aa'],
      [2, 'bb'],
    ]);
    recent.add(3, [item('c')]);
    expect(recent.from(1)).toBeUndefined();
    expect(textsOf(recent.from(2))).toEqual([
      [2, 'bb'],
      [3, 'c'],
    ]);
    recent.add(4, [item('12345')]);
    expect(recent.from(4)).toBeUndefined();
  });

  it('do not hide that positions lie between them', () => {
    const recent = new RecentFrames(100);
    recent.add(1, [item('a')]);
    recent.add(5, [item('b')]);
    expect(recent.from(1)).toBeUndefined();
    expect(textsOf(recent.from(5))).toEqual([[5, 'b']]);
  });
});

describe('what a lane has just made safe', () => {
  const resources = resourcesPerTest();

  it('is read without the disk, and what is older from there', async () => {
    let reads = 0;
    const open = async (...[file, mode]: Parameters<typeof nodeFileSystem.open>) => {
      reads += mode === 'read' ? 1 : 0;
      return nodeFileSystem.open(file, mode);
    };
    const { spool } = await DiskLaneSpool.open({
      directory: await resources.directory(),
      lane: 'anomaly',
      durability: 'process',
      bytesMax: 8 * 1024 * 1024,
      whenFull: 'refuse',
      fileSystem: { ...nodeFileSystem, open },
    });
    resources.defer(async () => spool.close());
    await spool.append([item('start')], { epoch: '1-0123456789abcdef' });
    await spool.append([item('new')]);
    reads = 0;
    const part = await spool.read(2, 1_000, 10);
    expect(part).toMatchObject({ kind: 'records', from: 2, to: 2, number: 2, items: [item('new')] });
    expect(reads).toBe(0);
    await spool.append([Buffer.alloc(300_000)]);
    expect(await spool.read(2, 1_000, 10)).toMatchObject({ from: 2, to: 2, items: [item('new')] });
    expect(reads).toBe(1);
  });
});
