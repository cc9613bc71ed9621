import { epochMs, type Reading } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { detectOffline } from '../src/detect-offline.ts';
import { engineConfigSchema, forRecordings } from '../src/sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../src/sensor-engine.ts';

type Options = z.input<typeof engineConfigSchema>;

const gateway = { site: 'plant', gateway: 'hall-1' };
const START = 1_700_000_000_000;

const reading = (second: number, value = 20 + Math.sin(second * second), metric = 'temperature'): Reading => ({
  device: 'press-3',
  metric,
  unit: '°C',
  eventTime: epochMs(START + second * 1_000),
  value,
  quality: 'good',
});
const run = (from: number, to: number, metric?: string): Reading[] =>
  Array.from({ length: to - from }, (_, i) => reading(from + i, undefined, metric));

const offline = (detector: string, readings: readonly Reading[], options: Options = {}): EpisodeEvent[] =>
  detectOffline(engineConfigSchema.parse(options), gateway, readings).filter(
    (episode) => episode.detector === detector,
  );

/** What is left of the episodes when each record replaces the one before it. */
const final = (episodes: readonly EpisodeEvent[]): EpisodeEvent[] => [
  ...new Map(episodes.map((episode) => [episode.id, episode])).values(),
];

/** A running engine that gets a recording; `tick` tells it the second of the clock. */
function running(options: Options = {}) {
  const episodes: EpisodeEvent[] = [];
  const engine = new SensorEngine(forRecordings(engineConfigSchema.parse(options)), gateway);
  const out = { emit: (o: EngineOutput): void => void (o.kind === 'episode' && episodes.push(o.episode)) };
  return {
    episodes: () => episodes.filter(({ detector }) => detector === 'silent'),
    accept: (readings: readonly Reading[]): void => {
      for (const one of readings) engine.accept(one, out);
    },
    tick: (second: number): void =>
      engine.advance({ now: epochMs(START + second * 1_000), synchronised: true, sinceStartMs: 3_600_000 }, out),
    close: (): void => engine.close(out),
  };
}

describe('silent in a recording', () => {
  // One reading a second for 40 s, then silence: at first, ten usual intervals are too long, that is 10 s after the last reading.
  const before = run(0, 41);

  it('opens on the clock, when another sensor shows that time goes on: just before, exactly, just after', () => {
    const { accept, tick, episodes } = running({ watermark: { outOfOrderMs: 0 } });
    tick(0);
    accept(before);
    for (const [second, found] of [
      [49.999, 0],
      [50, 0],
      [50.001, 1],
    ] as const) {
      accept([reading(second, 5, 'pressure')]);
      tick(1_000);
      expect(episodes()).toHaveLength(found);
    }
    expect(episodes()).toMatchObject([
      {
        phase: 'opened',
        metric: 'temperature',
        anomalyKind: 'silent',
        severity: 'warning',
        openedAt: START + 50_000,
        value: before.at(-1)?.value,
        explanation: 'temperature of press-3 has sent nothing for 10 s; it usually reports every 1 s.',
      },
    ]);
  });

  it('becomes critical when it lasts five times as long, and ends with the next reading', () => {
    const { accept, tick, episodes } = running({ watermark: { outOfOrderMs: 0 } });
    tick(0);
    accept(before);
    for (const second of [60, 90, 90.001]) {
      accept([reading(second, 5, 'pressure')]);
      tick(1_000);
    }
    accept([reading(100)]);
    expect(episodes().map(({ phase, severity, eventTime }) => [phase, severity, (eventTime - START) / 1_000])).toEqual([
      ['opened', 'warning', 50],
      ['updated', 'critical', 90],
      ['closed', 'critical', 100],
    ]);
    expect(episodes().at(-1)?.explanation).toBe(
      'temperature of press-3 was silent for 1 min; it usually reports every 1 s.',
    );
  });

  it('a recording without a clock gives the same episode when it has come to the next reading', () => {
    const { accept, tick, episodes } = running({ watermark: { outOfOrderMs: 0 } });
    tick(0);
    accept(before);
    accept([reading(70, 5, 'pressure')]);
    tick(1_000);
    accept([reading(100), reading(101)]);
    expect(final(episodes())).toEqual(final(offline('silent', [...before, reading(100), reading(101)])));
    expect(episodes()).not.toHaveLength(0);
  });

  it('at the end of a recording it is open if another sensor went on, and closes with the stop', () => {
    const readings = [...before, reading(200, 5, 'pressure')];
    const { accept, tick, close, episodes } = running();
    tick(100_000);
    accept(readings);
    close();
    expect(final(episodes())).toMatchObject([{ phase: 'closed', closeReason: 'shutdown', severity: 'critical' }]);
    expect(final(episodes())).toEqual(final(offline('silent', readings)));
    expect(offline('silent', before)).toEqual([]);
  });

  it('says nothing of a sensor whose cadence is not known, and learns from what it has heard in the meantime', () => {
    expect(offline('silent', [...run(0, 21), reading(500)])).toEqual([]);
    expect(final(offline('silent', [...run(0, 22), reading(500)]))).toHaveLength(1);
    // Values that cannot be are proof of life all the same.
    const broken = run(41, 80).map((one) => reading((one.eventTime - START) / 1_000, -999));
    const range = { range: { rules: [{ low: -100 }] } };
    expect(offline('silent', [...before, ...broken, reading(81, 5, 'pressure')], range)).toEqual([]);
  });
});

