import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { backtest, type BacktestOptions } from '../../src/backtest/backtest.ts';
import { backtestText } from '../../src/backtest/command.ts';
import { readRecording } from '../../src/backtest/read-recording.ts';
import { detectOffline } from '../../src/detect-offline.ts';
import { engineConfigSchema } from '../../src/sensor-engine-config.ts';

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
      JSON.stringify(good),
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

  it('says what is wrong with a file', async () => {
    await expect(readingsOf('/nowhere/press.csv')).rejects.toThrow(/\/nowhere\/press\.csv: can't be read: ENOENT/);
    await expect(readingsOf('/nowhere/press.csv.gz')).rejects.toThrow(/can't be read: ENOENT/);
    await expect(readingsOf('press.xlsx')).rejects.toThrow(/must end in \.csv, \.ndjson or \.jsonl/);
    await expect(readingsOf(await file('broken.csv.gz', 'not packed'))).rejects.toThrow(
      /can't be read: incorrect header/,
    );
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

  it('judges each recording by itself, and tells no rate of less than a day', async () => {
    const short = await file('short.csv', csv.split('\n').slice(0, 100).join('\n'));
    const reports = await run([short, short]);
    expect(reports.map(({ readings, sensors }) => [readings, sensors[0]?.perWeek])).toEqual([
      [99, null],
      [99, null],
    ]);
  });
});
