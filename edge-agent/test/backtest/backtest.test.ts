import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { epochMs } from '@floorwatch/contracts';
import { takeProcessLock } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { backtest, type BacktestOptions } from '../../src/backtest/backtest.ts';
import { backtestText } from '../../src/backtest/command.ts';
import { readRecording } from '../../src/backtest/read-recording.ts';
import { detectOffline } from '../../src/detect-offline.ts';
import { Journal } from '../../src/journal/journal.ts';
import { engineConfigSchema } from '../../src/sensor-engine-config.ts';
import { SensorEngine } from '../../src/sensor-engine.ts';
import { SnapshotFile } from '../../src/snapshot/snapshot-file.ts';

const START = Date.UTC(2026, 2, 2);
const resources = resourcesPerTest();

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const place = path.join(await resources.directory(), name);
  await writeFile(place, content);
  return place;
}

const readingsOf = async (place: string) => {
  const counts = { readings: 0, skipped: 0 };
  const readings = [];
  for await (const { eventTime, ...reading } of readRecording(place, counts)) {
    readings.push([(eventTime - START) / 1_000, reading.device, reading.metric, reading.value]);
  }
  return { readings, counts };
};

/** A reading a minute for two days, with a spike of 40 at noon of the second. */
const value = (minute: number): number => 20 + Math.sin(minute * minute) + (minute === 2_160 ? 40 : 0);
const csv = ['time,temperature', ...Array.from({ length: 2_880 }, (_, i) => `${START + i * 60_000},${value(i)}`)].join(
  '\n',
);

const configFile = async (engine: string): Promise<string> =>
  file('agent.yaml', `site: s\ngateway: g\nstorage: {dataDir: unused}\nnats: {}\nengine: ${engine}\n`);

const run = async (files: readonly string[], options: BacktestOptions = {}) =>
  backtest(files, options, () => undefined);

