import {
  type Batch,
  COUNT_MS,
  decodeBatch,
  encodeBatch,
  type EpochMs,
  epochMs,
  type FloorRecord,
  limits,
  meanOf,
  type Reading,
  ROLLUP_MS,
  rollupsRecord,
  varianceOf,
} from '@floorwatch/contracts';
import fc from 'fast-check';
import * as batch from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { detectOffline } from '../src/detect-offline.ts';
import type { Detector } from '../src/score/detector.ts';
import { engineConfigSchema } from '../src/sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../src/sensor-engine.ts';
import { statsLimits } from '../src/stats/limits.ts';
import { seattleWeather } from './stats/series.ts';

const gateway = { site: 'plant', gateway: 'hall-1' };
const NOON = 1_700_000_000_000;
/** The plain detectors alone, so that what is anomalous can be read off the values. */
const configOf = (options: z.input<typeof engineConfigSchema> = {}) =>
  engineConfigSchema.parse({
    adaptive: { enabled: false },
    stuck: { enabled: false },
    silent: { enabled: false },
    noise: { enabled: false },
    clock: { enabled: false },
    ...options,
  });

/** Limits alone. */
const above80 = configOf({ zScore: { rules: [] }, limits: { closeAfterReadings: 2, rules: [{ high: 80 }] } });

const clock = (now: number) => ({ now: epochMs(now), synchronised: true, sinceStartMs: 0 });

const reading = (at: number, value: number, metric = 'temperature'): Reading => ({
  device: 'press-3',
  metric,
  eventTime: epochMs(at),
  value,
  unit: '°C',
  quality: 'good',
});

/** An engine and all that it emitted. */
function recorded(config = above80, detectors: readonly Detector[] = []) {
  const outputs: EngineOutput[] = [];
  const engine = new SensorEngine(config, gateway, detectors);
  const out = { emit: (output: EngineOutput): void => void outputs.push(output) };
  return {
    engine,
    outputs,
    accept: (...readings: Reading[]): void => {
      for (const one of readings) engine.accept(one, out);
    },
    advance: (now: number): void => engine.advance(clock(now), out),
    close: (): void => engine.close(out),
    episodes: (): EpisodeEvent[] => outputs.flatMap((o) => (o.kind === 'episode' ? [o.episode] : [])),
    rollups: () => outputs.flatMap((o) => (o.kind === 'rollups' ? o.rollups : [])),
    ticks: (): EpochMs[] => outputs.flatMap((o) => (o.kind === 'tick' ? [o.watermark] : [])),
  };
}