describe('out of range', () => {
  const range = { closeAfterReadings: 2, rules: [{ metric: 'temperature', low: -50, high: 150 }] };
  const found = (...values: number[]): EpisodeEvent[] =>
    offline(
      'range',
      values.map((value, i) => reading(i, value)),
      { range },
    );

  it('begins beyond what the sensor can measure, on either side, and not on the border', () => {
    expect(found(-50, 150, 0)).toEqual([]);
    expect(found(150.001)[0]).toMatchObject({ anomalyKind: 'out-of-range', severity: 'critical' });
    expect(found(-50.001)[0]).toMatchObject({ expected: { low: -50, high: 150 } });
    expect(found(-999)[0]?.explanation).toBe(
      'temperature of press-3 is -999 °C, below -50 °C, the least that this sensor can measure.',
    );
  });

  it('is not learned: neither the moving mean nor the other detectors see the value', () => {
    const readings = [...run(0, 200), ...Array.from({ length: 5 }, (_, i) => reading(200 + i, -999)), ...run(205, 300)];
    const all = detectOffline(engineConfigSchema.parse({ range }), gateway, readings);
    expect(new Set(all.map(({ detector }) => detector))).toEqual(new Set(['range']));
    const after = detectOffline(engineConfigSchema.parse({ range }), gateway, [
      ...readings,
      reading(300, 999),
    ]).findLast(({ phase }) => phase === 'opened');
    expect(after?.moving.countMean).toBeGreaterThan(18);
  });
});

describe('rate of change', () => {
  const rate = { closeAfterReadings: 1, rules: [{ metric: 'temperature', perSecondMax: 2 }] };
  const found = (...readings: Reading[]): EpisodeEvent[] => offline('rate', readings, { rate });

  it('is measured from reading to reading over the time between them: exactly the limit is allowed', () => {
    expect(found(reading(0, 10), reading(10, 30))).toEqual([]);
    expect(found(reading(0, 10), reading(10, -10))).toEqual([]);
    expect(found(reading(0, 10), reading(10, 30.001))).toHaveLength(2);
    const [opened] = found(reading(0, 10), reading(10, -30));
    expect(opened).toMatchObject({ anomalyKind: 'too-fast', severity: 'critical', expected: { low: -10, high: 30 } });
    expect(opened?.explanation).toBe(
      'temperature of press-3 has fallen from 10 °C to -30 °C, that is 4 °C per second; 2 °C per second are allowed.',
    );
  });

  it('leaves readings of one time undecided', () => {
    expect(found(reading(0, 10), reading(0, 1_000), reading(1, 11))).toEqual([]);
  });
});

