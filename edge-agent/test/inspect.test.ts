import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { SegmentLog } from '@floorwatch/segment-log';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { inspect } from '../src/inspect.ts';

const resources = resourcesPerTest();

async function directoryWithLog(): Promise<string> {
  const directory = await resources.directory();
  const { log } = await SegmentLog.open({
    directory,
    durability: 'power',
    bytesMax: 1024 * 1024,
    segmentBytesMax: 65_536,
  });
  for (let i = 0; i < 3; i++) await log.append([Buffer.alloc(100), Buffer.alloc(200)]);
  await log.setCursor('uplink', 3);
  await log.close();
  return directory;
}

async function inspected(directory: string, json = false): Promise<{ readonly code: number; readonly text: string }> {
  let text = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((part) => {
    text += String(part);
    return true;
  });
  try {
    return { code: await inspect(directory, { json }), text };
  } finally {
    write.mockRestore();
  }
}

describe('inspect', () => {
  it('tells segments, positions and cursors in words', async () => {
    const { code, text } = await inspected(await directoryWithLog());
    expect(code).toBe(0);
    expect(text).toMatch(/^segment +positions +items +frames +bytes\n0{15}1-[0-9a-f]{8}\.seg +1–6 +6 +3 /);
    expect(text).toContain('positions 1–6, needed from 1 on\ncursor uplink: 3\nno damage\n');
  });

  it('tells damage exactly, with exit code 1', async () => {
    const directory = await directoryWithLog();
    const name = (await readdir(directory)).find((file) => file.endsWith('.seg')) ?? '';
    const bytes = await readFile(path.join(directory, name));
    bytes[4_096 * 2 + 50] = 99;
    await writeFile(path.join(directory, name), bytes);
    const { code, text } = await inspected(directory);
    expect(code).toBe(1);
    expect(text).toContain('DAMAGED: positions 3–4 (2 items), bytes ');
    const report = await inspected(directory, true);
    expect(report.code).toBe(1);
    expect(JSON.parse(report.text)).toMatchObject({ first: 1, next: 7, damage: [{ from: 3, to: 4, segment: name }] });
  });

  it('refuses a folder that holds no log', async () => {
    const directory = await resources.directory();
    await expect(inspect(directory, { json: false })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('holds no segment log') as string,
    });
    await expect(inspect(`${directory}/none`, { json: false })).rejects.toMatchObject({ code: 'usage' });
  });
});