describe('sensor engine: episodes', () => {
  it('opens with the statistics and readings just before the opening', () => {
    const { accept, episodes } = recorded();
    accept(...[60, 62, 64].map((value, i) => reading(NOON + i * 1_000, value)), reading(NOON + 3_000, 90));
    expect(episodes()).toMatchObject([
      {
        phase: 'opened',
        openedAt: NOON + 3_000,
        moving: { countMean: 62, ewMean: 62, timeMean: 62 },
        before: [60, 62, 64].map((value, i) => ({ at: NOON + i * 1_000, value })),
        explanation: 'temperature of press-3 is 90 °C, above its limit of 80 °C.',
      },
    ]);
  });

  it('judges a reading before anything learns it', () => {
    const { accept, episodes } = recorded();
    accept(reading(NOON, 90));
    expect(episodes()).toMatchObject([{ moving: { countMean: null, countSd: null }, before: [] }]);
  });

  it('one sensor can have an episode of each detector', () => {
    const config = configOf({ limits: { rules: [{ high: 80 }] } });
    const { engine, accept, episodes } = recorded(config);
    accept(...Array.from({ length: 40 }, (_, i) => reading(NOON + i * 1_000, 60 + (i % 2))));
    accept(reading(NOON + 40_000, 200));
    expect(episodes().map(({ detector, phase }) => [detector, phase])).toEqual([
      ['limit', 'opened'],
      ['z-score', 'opened'],
      // Once more, to name the other.
      ['limit', 'updated'],
    ]);
    expect([...engine.sensors()]).toMatchObject([{ anomalies: ['limit', 'z-score'], warmingUp: [] }]);
  });

  it('a lasting step becomes normal after its time when flagged readings are learned, and stays anomalous when they are not', () => {
    const readings = Array.from({ length: 30_000 }, (_, i) =>
      reading(NOON + i * 1_000, (i < 200 ? 20 : 40) + Math.sin(i * i)),
    );
    const last = (learnFlagged: boolean): EpisodeEvent | undefined =>
      detectOffline(configOf({ zScore: { learnFlagged } }), gateway, readings).at(-1);
    expect(last(true)).toMatchObject({ phase: 'closed', closeReason: 'adopted', openedAt: NOON + 200_000 });
    expect(last(false)).toMatchObject({
      phase: 'closed',
      closeReason: 'shutdown',
      openedAt: NOON + 200_000,
      readings: 29_800,
    });
  });

  it('finds a spike in a year of real hourly pressure, and only there', () => {
    const series = seattleWeather()['hourly pressure'] ?? [];
    const readings = series.map(({ at, value }, i) => reading(at, i === 4_000 ? value + 30 : value, 'pressure'));
    const clean = series.map(({ at, value }) => reading(at, value, 'pressure'));
    const opened = (of: Reading[]): EpisodeEvent[] =>
      detectOffline(configOf(), gateway, of).filter(({ phase }) => phase === 'opened');
    expect(opened(clean)).toEqual([]);
    expect(opened(readings)).toMatchObject([
      { openedAt: series[4_000]?.at, anomalyKind: 'above-band', severity: 'critical' },
    ]);
  });

  it('finds the same episodes, whenever the clock ticks', () => {
    const noise = (i: number): number => Math.sin(i * i) + (i % 97 === 0 ? 30 : 0);
    const readings = Array.from({ length: 2_000 }, (_, i) => reading(NOON + i * 700, noise(i), `metric ${i % 3}`));
    const expected = detectOffline(configOf(), gateway, readings);
    expect(expected.length).toBeGreaterThan(10);
    const { accept, advance, close, episodes } = recorded(configOf());
    for (const [i, one] of readings.entries()) {
      if (i % 13 === 0) advance(NOON + i * 700);
      accept(one);
    }
    close();
    expect(episodes()).toEqual(expected);
  });

  it('lets another detector judge, explain and learn', () => {
    const calls: string[] = [];
    const odd: Detector = {
      name: 'odd-value',
      version: 1,
      closeAfterReadings: 1,
      addSensor: (slot, { metric }) => void calls.push(`add ${slot} ${metric}`),
      judge(_slot, { value }, verdict): void {
        calls.push(`judge ${value}`);
        verdict.judgement = value % 2 === 1 ? 'anomalous' : 'normal';
        verdict.score = 7;
        verdict.severity = 'warning';
        verdict.anomalyKind = 'odd';
        verdict.low = verdict.high = null;
      },
      explain: (_sensor, _slot, value) => `${value} is odd.`,
      learn: (_slot, { value }, anomalous) => void calls.push(`learn ${value} ${anomalous}`),
    };
    const { accept, episodes } = recorded(above80, [odd]);
    accept(reading(0, 2), reading(1, 3), reading(2, 4));
    expect(calls).toEqual([
      'add 0 temperature',
      'judge 2',
      'learn 2 false',
      'judge 3',
      'learn 3 true',
      'judge 4',
      'learn 4 false',
    ]);
    expect(episodes()).toMatchObject([
      { phase: 'opened', detector: 'odd-value', explanation: '3 is odd.' },
      { phase: 'closed', eventTime: 2 },
    ]);
  });
});