describe('noisy', () => {
  const noise = (seconds: number, size: (second: number) => number): Reading[] =>
    Array.from({ length: seconds }, (_, i) => reading(i, 20 + size(i) * Math.sin(i * i * 1.7)));
  const openings = (of: readonly Reading[], options?: Options): EpisodeEvent[] =>
    offline('noise', of, options).filter(({ phase }) => phase === 'opened');

  it('is found within two stretches of 32 readings, and ends when the values are calm again', () => {
    const episodes = offline(
      'noise',
      noise(3_000, (i) => (i >= 2_000 && i < 2_300 ? 3.5 : 1)),
    );
    expect(episodes.filter(({ phase }) => phase !== 'updated').map(({ phase }) => phase)).toEqual(['opened', 'closed']);
    const [opened] = episodes;
    expect(opened).toMatchObject({ anomalyKind: 'noisy', severity: 'critical' });
    expect((opened!.openedAt - START) / 1_000).toBeLessThan(2_064);
    expect(opened?.explanation).toMatch(
      /^temperature of press-3 fluctuates [23](\.\d)? times as much as usual, over its last 32 readings\.$/,
    );
    expect(episodes.at(-1)?.closeReason).toBe('recovered');
    expect((episodes.at(-1)!.eventTime - START) / 1_000).toBeLessThan(2_364);
  });

  it('is an oscillation, too, that is slower than the noise and no larger than what the sensor shows in a day', () => {
    const hunting = (i: number): number => (i >= 6_000 && i < 6_300 ? 6 * Math.sin((i * 2 * Math.PI) / 10) : 0);
    const [opened] = openings(
      Array.from({ length: 7_000 }, (_, i) =>
        reading(i, 20 + 8 * Math.sin(i / 200) + Math.sin(i * i * 1.7) + hunting(i)),
      ),
    );
    expect(opened).toMatchObject({ anomalyKind: 'noisy', severity: 'critical' });
    expect((opened!.openedAt - START) / 1_000).toBeGreaterThan(6_000);
    expect((opened!.openedAt - START) / 1_000).toBeLessThan(6_096);
  });

  it('is judged by what is usual at the level of the values: running and resting', () => {
    // In turns of 400 seconds; at 5,600 the machine rests, and its sensor begins to be as noisy as when the machine runs.
    const isRunning = (i: number): boolean => Math.floor(i / 400) % 2 === 1;
    const size = (i: number): number => (isRunning(i) || (i >= 5_600 && i < 5_800) ? 3 : 0.5);
    const of = (length: number): Reading[] =>
      Array.from({ length }, (_, i) => reading(i, (isRunning(i) ? 60 : 20) + size(i) * Math.sin(i * i * 1.7)));
    expect(isRunning(5_600) || isRunning(5_799)).toBe(false);
    expect(openings(of(5_600))).toEqual([]);
    const [opened] = openings(of(5_900));
    expect((opened!.openedAt - START) / 1_000).toBeLessThan(5_696);
  });

  it('is not the now and then of a sensor that hardly ever changes, but its chatter', () => {
    const pulses = (i: number): number => (i % 97 === 0 || i % 61 === 0 ? 5 : 0);
    expect(openings(Array.from({ length: 5_000 }, (_, i) => reading(i, pulses(i))))).toEqual([]);
    expect(openings(Array.from({ length: 5_000 }, (_, i) => reading(i, i < 2_500 ? 0 : pulses(i))))).toEqual([]);
    const chatter = (i: number): number => (i >= 4_000 && i < 4_200 ? (i % 3) * 5 : pulses(i));
    expect(openings(Array.from({ length: 5_000 }, (_, i) => reading(i, chatter(i))))).toHaveLength(1);
  });

  it('is neither a spike, nor a step, nor a ramp, nor a little more of what there was', () => {
    const with1 = (change: (i: number) => number): Reading[] =>
      Array.from({ length: 3_000 }, (_, i) => reading(i, 20 + Math.sin(i * i * 1.7) + change(i)));
    expect(openings(with1((i) => (i === 2_500 ? 1_000 : 0)))).toEqual([]);
    expect(openings(with1((i) => (i >= 2_500 ? 1_000 : 0)))).toEqual([]);
    expect(openings(with1((i) => (i >= 2_500 ? 3 * (i - 2_500) : 0)))).toEqual([]);
    expect(openings(noise(3_000, (i) => (i >= 2_000 ? 1.8 : 1)))).toEqual([]);
  });

  it('can be switched off', () => {
    const loud = noise(3_000, (i) => (i >= 2_000 ? 4 : 1));
    expect(openings(loud)).toHaveLength(1);
    expect(openings(loud, { noise: { enabled: false } })).toEqual([]);
    expect(openings(loud, { noise: { rules: [{ metric: 'temp*', enabled: false }] } })).toEqual([]);
  });
});

