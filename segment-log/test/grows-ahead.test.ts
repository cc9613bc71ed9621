import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { nodeFileSystem, SegmentLog, type SegmentLogOptions } from '../src/index.ts';
import { MemoryFileSystem } from './memory-file-system.ts';

const KIB = 1024;
const PAGE = 4 * KIB;
const SEGMENT = 256 * KIB;
/** What a log of such segments writes ahead. */
const AHEAD = SEGMENT / 16;

const options: SegmentLogOptions = {
  directory: 'log',
  durability: 'power',
  bytesMax: 4 * 1024 * KIB,
  segmentBytesMax: SEGMENT,
};

/** Appends frames one after the other, and says how large the only segment was after each. */
async function sizes(log: SegmentLog, fileSystem: MemoryFileSystem, bytes: number, frames: number): Promise<number[]> {
  const result: number[] = [];
  for (let i = 0; i < frames; i++) {
    await log.append([Buffer.alloc(bytes, 1)]);
    const segment = fileSystem.names().find((name) => name.endsWith('.seg'));
    const file = await fileSystem.open(segment!, 'read');
    result.push(await file.size());
  }
  return result;
}

async function found(log: SegmentLog): Promise<number> {
  let items = 0;
  for await (const frame of log.read(1)) items += frame.items.length;
  return items;
}

describe('the newest file of a power-safe log', () => {
  const resources = resourcesPerTest();

  it('grows by zeros for several small frames at a time, which then only overwrite them', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open({ ...options, fileSystem });
    const each = await sizes(log, fileSystem, 100, 11);
    const first = 2 * PAGE + AHEAD;
    // The header, a frame and the zeros; four frames in their place; then the next zeros behind the sixth.
    expect(each).toEqual([
      ...Array.from({ length: 5 }, () => first),
      ...Array.from({ length: 5 }, () => first + PAGE + AHEAD),
      first + 2 * (PAGE + AHEAD),
    ]);
    await log.close();
  });

  it('does not grow by zeros for large frames, beyond its end, or where only the end of the process is to be outlived', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open({ ...options, fileSystem });
    expect(await sizes(log, fileSystem, 2 * PAGE, 1)).toEqual([4 * PAGE]);
    const small = await sizes(log, fileSystem, 100, SEGMENT / PAGE - 4);
    expect(small.at(-1)).toBe(SEGMENT);
    await log.close();

    const other = new MemoryFileSystem();
    const { log: processLog } = await SegmentLog.open({ ...options, durability: 'process', fileSystem: other });
    const [grown] = await sizes(processLog, other, 100, 1);
    expect(grown).toBeLessThan(2 * PAGE);
    await processLog.close();
  });

  it('takes frames where the disk has no room for zeros', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open({ ...options, fileSystem });
    await log.append([Buffer.alloc(100)]);
    let writes = 0;
    fileSystem.fault = (operation, file) => {
      if (operation !== 'write' || !file.endsWith('.seg')) return;
      writes += 1;
      // Four frames in the place of zeros, one behind them, and the zeros behind that.
      if (writes === 6) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    expect(await sizes(log, fileSystem, 100, 6)).toEqual([
      ...Array.from({ length: 4 }, () => 2 * PAGE + AHEAD),
      3 * PAGE + AHEAD,
      4 * PAGE + AHEAD,
    ]);
    expect(await found(log)).toBe(7);
    await log.close();
    const { log: again, recovery } = await SegmentLog.open({ ...options, fileSystem: fileSystem.afterKill() });
    expect(recovery).toMatchObject({ tornBytes: 0, damage: [] });
    expect(await found(again)).toBe(7);
    await again.close();
  });

  it('is whole after a power cut at which the frames in the place of zeros were not there yet', async () => {
    const fileSystem = new MemoryFileSystem();
    const { log } = await SegmentLog.open({ ...options, fileSystem });
    await log.append([Buffer.alloc(100)]);
    fileSystem.fault = (operation) => {
      if (operation === 'sync') throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    const after = fileSystem.afterPowerCut(() => undefined);
    await log.append([Buffer.alloc(100)]).catch(() => undefined);
    const { log: again, recovery } = await SegmentLog.open({ ...options, fileSystem: after });
    expect(recovery).toMatchObject({ tornBytes: 0, damage: [] });
    expect(await found(again)).toBe(1);
    await again.append([Buffer.alloc(100)]);
    expect(await found(again)).toBe(2);
    await again.close();
  });

  it('is as large on a real disk, and not counted as larger than its frames', async () => {
    const directory = await resources.directory();
    const { log } = await SegmentLog.open({ ...options, directory, fileSystem: nodeFileSystem });
    resources.defer(async () => log.close());
    await log.append([Buffer.alloc(100)]);
    const name = (await readdir(directory)).find((file) => file.endsWith('.seg'));
    expect((await stat(path.join(directory, name!))).size).toBe(2 * PAGE + AHEAD);
    expect(log.bytes).toBeLessThan(2 * PAGE);
  });
});