describe('sensor engine: readings out of order', () => {
  it.each([
    ['just older than the newest joins its rollup only', NOON - 1, 1],
    ['as old as the newest is judged and learned', NOON, 0],
    ['just newer is judged and learned', NOON + 1, 0],
  ])('a reading %s', (_name, at, outOfOrder) => {
    const { engine, accept, close, episodes, rollups } = recorded();
    accept(reading(NOON, 60), reading(at, 90));
    expect(engine.outOfOrder).toBe(outOfOrder);
    expect(episodes()).toHaveLength(1 - outOfOrder);
    const [sensor] = engine.sensors();
    expect(sensor?.moving.countMean).toBe(outOfOrder === 1 ? 60 : 75);
    expect(sensor?.newestValue).toBe(outOfOrder === 1 ? 60 : 90);
    close();
    expect(rollups().reduce((n, { aggregate }) => n + aggregate.n, 0)).toBe(2);
  });

  it('does not count another sensor as newer', () => {
    const { engine, accept } = recorded();
    accept(reading(NOON, 1, 'a'), reading(NOON - 5_000, 1, 'b'));
    expect(engine.outOfOrder).toBe(0);
  });
});

describe('sensor engine: rollups and ticks', () => {
  it('rollups say what a batch computation over their readings says', () => {
    const value = fc.double({ min: -1e3, max: 1e3, noNaN: true }).map((v) => (Math.abs(v) < 1e-100 ? 0 : v));
    const one = fc.record({ at: fc.integer({ min: 0, max: 40_000 }), value, metric: fc.constantFrom('a', 'b') });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 60 }), (readings) => {
        const { accept, close, outputs } = recorded();
        accept(...readings.map((r) => reading(r.at, r.value, r.metric)));
        close();
        let counted = 0;
        for (const output of outputs) {
          if (output.kind !== 'rollups') continue;
          for (const { sensor, start, aggregate } of output.rollups) {
            const members = readings.filter(
              (r) => r.metric === output.sensors[sensor]?.metric && Math.floor(r.at / ROLLUP_MS) * ROLLUP_MS === start,
            );
            const values = members.map((r) => r.value);
            counted += aggregate.n;
            expect(aggregate.n).toBe(values.length);
            expect(Math.abs(meanOf(aggregate) - batch.mean(values))).toBeLessThan(1e-9);
            expect(Math.abs(varianceOf(aggregate) - batch.variance(values))).toBeLessThan(1e-6);
            expect([aggregate.min, aggregate.max]).toEqual([Math.min(...values), Math.max(...values)]);
            expect(aggregate.anomalous).toBeLessThanOrEqual(values.filter((v) => v > 80).length);
          }
        }
        expect(counted).toBe(readings.length);
      }),
    );
  });

  it('a rollup counts the readings that a detector found anomalous', () => {
    const { accept, close, rollups } = recorded();
    accept(...[90, 60, 91, 60, 60].map((value, i) => reading(NOON + i, value)));
    close();
    expect(rollups()).toMatchObject([{ aggregate: { n: 5, anomalous: 2 } }]);
  });

  it('a tick comes behind the rollups that it covers, and never goes back', () => {
    const { accept, advance, outputs } = recorded();
    accept(reading(NOON, 1), reading(NOON + 20_000, 2));
    advance(NOON + 20_000);
    expect(outputs).toMatchObject([
      {
        kind: 'rollups',
        rollups: [{ start: NOON }],
        sensors: [{ device: 'press-3', metric: 'temperature', unit: '°C' }],
      },
      { kind: 'tick', watermark: NOON + 10_000 },
    ]);
    advance(NOON - 1_000_000);
    expect(outputs.at(-1)).toEqual({ kind: 'tick', watermark: NOON + 10_000 });
  });

  it('says nothing before the first reading', () => {
    const { advance, outputs } = recorded();
    advance(NOON);
    expect(outputs).toEqual([]);
  });

  it('lets rollups go by itself when a recording runs faster than the clock ticks, each followed by a tick', () => {
    const { accept, advance, close, outputs, rollups, ticks } = recorded();
    advance(NOON);
    const n = 10_000;
    for (let i = 0; i < n; i++) accept(reading(i * ROLLUP_MS, 1));
    expect(rollups().length).toBeGreaterThan(n - 2 * limits.rollupsPerRecordMax);
    expect(ticks()).toEqual([...ticks()].sort((a, b) => a - b));
    expect(ticks().length).toBeGreaterThan(5);
    let watermark = -Infinity;
    const early = outputs.filter((output) => {
      if (output.kind === 'tick') ({ watermark } = output);
      return output.kind === 'rollups' && output.rollups.some(({ start }) => start + ROLLUP_MS <= watermark);
    });
    expect(early).toEqual([]);
    close();
    expect(rollups()).toHaveLength(n);
  });

  it('does not let the readings of a clock in the future move the watermark beyond the gateway’s clock', () => {
    const { accept, advance, ticks } = recorded();
    advance(NOON);
    for (let i = 0; i < 3_000; i++) accept(reading(NOON + i * ROLLUP_MS, 1));
    expect(Math.max(...ticks(), 0)).toBeLessThanOrEqual(NOON - 10_000);
  });

  it('forgets what it counts where nobody is told, so that years of a recording do not fill it for good', () => {
    const { engine, accept } = recorded();
    for (let i = 0; i < statsLimits.countedHoursMax + 5; i++) accept(reading(i * COUNT_MS, 1));
    expect(engine.rollupsEarly).toBe(statsLimits.countedHoursMax);
  });

  it('keeps its limit of open rollups although no clock ever ticks, and counts what went out early', () => {
    const { engine, accept, close, rollups, ticks } = recorded();
    const n = statsLimits.openBucketsMax + 5;
    for (let i = 0; i < n; i++) accept(reading(i * ROLLUP_MS, 1));
    expect(engine.rollupsEarly).toBeGreaterThanOrEqual(statsLimits.openBucketsMax);
    expect(ticks()).toEqual([]);
    close();
    expect(rollups()).toHaveLength(n);
  });

  it.each([limits.rollupsPerRecordMax - 1, limits.rollupsPerRecordMax, limits.rollupsPerRecordMax + 1])(
    'rollups of %i sensors go out in records of at most the limit',
    (sensors) => {
      const { accept, close, outputs, rollups } = recorded(configOf());
      for (let i = 0; i < sensors; i++) accept(reading(NOON, i, `metric ${i}`));
      close();
      expect(outputs).toHaveLength(Math.ceil(sensors / limits.rollupsPerRecordMax));
      expect(rollups()).toHaveLength(sensors);
      for (const output of outputs) {
        if (output.kind !== 'rollups') continue;
        const named = output.rollups.map(({ sensor, aggregate }) => [output.sensors[sensor]?.metric, aggregate.last]);
        expect(named.every(([metric, value]) => metric === `metric ${value}`)).toBe(true);
      }
    },
  );
});

