import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { epochMs, minutes } from '@floorwatch/contracts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { limits } from '../../src/limits.ts';
import { mergeByTime } from '../../src/replay/merge-by-time.ts';
import { Recording, type RecordingOptions } from '../../src/replay/recording.ts';
import type { SourceReading } from '../../src/sensor.ts';

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floorwatch-replay-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(content: string | Buffer, name = `recording-${++files}.csv`): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

interface Read {
  readonly recording: Recording;
  readonly readings: SourceReading[];
  /** `metric@ISO=value` */
  readonly lines: string[];
}

async function read(content: string | Buffer, options: RecordingOptions = {}, name?: string): Promise<Read> {
  const recording = await Recording.open(await save(content, name), options);
  const readings = await flatten(recording.batches());
  return { recording, readings, lines: readings.map(line) };
}

async function flatten(batches: AsyncIterable<readonly SourceReading[]>): Promise<SourceReading[]> {
  const all: SourceReading[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

const line = ({ sensor, at, value }: SourceReading): string =>
  `${sensor.metric}@${new Date(at).toISOString().slice(0, 19)}=${value}`;

describe('a recording', () => {
  test('is read with its names, numbers and times; columns of text are skipped and named', async () => {
    const { recording, lines } = await read(
      'date,precipitation,temp_max,weather\n2012-01-01,0.0,12.8,drizzle\n2012-01-02,10.9,10.6,rain\n',
      {},
      'seattle.csv',
    );
    expect(recording.device).toBe('seattle');
    expect(recording.plan.skipped).toEqual(['weather']);
    expect(lines).toEqual([
      'precipitation@2012-01-01T00:00:00=0',
      'temp_max@2012-01-01T00:00:00=12.8',
      'precipitation@2012-01-02T00:00:00=10.9',
      'temp_max@2012-01-02T00:00:00=10.6',
    ]);
  });

  test('a unit in the header keeps its characters, and leaves the name', async () => {
    const { readings, lines } = await read('time,Water flow [l/s],a/b [x] c\n2026-01-01,3.5,1\n', {}, 'water.csv');
    expect(readings.map(({ sensor }) => sensor.unit)).toEqual(['l/s', undefined]);
    expect(lines).toEqual(['Water flow@2026-01-01T00:00:00=3.5', 'a-b [x] c@2026-01-01T00:00:00=1']);
  });

  test('rows out of order and with the same time stay as they are', async () => {
    const { lines } = await read('time,v\n2020-01-01 00:02:00,1\n2020-01-01 00:01:00,2\n2020-01-01 00:01:00,2\n');
    expect(lines).toEqual(['v@2020-01-01T00:02:00=1', 'v@2020-01-01T00:01:00=2', 'v@2020-01-01T00:01:00=2']);
  });

  test.each([
    ['semicolons and decimal commas', 'time;v\n2020-01-01;1,5\n2020-01-02;-2,25\n', [1.5, -2.25]],
    ['tabs', 'time\tv\n2020-01-01\t1\n2020-01-02\t2\n', [1, 2]],
    ['bars', 'time|v\n2020-01-01|1\n', [1]],
    ['Windows line ends', 'time,v\r\n2020-01-01,1\r\n2020-01-02,2\r\n', [1, 2]],
    ['mixed line ends', 'time,v\r\n2020-01-01,1\n2020-01-02,2\r\n', [1, 2]],
    ['a byte order mark', '\uFEFFtime,v\n2020-01-01,1\n', [1]],
    ['quotation marks and commas in them', '"time","note, long","v"\n"2020-01-01","a ""b"", c","1"\n', [1]],
    ['semicolons in texts only', '"time","note; long","v"\n2020-01-01,"a;b",1\n2020-01-02,"c;d",2\n', [1, 2]],
    ['no line end at the end', 'time,v\n2020-01-01,1', [1]],
    ['white space around', 'time , v \n 2020-01-01 , 1 \n', [1]],
    ['empty lines', 'time,v\n\n2020-01-01,1\n\n\n2020-01-02,2\n', [1, 2]],
    ['a hash before the header', '# time,v\n2020-01-01,1\n', [1]],
    ['other letters', 'time,größe,名前\n2020-01-01,1,x\n', [1]],
    ['scientific notation', 'time,v\n2020-01-01,1e3\n2020-01-02,-2.5E-2\n2020-01-03,.5\n', [1000, -0.025, 0.5]],
    ['no header', '2020-01-01,1\n2020-01-02,2\n', [1, 2]],
    ['nanoseconds', 'ts,v\n1386018900000000000,1\n', [1]],
    ['date and time of day apart', 'Date;Time;v\n10/03/2004;18:00:00;2\n31/03/2004;19:00:00;3\n', [2, 3]],
  ])('with %s is understood', async (_what, content, values) => {
    const { readings } = await read(content);
    expect(readings.map(({ value }) => value)).toEqual(values);
  });

  test('date and time of day in two columns are joined', async () => {
    const { lines } = await read('Date;Time;CO\n31/03/2004;18:30:00;2,6\n');
    expect(lines).toEqual(['CO@2004-03-31T18:30:00=2.6']);
  });

  test('is unpacked when it is packed, whatever its name', async () => {
    const { lines, recording } = await read(gzipSync('time,v\n2020-01-01,1\n'), {}, 'packed.dat');
    expect(lines).toEqual(['v@2020-01-01T00:00:00=1']);
    expect(recording.bytes).toBe(20);
    expect(recording.bytesTaken).toBe(20);
  });

  test('every cell of a value column is counted by what became of it', async () => {
    const rows = [
      ...Array.from({ length: 20 }, () => '2019-01-01,0,0'),
      '2020-01-01,1,',
      '2020-01-02,NaN,2',
      '2020-01-03,oops,n/a',
      'never,3,4',
      '2020-01-04,5',
      '2020-01-05,6,7,8',
      '2020-01-06,1e999,9',
    ];
    const { recording, lines } = await read(['time,a,b', ...rows].join('\n'));
    expect(recording.counts).toEqual({
      cells: 54,
      readings: 46,
      missing: 4,
      notANumber: 2,
      badTimestamp: 2,
      longRows: 1,
    });
    expect(lines).toHaveLength(46);
  });

  test('headers become usable names: reserved characters replaced, repeated ones numbered, empty ones by their column', async () => {
    const { recording } = await read('time,flow/in,T,T,,a+b#c\n2020-01-01,1,2,3,4,5\n');
    expect(recording.plan.values.map(({ metric }) => metric)).toEqual(['flow-in', 'T', 'T-2', 'column-5', 'a-b-c']);
  });

  test('the column of times is found by name, else by what it holds, else as a person says', async () => {
    const byName = await read('value,timestamp\n1500000000,2020-01-01\n');
    expect(byName.lines).toEqual(['value@2020-01-01T00:00:00=1500000000']);
    const byContent = await read('a,b\n1,1577836800\n2,1577836860\n');
    expect(byContent.lines).toEqual(['a@2020-01-01T00:00:00=1', 'a@2020-01-01T00:01:00=2']);
    const asked = await read('made,seen,v\n2020-01-01,2021-01-01,5\n', { timestampColumn: 'seen' });
    expect(asked.lines).toEqual(['v@2021-01-01T00:00:00=5']);
    const byNumber = await read('2020-01-01,2021-01-01,5\n', { timestampColumn: '2' });
    expect(byNumber.lines).toEqual(['column-3@2021-01-01T00:00:00=5']);
  });

  test('numbers that fall or are too small are values, not times', async () => {
    await expect(read('a,b\n1,1577836860\n2,1577836800\n')).rejects.toThrow(
      /no column of times was found.*--timestamp-column.*--interval/,
    );
  });

  test('without times it follows the interval', async () => {
    const withoutTimes = { start: epochMs(Date.UTC(2020, 0, 1)), interval: minutes(5) };
    const { lines } = await read('part,value\n0,1\n0,-1\n', { withoutTimes, columns: ['value'] });
    expect(lines).toEqual(['value@2020-01-01T00:00:00=1', 'value@2020-01-01T00:05:00=-1']);
  });

  test.each([
    ['', /is empty/],
    ['time,v\n', /a header and no rows/],
    ['time,note\n2020-01-01,dry\n', /no column of numbers.*1 "time", 2 "note"/],
    [Buffer.from('time,v\n2020-01-01,1\n', 'utf16le'), /not text in UTF-8/],
    ['d,v\n03/04/2020,1\n', /two ways.*--date-order/],
  ])('%j is refused with what helps', async (content, message) => {
    await expect(read(content)).rejects.toThrow(message);
  });

  test('columns that do not exist are refused with those that do; so are files', async () => {
    const content = 'time,v\n2020-01-01,1\n';
    await expect(read(content, { timestampColumn: 'when' })).rejects.toThrow(
      /--timestamp-column when: .*1 "time", 2 "v"/,
    );
    await expect(read(content, { timestampColumn: 'v' })).rejects.toThrow(/--timestamp-column v: "1" is no time/);
    await expect(read(content, { columns: ['w'] })).rejects.toThrow(/--columns w/);
    await expect(Recording.open(join(folder, 'absent.csv'), {})).rejects.toThrow(/absent\.csv can't be read/);
    await expect(Recording.open(folder, {})).rejects.toThrow(/not a file/);
  });

  test('a damaged gzip file gives out what comes before the damage, then says so', async () => {
    const rows = Array.from({ length: 50_000 }, (_, i) => `${1_577_836_800 + i},${(i * 7919) % 1_013}`).join('\n');
    const packed = gzipSync(`time,v\n${rows}\n`);
    const recording = await Recording.open(await save(packed.subarray(0, packed.length - 2_000), 'cut.csv.gz'), {});
    let readings = 0;
    const reading = (async () => {
      for await (const batch of recording.batches()) readings += batch.length;
    })();
    await expect(reading).rejects.toThrow(/cut\.csv\.gz: damaged after row \d+: unexpected end of file/);
    expect(readings).toBeGreaterThan(40_000);
    expect(recording.counts.readings).toBe(readings);
  });

  test('a quotation mark that never closes ends at the limit of a record, not of the memory', async () => {
    const content = `time,v\n2020-01-01,1\n2020-01-02,"2\n${'2020-01-03,3\n'.repeat(limits.csvRecordLengthMax / 10)}`;
    await expect(read(content)).rejects.toThrow(/damaged after row 1/);
  });

  test('property: whatever the delimiter, quotation marks and line ends, the same table is read', async () => {
    const cell = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 });
    const table = fc.array(fc.tuple(cell, fc.option(cell)), { minLength: 1, maxLength: 30 });
    const style = fc.record({
      delimiter: fc.constantFrom(',', ';', '\t', '|'),
      lineEnd: fc.constantFrom('\n', '\r\n'),
      quoted: fc.boolean(),
      bom: fc.boolean(),
      packed: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(table, style, async (rows, { delimiter, lineEnd, quoted, bom, packed }) => {
        const write = (texts: readonly string[]): string =>
          texts.map((text) => (quoted ? `"${text}"` : text)).join(delimiter);
        const at = (i: number): string => new Date(1_577_836_800_000 + i * 60_000).toISOString();
        const body = rows.map(([a, b], i) => write([at(i), String(a), b === null ? '' : String(b)]));
        const text = `${bom ? '\uFEFF' : ''}${[write(['time', 'a', 'b']), ...body].join(lineEnd)}${lineEnd}`;
        const { readings } = await read(packed ? gzipSync(text) : text, {}, 'property.csv');
        const expected = rows.flatMap(([a, b], i) => [
          { metric: 'a', at: Date.parse(at(i)), value: a + 0 },
          ...(b === null ? [] : [{ metric: 'b', at: Date.parse(at(i)), value: b + 0 }]),
        ]);
        expect(
          readings.map(({ sensor: { metric }, at: time, value }) => ({ metric, at: time, value: value + 0 })),
        ).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('Seattle weather as it is published gives 1,461 days of four metrics', async () => {
    const file = fileURLToPath(
      new URL('../../../node_modules/vega-datasets/data/seattle-weather.csv', import.meta.url),
    );
    const recording = await Recording.open(file, {});
    const readings = await flatten(recording.batches());
    expect(readings).toHaveLength(4 * 1_461);
    const sum = readings
      .filter(({ sensor }) => sensor.metric === 'temp_max')
      .reduce((total, { value }) => total + value, 0);
    const rows = (await readFile(file, 'utf8')).trim().split('\n').slice(1);
    expect(sum).toBeCloseTo(
      rows.reduce((total, row) => total + Number(row.split(',')[2]), 0),
      6,
    );
  });
});

describe('several recordings', () => {
  const reading = (device: string, at: number): SourceReading => ({
    sensor: { device, metric: 'v' },
    at: epochMs(at),
    value: at,
  });

  test('are merged by time; one that steps back keeps its own order', async () => {
    const merged = mergeByTime([batches('a', [10, 30, 20, 50]), batches('b', [15, 30, 40])]);
    const order = (await flatten(merged)).map(({ sensor, at }) => `${sensor.device}${at}`);
    expect(order).toEqual(['a10', 'b15', 'a30', 'a20', 'b30', 'b40', 'a50']);
  });

  test('property: nothing is lost or added, and the order of each is kept', async () => {
    const times = fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 2_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(times, { minLength: 1, maxLength: 5 }), async (sources) => {
        const merged = mergeByTime(sources.map((own, i) => batches(String(i), own)));
        const all = await flatten(merged);
        for (const [i, own] of sources.entries()) {
          expect(all.filter(({ sensor }) => sensor.device === String(i)).map(({ at }) => at)).toEqual(own);
        }
        expect(all).toHaveLength(sources.reduce((sum, own) => sum + own.length, 0));
        const sorted = sources.every((own) => own.every((at, i) => at >= (own[i - 1] ?? 0)));
        const inOrder = all.every(({ at }, i) => at >= (all[i - 1]?.at ?? 0));
        expect(inOrder || !sorted).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('a damaged one ends the replay, but what was read before it is given out', async () => {
    async function* damaged(): AsyncGenerator<SourceReading[]> {
      yield [reading('a', 1), reading('a', 2)];
      throw new Error('torn');
    }
    const seen: number[] = [];
    const replay = (async () => {
      for await (const batch of mergeByTime([damaged(), batches('b', [1, 5])])) seen.push(...batch.map(({ at }) => at));
    })();
    await expect(replay).rejects.toThrow('torn');
    expect(seen).toEqual([1, 1, 2]);
  });

  async function* batches(device: string, times: readonly number[]): AsyncGenerator<SourceReading[]> {
    for (let i = 0; i < times.length; i += 3) yield times.slice(i, i + 3).map((at) => reading(device, at));
  }
});