describe('clock', () => {
  const back = (readings: number, seconds = 3_600): Reading[] => run(100 - seconds, 100 - seconds + readings);

  it('is found when five readings in a row have earlier times than the newest, and ends when times have caught up', () => {
    expect(offline('clock', [...run(0, 101), ...back(4)])).toEqual([]);
    const [opened] = offline('clock', [...run(0, 101), ...back(5)]);
    expect(opened).toMatchObject({ anomalyKind: 'clock', severity: 'warning', openedAt: START - 3_496_000 });
    expect(opened?.explanation).toBe(
      'temperature of press-3 sends times 1 h earlier than its newest; it is not judged until they have caught up.',
    );
    const [, closed] = offline('clock', [...run(0, 101), ...back(5), reading(101)]);
    expect(closed).toMatchObject({ phase: 'closed', closeReason: 'recovered', eventTime: START + 101_000 });
  });

  it('late arrivals are no fault of a clock: within the bound of the gateway, or between others', () => {
    expect(offline('clock', [...run(0, 101), ...Array.from({ length: 9 }, () => reading(90))])).toEqual([]);
    expect(offline('clock', [...run(0, 101), ...Array.from({ length: 5 }, () => reading(89))])).toHaveLength(2);
    const mixed = back(20).flatMap((late, i) => [late, reading(101 + i)]);
    expect(offline('clock', [...run(0, 101), ...mixed])).toEqual([]);
  });

  it('can be switched off', () => {
    expect(offline('clock', [...run(0, 101), ...back(50)], { clock: { enabled: false } })).toEqual([]);
  });
});

describe('related anomalies', () => {
  const config = engineConfigSchema.parse({
    limits: { closeAfterReadings: 1, rules: [{ high: 80 }] },
    zScore: { watch: 'never' },
    adaptive: { enabled: false },
  });
  const at = (second: number, value: number, metric: string, device = 'press-3'): Reading => ({
    ...reading(second, value, metric),
    device,
  });
  const relations = (...readings: Reading[]): Record<string, string[]> => {
    const left = final(detectOffline(config, gateway, readings));
    const nameOf = new Map(left.map(({ id, device, metric }) => [id, `${device} ${metric}`]));
    return Object.fromEntries(
      left.map(({ id, related = [] }) => [nameOf.get(id) ?? '', related.map((other) => nameOf.get(other) ?? '')]),
    );
  };

  it('that begin within ten seconds on one device name each other: just before, exactly, just after', () => {
    const pair = (second: number) => relations(at(0, 90, 'a'), at(second, 90, 'b'));
    const both = { 'press-3 a': ['press-3 b'], 'press-3 b': ['press-3 a'] };
    expect(pair(9.999)).toEqual(both);
    expect(pair(10)).toEqual(both);
    expect(pair(10.001)).toEqual({ 'press-3 a': [], 'press-3 b': [] });
  });

  it('all of them, but neither those of other devices nor those that have ended', () => {
    expect(relations(at(0, 90, 'a'), at(1, 90, 'b'), at(2, 90, 'c'), at(3, 90, 'a', 'oven-1'))).toEqual({
      'press-3 a': ['press-3 b', 'press-3 c'],
      'press-3 b': ['press-3 a', 'press-3 c'],
      'press-3 c': ['press-3 a', 'press-3 b'],
      'oven-1 a': [],
    });
    expect(relations(at(0, 90, 'a'), at(1, 10, 'a'), at(2, 90, 'b'))).toEqual({ 'press-3 a': [], 'press-3 b': [] });
  });

  it('no more than a record may hold', () => {
    const many = relations(...Array.from({ length: 40 }, (_, i) => at(i / 10, 90, `m${i}`)));
    expect(Math.max(...Object.values(many).map((names) => names.length))).toBe(16);
  });
});