describe('sensor engine: stop', () => {
  it('closes open episodes with the time of the sensor’s newest reading, then lets all rollups go', () => {
    const { accept, close, outputs } = recorded();
    accept(reading(NOON, 90), reading(NOON + 1_000, 60));
    outputs.length = 0;
    close();
    expect(outputs).toMatchObject([
      { kind: 'episode', episode: { phase: 'closed', closeReason: 'shutdown', eventTime: NOON + 1_000, readings: 1 } },
      { kind: 'rollups', rollups: [{ aggregate: { n: 2 } }] },
    ]);
  });
});

describe('sensor engine: what it tells', () => {
  it('shows every sensor with its newest unit, statistics and what still warms up', () => {
    const { engine, accept } = recorded(configOf());
    accept(reading(NOON, 1, 'a'), reading(NOON + 1, 2, 'b'));
    accept({ ...reading(NOON + 2, 3, 'a'), unit: 'K' });
    expect(engine.sensorCount).toBe(2);
    expect([...engine.sensors()]).toMatchObject([
      {
        metric: 'a',
        unit: 'K',
        newestAt: NOON + 2,
        newestValue: 3,
        moving: { countMean: 2, countSd: 1 },
        warmingUp: ['z-score'],
      },
      { metric: 'b', unit: '°C', newestAt: NOON + 1, moving: { countMean: 2, countSd: null }, anomalies: [] },
    ]);
  });

  it('keeps sensors apart whose joined names would be equal', () => {
    const { engine, accept } = recorded();
    accept({ ...reading(0, 1), device: 'a b', metric: 'c' }, { ...reading(0, 1), device: 'a', metric: 'b c' });
    expect(engine.sensorCount).toBe(2);
  });

  it('emits only what the contracts take, whatever values come', () => {
    const value = fc.oneof(
      fc.double({ min: -statsLimits.valueAbsMax, max: statsLimits.valueAbsMax, noNaN: true }),
      fc.integer({ min: -100, max: 100 }),
      fc.constantFrom(0, -0, 1e150, -1e150, 5e-324),
    );
    const one = fc.record({ at: fc.integer({ min: -100_000, max: 100_000 }), value });
    const config = configOf({
      zScore: { warmUpReadings: 2, closeAfterReadings: 1, rules: [{ warningSd: 1 }] },
      limits: { closeAfterReadings: 1, rules: [{ low: -50, high: 50, warningHigh: 20 }] },
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 60 }), (readings) => {
        const { accept, advance, close, outputs } = recorded(config);
        advance(0);
        accept(...readings.map((r) => reading(r.at, r.value)));
        advance(90_000);
        close();
        for (const output of outputs) {
          expect(decodeBatch(encodeBatch(batchOf(output)))).toMatchObject({ ok: true });
        }
      }),
    );
  });
});