describe('reading recordings', () => {
  it('takes CSV with dates or epoch times, plain and packed, and counts what is no reading', async () => {
    const rows = [
      'time,a,b c',
      '2026-03-02 00:00:01,1,2',
      '2026-03-02T01:00:02+01:00,3,',
      `${START + 3_000},x,4`,
      `${START / 1_000 + 4},1e300,5`,
      'yesterday,6,7',
    ].join('\r\n');
    const expected = {
      readings: [
        [1, 'press', 'a', 1],
        [1, 'press', 'b c', 2],
        [2, 'press', 'a', 3],
        [3, 'press', 'b c', 4],
        [4, 'press', 'b c', 5],
      ],
      counts: { readings: 5, skipped: 5 },
    };
    expect(await readingsOf(await file('press.csv', rows))).toEqual(expected);
    expect(await readingsOf(await file('press.csv.gz', gzipSync(rows)))).toEqual(expected);
  });

  it('takes NDJSON, and counts what is no reading', async () => {
    const good = { device: 'press', metric: 'a', value: 1, ts: START + 1_000 };
    const lines = [
      `\uFEFF${JSON.stringify(good)}\r`,
      '{',
      JSON.stringify({ ...good, device: 'a/b' }),
      '',
      JSON.stringify({ ...good, ts: 'x' }),
    ];
    expect(await readingsOf(await file('readings.ndjson', lines.join('\n')))).toEqual({
      readings: [[1, 'press', 'a', 1]],
      counts: { readings: 1, skipped: 3 },
    });
  });

  it('finds the time by its name, and else takes the first column', async () => {
    const rows = 'a,,Timestamp\n1,9,2026-03-02 00:00:01\n2,,2026-03-02 00:00:02\n';
    const readings = [
      [1, 'press', 'a', 1],
      [2, 'press', 'a', 2],
    ];
    expect((await readingsOf(await file('press.csv', rows))).readings).toEqual(readings);
    const unnamed = '\uFEFFwhen,a\r\n2026-03-02 00:00:01,1\r\n2026-03-02 00:00:02,2\r\n';
    expect((await readingsOf(await file('press.csv', unnamed))).readings).toEqual(readings);
  });

  it('takes CSV with one reading in each row, of any sensor', async () => {
    const rows = [
      'unit,value,metric,device,ts',
      '°C,1,a,press,2026-03-02 00:00:01',
      ',2,b,oven,2026-03-02 00:00:02',
      ',3,,oven,2026-03-02 00:00:03',
      ',,b,oven,2026-03-02 00:00:04',
    ].join('\n');
    expect(await readingsOf(await file('hall.csv', rows))).toEqual({
      readings: [
        [1, 'press', 'a', 1],
        [2, 'oven', 'b', 2],
      ],
      counts: { readings: 2, skipped: 2 },
    });
    const first = await readRecording(await file('hall.csv', rows), { readings: 0, skipped: 0 }).next();
    expect(first.value).toMatchObject({ device: 'press', unit: '°C' });
  });

  it('says what is wrong with a file', async () => {
    await expect(readingsOf('/nowhere/press.csv')).rejects.toThrow(/\/nowhere\/press\.csv: can't be read: ENOENT/);
    await expect(readingsOf('/nowhere/press.csv.gz')).rejects.toThrow(/can't be read: ENOENT/);
    await expect(readingsOf('press.xlsx')).rejects.toThrow(
      /must be a data folder of an agent, or end in \.csv, \.ndjson or \.jsonl/,
    );
    await expect(readingsOf(await file('broken.csv.gz', 'not packed'))).rejects.toThrow(
      /can't be read: incorrect header/,
    );
    const wrong = async (name: string, content: string): Promise<unknown> => readingsOf(await file(name, content));
    await expect(wrong('empty.csv', '')).rejects.toThrow(/empty\.csv: holds no reading$/);
    await expect(wrong('us.csv', 'time,a\n01/05/2026,1\n')).rejects.toThrow(
      /us\.csv: .+ none of its 1 .+ a time such as/,
    );
    await expect(wrong('bare.csv', '1767571200,1\n1767571260,2\n')).rejects.toThrow(
      /first row is a reading .+ name the columns/,
    );
    await expect(wrong('de.csv', 'time;a\n2026-03-02;1,5\n')).rejects.toThrow(/"time;a".+separated by commas/);
  });
});

describe('a backtest', () => {
  it('finds what the engine finds, by sensor', async () => {
    const [report] = await run([await file('press.csv', csv)]);
    const readings = Array.from({ length: 2_880 }, (_, i) => ({
      device: 'press',
      metric: 'temperature',
      eventTime: epochMs(START + i * 60_000),
      value: value(i),
      quality: 'good' as const,
    }));
    const gateway = { site: 'backtest', gateway: 'backtest' };
    const opened = detectOffline(engineConfigSchema.parse({}), gateway, readings).filter(
      ({ phase }) => phase === 'opened',
    );
    const [sensor] = report!.sensors;
    expect(report).toMatchObject({ readings: 2_880, skipped: 0 });
    expect(sensor).toMatchObject({
      device: 'press',
      metric: 'temperature',
      from: START,
      to: START + 2_879 * 60_000,
      episodes: opened.length,
      worstAt: START + 2_160 * 60_000,
    });
    expect(sensor?.critical).toBeGreaterThan(0);
    expect(sensor?.perWeek).toBeCloseTo((opened.length * 7) / (2_879 / 1_440), 9);
    expect(sensor?.appear).toBeUndefined();
    expect(backtestText(report!)).toMatch(
      /^press\/temperature {2}2880 .*\nworst of press\/temperature, 2026-03-03 12:00:00: /m,
    );
  });

  it('says how many readings were not judged because later ones had come before', async () => {
    const [head, ...rows] = csv.split('\n').slice(0, 101);
    const [report] = await run([await file('press.csv', [head, ...rows.toReversed()].join('\n'))]);
    expect(report).toMatchObject({ readings: 100, outOfOrder: 99 });
    expect(backtestText(report!)).toMatch(/^99 readings are older .+ sort them by time$/m);
    const [sorted] = await run([await file('press.csv', csv)]);
    expect(sorted?.outOfOrder).toBe(0);
    expect(backtestText(sorted!)).not.toMatch('sort them');
  });

  it('says what another configuration changes', async () => {
    const recording = await file('press.csv', csv);
    const off = await configFile('{adaptive: {enabled: false}, zScore: {watch: never}, limits: {rules: [{high: 50}]}}');
    const [report] = await run([recording], { compare: off });
    const spike = START + 2_160 * 60_000;
    expect(report?.sensors[0]?.appear).toEqual([spike]);
    expect(report?.sensors[0]?.disappear).toContain(spike);
    const [same] = await run([recording], { config: off, compare: off });
    expect(same?.sensors[0]).toMatchObject({ kinds: { 'above-limit': 1 }, appear: [], disappear: [] });
  });

  it('keeps readings in another unit apart, as the agent does', async () => {
    const line = (i: number, unit: string) =>
      JSON.stringify({ device: 'press', metric: 'temperature', value: i % 7, ts: START + i * 60_000, unit });
    const units = ['degC', '°C', 'C'];
    const lines = Array.from({ length: 90 }, (_, i) => line(i, i > 60 && i < 70 ? '°F' : units[i % 3]!));
    const [report] = await run([await file('press.ndjson', lines.join('\n'))]);
    expect(report?.sensors.map(({ metric, readings, kinds }) => [metric, readings, kinds['unit']])).toEqual([
      ['temperature', 81, 1],
      ['temperature (°F)', 9, undefined],
    ]);
  });

  it('judges each recording by itself, and tells no rate of less than a day', async () => {
    const short = await file('short.csv', csv.split('\n').slice(0, 100).join('\n'));
    const reports = await run([short, short]);
    expect(reports.map(({ readings, sensors }) => [readings, sensors[0]?.perWeek])).toEqual([
      [99, null],
      [99, null],
    ]);
  });
});

describe("a backtest of the agent's own journal", () => {
  const readings = Array.from({ length: 2_880 }, (_, i) => ({
    device: 'press',
    metric: 'temperature',
    eventTime: epochMs(START + i * 60_000),
    value: value(i),
    quality: 'good' as const,
  }));
  const item = (reading: (typeof readings)[number]) => ({ reading, receivedAt: reading.eventTime });

  async function journal(folder: string, ...parts: (typeof readings)[]): Promise<void> {
    const log = await Journal.open({
      directory: path.join(folder, 'journal'),
      durability: 'process',
      bytesMax: 2 ** 24,
      reserveBytes: 2 ** 20,
      segmentBytesMax: 2 ** 20,
      commitDelayMs: 0,
    });
    for (const part of parts) {
      await log.appendReadings(part.map(item));
      const now = part.at(-1)!.eventTime;
      await log.appendTick({ now, quality: 'synchronised', sinceStartMs: 100_000 });
    }
    await log.close();
  }

  /** A data folder whose state is saved after the first `learned` readings. */
  async function dataFolder(learned: number): Promise<string> {
    const folder = await resources.directory();
    const engine = new SensorEngine(engineConfigSchema.parse({}), { site: 's', gateway: 'g' });
    for (const reading of readings.slice(0, learned)) engine.accept(reading, { emit: () => undefined });
    const at = START + learned * 60_000;
    const header = { site: 's', gateway: 'g', position: learned + 1, ordinal: 1, outputHash: '', lanes: {}, at };
    const snapshots = new SnapshotFile(folder);
    await snapshots.save(header, engine.snapshot());
    // A newer one, behind which little is left to judge.
    await snapshots.save({ ...header, position: 2_880 }, []);
    await journal(folder, readings.slice(0, learned), readings.slice(learned));
    return folder;
  }

  const episodesFrom = (from: number): number[] =>
    detectOffline(engineConfigSchema.parse({}), { site: 'backtest', gateway: 'backtest' }, readings)
      .filter(({ phase, openedAt }) => phase === 'opened' && openedAt >= from)
      .map(({ openedAt }) => openedAt);

  it('begins with what the agent had learned, and finds what it would have found', async () => {
    const folder = await dataFolder(1_440);
    const before = await readdir(folder, { recursive: true });
    const [report] = await run([folder]);
    const expected = episodesFrom(START + 1_440 * 60_000);
    expect(expected.length).toBeGreaterThan(0);
    expect(report).toMatchObject({ readings: 1_440, skipped: 0, stateFrom: START + 1_440 * 60_000 });
    expect(report?.sensors[0]).toMatchObject({ episodes: expected.length, firstAt: expected[0] });
    expect(backtestText(report!)).toContain('judged by what the agent had learned until 2026-03-03 00:00:00 UTC');
    expect(await readdir(folder, { recursive: true })).toEqual(before);
  });

  it('begins with nothing where no state was saved, and says what another configuration changes', async () => {
    const folder = await resources.directory();
    await journal(folder, readings);
    const off = await configFile('{adaptive: {enabled: false}, zScore: {watch: never}}');
    const [report] = await run([folder], { compare: off });
    expect(report).toMatchObject({ readings: 2_880, skipped: 0, stateFrom: null });
    expect(report?.sensors[0]).toMatchObject({ appear: [], disappear: episodesFrom(0) });
  });

  it('counts what the journal has lost', async () => {
    const folder = await dataFolder(1_440);
    const names = await readdir(path.join(folder, 'journal'));
    const segment = names.find((name) => name.endsWith('.seg'));
    const place = path.join(folder, 'journal', segment!);
    const bytes = await readFile(place);
    // In the middle of the first frame behind the saved state, of which the later tick alone is whole.
    bytes.fill(0xff, bytes.length - 70_000, bytes.length - 69_000);
    await writeFile(place, bytes);
    const [report] = await run([folder]);
    expect(report!.skipped).toBeGreaterThan(0);
    expect(report!.readings + report!.skipped).toBe(1_440);
  });

  it('says that an agent has it in use, and what is no data folder', async () => {
    const folder = await dataFolder(100);
    const attempt = await takeProcessLock(folder);
    await expect(run([folder])).rejects.toThrow(
      `${folder}: is in use by an agent (process ${process.pid}); stop it first, or give a copy of the folder`,
    );
    if ('lock' in attempt) await attempt.lock.release();
    await expect(run([folder])).resolves.toHaveLength(1);
    await expect(run([path.join(folder, 'journal')])).rejects.toThrow(/is no data folder of an agent/);
    await writeFile(path.join(folder, 'snapshot'), 'nonsense');
    await expect(run([folder])).resolves.toHaveLength(1);
  });
});
