import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { loopTime } from '../../tests/support/index.ts';
import type { Summary } from '../src/report.ts';
import { CountingBroker } from './support/counting-broker.ts';

/** The built program, as people run it. */
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let broker: CountingBroker;
let folder: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  broker = new CountingBroker();
  await broker.start();
  folder = await mkdtemp(join(tmpdir(), 'floorwatch-simulator-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await broker.stop();
  await rm(folder, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: readonly string[]): { child: ChildProcess; ended: Promise<Ended>; stderr: () => string } {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close').then(([code]): Ended => ({ code: code as number | null, stdout, stderr }));
  return { child, ended, stderr: () => stderr };
}

const run = (...args: readonly string[]): Promise<Ended> => start(...args).ended;

/** The values that arrived, by topic, in the order of their numbers. */
function received(): Map<string, { value: number; ts: number }[]> {
  const byTopic = new Map<string, { value: number; ts: number }[]>();
  for (const key of broker.arrivals.keys()) {
    const blank = key.indexOf(' {');
    const { value, ts, seq } = JSON.parse(key.slice(blank + 1)) as { value: number; ts: number; seq: number };
    const own = byTopic.get(key.slice(0, blank)) ?? [];
    own[seq - 1] = { value, ts };
    byTopic.set(key.slice(0, blank), own);
  }
  return byTopic;
}

describe('floorwatch-simulator run', () => {
  test('Ctrl-C ends an endless floor well, with a summary that is true', async () => {
    const { child, ended } = start('run', '--url', broker.url, '--rate', '2000', '--json');
    await expect.poll(() => broker.total, { timeout: 60_000 }).toBeGreaterThan(500);
    child.kill('SIGINT');
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    const summary = JSON.parse(stdout) as Summary;
    expect(summary).toMatchObject({ command: 'run', qos: 1, failed: 0, unacknowledged: 0, interrupted: false });
    expect(summary.published).toBe(summary.acknowledged);
    expect(broker.total).toBe(summary.published);
  });

  test('Ctrl-C before the end of a duration is told apart, also while waiting for the broker', async () => {
    const { child, ended } = start('run', '--url', broker.url, '--duration', '1h');
    await expect.poll(() => broker.total, { timeout: 60_000 }).toBeGreaterThan(0);
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    await broker.kill();
    const waiting = start('run', '--url', broker.url, '--duration', '1h');
    await expect.poll(waiting.stderr, { timeout: 60_000 }).toContain('waiting for the MQTT broker');
    waiting.child.kill('SIGINT');
    expect(await waiting.ended).toMatchObject({
      code: 130,
      stdout: expect.stringContaining('0 readings sent') as string,
    });
  });

  test.each([
    [1, 64],
    [2, 20],
  ])('with QoS %d at most %d messages are on the way unless it is told otherwise', async (qos, most) => {
    broker.freeze();
    const { child, ended } = start('run', '--url', broker.url, '--rate', '5000', '--qos', `${qos}`, '--json');
    await expect.poll(() => broker.held, { timeout: 60_000 }).toBeGreaterThan(0);
    // How many of them a broker reads that answers none is its own affair; at 5,000 a second they are all on the way by then.
    await setTimeout(1_000);
    child.kill('SIGINT');
    expect(JSON.parse((await ended).stdout) as Summary).toMatchObject({ unacknowledged: most });
  });

  test('what can no longer be acknowledged makes it fail, soon', async () => {
    const { child, ended } = start('run', '--url', broker.url, '--rate', '5000', '--json');
    await expect.poll(() => broker.total, { timeout: 60_000 }).toBeGreaterThan(500);
    broker.freeze();
    await expect.poll(() => broker.held).toBeGreaterThan(0);
    const took = loopTime();
    child.kill('SIGINT');
    const { code, stdout } = await ended;
    expect(took()).toBeLessThan(5_000);
    expect(code).toBe(1);
    // How many of the 64 that may be on the way the broker had read when it froze is its own affair.
    const { published, acknowledged, failed, unacknowledged } = JSON.parse(stdout) as Summary;
    expect(unacknowledged).toBeGreaterThan(0);
    expect(unacknowledged).toBeLessThanOrEqual(64);
    expect(unacknowledged).toBe(published - acknowledged - failed);
  });

  test('the same seed and start publish the same values, and the truth tells which of them are changed', async () => {
    const truth = join(folder, 'truth.ndjson');
    const faults = join(folder, 'faults.ndjson');
    const fault = { type: 'shift', device: 'pump-01', metric: 'flow', after: '10s', lasts: '5s', magnitude: -30 };
    await writeFile(faults, JSON.stringify(fault));
    const floor = [
      'run',
      '--url',
      broker.url,
      '--machines',
      '2',
      '--seed',
      '9',
      '--start',
      '2026-03-01T06:00:00Z',
      '--speed-up',
      'max',
      '--duration',
      '30s',
    ];
    expect((await run(...floor, '--faults', 'none')).code).toBe(0);
    const good = received();
    broker.arrivals.clear();
    expect((await run(...floor, '--faults', faults, '--truth', truth)).code).toBe(0);
    const faulty = received();
    const line = JSON.parse(await readFile(truth, 'utf8')) as { from: number; to: number };
    expect(line).toMatchObject({ device: 'pump-01', metric: 'flow', unit: 'L/min', type: 'shift', magnitude: -30 });
    expect([...faulty.keys()]).toEqual([...good.keys()]);
    for (const [topic, values] of faulty) {
      const differing = values.filter(({ value }, i) => value !== good.get(topic)?.[i]?.value);
      const expected =
        topic === 'sensors/pump-01/flow' ? values.filter(({ ts }) => ts >= line.from && ts < line.to) : [];
      expect(differing).toEqual(expected);
      expect(values.map(({ ts }) => ts)).toEqual(good.get(topic)?.map(({ ts }) => ts));
    }
  });
});

describe('floorwatch-simulator replay', () => {
  test('publishes a recording completely and says what it left out', async () => {
    const file = join(folder, 'mill-7.csv');
    const rows = Array.from(
      { length: 1_000 },
      (_, i) => `${1_577_836_800 + 60 * i},${i / 8},${i % 10 === 0 ? '' : i},note`,
    );
    await writeFile(file, `when,torque,rpm,remark\n${rows.join('\n')}\n`);
    const { code, stdout, stderr } = await run(
      'replay',
      file,
      '--url',
      broker.url,
      '--speed',
      'max',
      '--json',
      '--timestamp-column',
      'when',
    );
    expect(code).toBe(0);
    expect(stderr).toContain('as mill-7: torque, rpm; left out: remark');
    const [recording] = (JSON.parse(stdout) as Summary).recordings ?? [];
    expect(recording).toMatchObject({ cells: 2_000, readings: 1_900, missing: 100, skippedColumns: ['remark'] });
    const values = received();
    expect(values.get('sensors/mill-7/torque')).toEqual(
      Array.from({ length: 1_000 }, (_, i) => ({ value: i / 8, ts: (1_577_836_800 + 60 * i) * 1_000 })),
    );
    expect(values.get('sensors/mill-7/rpm')).toHaveLength(900);
  });

  test('keeps the pace of the recording, and shifts its times to now', async () => {
    const file = join(folder, 'slow.csv');
    await writeFile(file, 'time,v\n2020-01-01 00:00:00,1\n2020-01-01 00:00:30,2\n2020-01-01 00:01:00,3\n');
    const before = Date.now();
    const { code } = await run('replay', file, '--url', broker.url, '--speed', '60', '--times', 'now');
    expect(code).toBe(0);
    expect(Date.now() - before).toBeGreaterThanOrEqual(1_000);
    const times = (received().get('sensors/slow/v') ?? []).map(({ ts }) => ts);
    expect(times.map((ts) => ts - (times[0] ?? 0))).toEqual([0, 500, 1_000]);
    expect(times[0]).toBeGreaterThanOrEqual(before);
    expect(times.at(-1)).toBeLessThanOrEqual(Date.now());
  });
});

describe('floorwatch-simulator', () => {
  test.each([
    [['run', '--qos', '3'], /--qos.*0, 1 or 2/],
    [['run', '--machines', '0'], /--machines.*whole number from 1/],
    [['run', '--duration', '10'], /--duration.*with its unit/],
    [['run', '--speed-up', 'max'], /--speed-up max: give --start/],
    [['run', '--url', 'http://localhost'], /--url http:\/\/localhost: must be an address such as mqtt:/],
    [['run', '--url', 'mqtt://me:secret@localhost'], /--url: must not hold a user/],
    [['run', '--topic', 'x'], /--topic x: must hold/],
    [['run', '--truth', '/nowhere/truth'], /--truth \/nowhere\/truth: can't be written/],
    [['run', '--password-file', '/nowhere/password'], /\/nowhere\/password can't be read/],
    [['replay'], /file/],
    [['replay', '/nowhere/file.csv'], /\/nowhere\/file\.csv can't be read/],
    [['replay', '/nowhere/file.csv', '--payload', 'value'], /--payload value: .*--times now/],
    [['fly'], /fly/],
  ])('%j ends with code 2 and one message', async (args, message) => {
    const { code, stderr, stdout } = await run(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/secret@|\n\s+at /);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  test.each([['--help'], ['run', '--help'], ['replay', '--help'], ['--version']])(
    '%s %s explains and ends well',
    async (...args) => {
      const { code, stdout } = await run(...args);
      expect(code).toBe(0);
      expect(stdout).not.toBe('');
    },
  );
});