/** A batch as the pipeline would make it of one output. */
function batchOf(output: EngineOutput): Batch {
  const [number, now, quality] = [1, epochMs(NOON), 'unknown'] as const;
  const record = (): FloorRecord => {
    if (output.kind === 'rollups') return rollupsRecord(number, output.rollups);
    if (output.kind === 'tick') return { kind: 'tick', number, watermark: output.watermark, at: now, clock: quality };
    return { kind: 'anomaly', number, detectedAt: now, clock: quality, provenance: 'live', ...output.episode };
  };
  const lane = output.kind === 'episode' ? 'anomaly' : 'telemetry';
  const sensors = output.kind === 'rollups' ? [...output.sensors] : [];
  return { schema: 1, ...gateway, lane, epoch: '1-0123abcd', sensors, records: [record()] };
}

describe('engine configuration', () => {
  it('has a default for everything', () => {
    expect(configOf()).toMatchObject({
      statistics: { countReadings: 64, timeWindowMs: 900_000, ewReadings: 100 },
      limits: { closeAfterReadings: 3, rules: [] },
      zScore: { base: 'count', warmUpReadings: 30, learnFlagged: true },
      watermark: { outOfOrderMs: 10_000, idleMs: 60_000 },
    });
  });

  it.each([
    ['a warm-up just below the count window', 63, 'count', true],
    ['a warm-up of exactly the count window', 64, 'count', true],
    ['a warm-up longer than the count window', 65, 'count', false],
    ['a warm-up longer than a count window that is not the base', 65, 'ew', true],
  ] as const)('%s: %i on %s', (_name, warmUpReadings, base, accepted) => {
    const parsed = engineConfigSchema.safeParse({ zScore: { base, warmUpReadings } });
    expect(parsed.error?.issues.map(({ path }) => path.join('.'))).toEqual(
      accepted ? undefined : ['zScore.warmUpReadings'],
    );
  });

  it('unknown fields are errors', () => {
    expect(engineConfigSchema.safeParse({ zscore: {} }).success).toBe(false);
    expect(engineConfigSchema.safeParse({ statistics: { window: 64 } }).success).toBe(false);
  });
});
