import { copyFile, type FileHandle, open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { CHECKPOINT_VERSION, type CheckpointState } from '../../src/checkpoint/format.ts';
import { WindowOperator } from '../../src/window/window-operator.ts';
import { BASE, GATEWAY, Kept, MINUTE, rollups, SENSORS, windowConfig } from '../support/floor.ts';
import { anomalyRow, ODD_NAMES, windowRow } from '../write/sample-rows.ts';

const resources = resourcesPerTest();

function windows(): CheckpointState['windows'] {
  const operator = new WindowOperator(windowConfig());
  const out = new Kept<unknown>();
  for (const [index, name] of ODD_NAMES.entries()) {
    const sensors = [...SENSORS, { device: name, metric: name, unit: '°C' }];
    const at = BASE + index * MINUTE;
    const values = [0.1 + 0.2, 5e-324, -1.7976931348623157e308, Math.PI].map((value, sensor) => ({
      sensor,
      at,
      value,
    }));
    operator.merge({ site: name, gateway: 'gw-1' }, sensors, rollups(1, values), 1, out);
  }
  operator.advance(GATEWAY, epochMs(BASE + 9_999_999), out);
  operator.merge(GATEWAY, SENSORS, rollups(1, [{ sensor: 0, at: BASE, value: 1 }]), 1, out);
  operator.lose(GATEWAY, [BASE, BASE + 1]);
  operator.lose(GATEWAY, null);
  return operator.snapshot();
}

const state = (ordinal: number, more: Partial<CheckpointState> = {}): CheckpointState => ({
  series: '0123456789abcdef',
  ordinal,
  partition: 3,
  cursor: { created: '2026-03-02T08:00:00.123456789Z', position: 100 + ordinal, digest: 4_000_000_000 },
  sources: [
    {
      ...GATEWAY,
      lane: 'anomaly',
      current: '2-00000002',
      waiting: true,
      run: 3,
      takenFrom: '1-00000001',
      runs: [
        [1, '1-00000001', 1],
        [2, '2-00000002', 1],
        [3, '1-00000001', 7],
      ],
      epochs: [
        ['1-00000001', 7, 7, true, BASE, 6, 0],
        ['2-00000002', 1, 4, false, BASE + 1, 0, 5],
      ],
    },
  ],
  alarms: [
    { ...GATEWAY, lane: 'anomaly', cause: 'shorter', epoch: '2-00000002', firstAt: BASE, lastAt: BASE + 1, count: 2 },
  ],
  windows: windows(),
  ledger: [
    {
      ...GATEWAY,
      tick: { run: 2, number: 17 },
      counters: [
        ['1-00000001', null],
        ['2-00000002', BASE],
      ],
      episodes: { epoch: '2-00000002', number: 4 },
      lost: [
        {
          lane: 'telemetry',
          epoch: '1-00000001',
          run: 1,
          from: 3,
          to: 9,
          reason: 'cap',
          readings: 40,
          anomalies: 0,
          unknown: false,
          eventTimes: [BASE, BASE + 1],
        },
      ],
    },
  ],
  evidence: [
    {
      ...GATEWAY,
      from: null,
      pending: true,
      reportedAt: null,
      reached: null,
      omitted: [],
      hours: [],
      words: new Uint32Array(),
    },
    {
      site: 'plant-2',
      gateway: 'gw-1',
      from: BASE,
      pending: false,
      reportedAt: BASE + 1,
      reached: 492_350,
      omitted: [[-7, 700_000]],
      hours: [-1, 0, 492_343, 492_344, 492_350],
      words: Uint32Array.from({ length: 20 }, (_, i) => 2 ** 32 - 1 - i),
    },
  ],
  clean: false,
  comparing: false,
  before: {
    gateways: [{ ...GATEWAY, windowsTo: BASE, episodesTo: BASE - 1, runs: [[1, '1-00000001', 1, 7]] }],
    runsTo: 4,
  },
  unsent: [windowRow(), anomalyRow({ phase: 'closed', closeReason: 'recovered' })],
  ...more,
});

async function twoSaved(): Promise<{ file: CheckpointFile; folder: string; previous: string }> {
  const folder = await resources.directory();
  const file = new CheckpointFile(folder, 3, '0.1.0');
  await file.save(state(1));
  await file.save(state(2));
  return { file, folder, previous: path.join(folder, 'partition-03.previous.ndjson') };
}

describe('checkpoint file', () => {
  it('gives everything back, bit by bit', async () => {
    const { file } = await twoSaved();
    expect(await file.load()).toEqual({ kind: 'newest', state: state(2) });
  });

  it('keeps a large state that takes many writes', async () => {
    const folder = await resources.directory();
    const file = new CheckpointFile(folder, 3, '0.1.0');
    const unsent = Array.from({ length: 5_000 }, (_, i) => windowRow({ start: epochMs(BASE + i * MINUTE) }));
    const bytes = await file.save(state(1, { unsent }));
    expect(bytes).toBe((await readFile(file.path)).length);
    expect(await file.load()).toEqual({ kind: 'newest', state: state(1, { unsent }) });
  });

  it('is none where nothing was saved', async () => {
    expect(await new CheckpointFile(await resources.directory(), 3, '0.1.0').load()).toEqual({ kind: 'none' });
  });

  it('keeps the one before, and leaves no temporary file', async () => {
    const { folder, previous } = await twoSaved();
    expect((await readdir(folder)).sort()).toEqual(['partition-03.ndjson', 'partition-03.previous.ndjson']);
    expect(await readFile(previous, 'utf8')).toContain('"ordinal":1');
  });

  it('is safe under its name when it is saved: the folder is synced after the last rename', async () => {
    const { file, folder } = await twoSaved();
    const handle = await open(folder);
    /** What the folder held whenever it was synced. */
    const synced: string[] = [];
    const sync = Reflect.get(handle, 'sync');
    const spy = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'sync').mockImplementation(async function (
      this: FileHandle,
    ) {
      if ((await this.stat()).isDirectory()) synced.push(await readFile(file.path, 'utf8'));
      return sync.call(this);
    });
    await handle.close();
    try {
      await file.save(state(3));
    } finally {
      spy.mockRestore();
    }
    expect(synced.at(-1)).toContain('"ordinal":3');
  });

  it('a damaged one is put aside, and never takes the place of the one before', async () => {
    const { file, folder, previous } = await twoSaved();
    await truncate(file.path, 10);
    expect(await file.load()).toMatchObject({ kind: 'fallback', state: { ordinal: 1 } });
    await file.save(state(2, { unsent: [] }));
    expect(await readFile(previous, 'utf8')).toContain('"ordinal":1');
    const names = ['partition-03.damaged.ndjson', 'partition-03.ndjson', 'partition-03.previous.ndjson'];
    expect((await readdir(folder)).sort()).toEqual(names);
    await truncate(file.path, 10);
    expect(await file.load()).toMatchObject({ kind: 'fallback', state: { ordinal: 1 } });
  });

  it('any truncation or changed byte is noticed, and the one before is used', async () => {
    const { file } = await twoSaved();
    const whole = await readFile(file.path);
    const places = Array.from({ length: 60 }, (_, i) => Math.floor((i * (whole.length - 1)) / 59));
    for (const place of places) {
      const damaged = Buffer.from(whole);
      damaged[place]! ^= 1 << (place % 8);
      await writeFile(file.path, damaged);
      expect(await file.load()).toMatchObject({ kind: 'fallback', state: { ordinal: 1 } });
      await writeFile(file.path, whole);
      await truncate(file.path, place);
      expect(await file.load()).toMatchObject({ kind: 'fallback', state: { ordinal: 1 } });
    }
    await writeFile(file.path, whole);
    expect(await file.load()).toMatchObject({ kind: 'newest', state: { ordinal: 2 } });
  });

  it('one that is missing beside the one before is that one', async () => {
    const { file, previous } = await twoSaved();
    await copyFile(previous, file.path);
    expect(await file.load()).toMatchObject({ kind: 'newest', state: { ordinal: 1 } });
  });

  it('two damaged ones are an error that names the file', async () => {
    const { file, previous } = await twoSaved();
    await truncate(file.path, 10);
    await truncate(previous, 0);
    await expect(file.load()).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(file.path) as string,
    });
  });

  it('of another partition is not taken', async () => {
    const { file, folder } = await twoSaved();
    await copyFile(file.path, path.join(folder, 'partition-04.ndjson'));
    await expect(new CheckpointFile(folder, 4, '0.1.0').load()).rejects.toThrow('it belongs to partition 3');
  });

  it('of another release is an error, and not passed over for the one before', async () => {
    const { file, folder } = await twoSaved();
    const foreign = (await readFile(file.path, 'utf8'))
      .replace(/"version":\d+/, `"version":${CHECKPOINT_VERSION + 1}`)
      .split('\n');
    const body = `${foreign.slice(0, -2).join('\n')}\n`;
    await writeFile(file.path, `${body}${JSON.stringify({ kind: 'end', crc32: crc32(body) })}\n`);
    await expect(new CheckpointFile(folder, 3, '0.1.0').load()).rejects.toMatchObject({ code: 'foreign' });
  });
});
