import { epochMs, type Reading } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { engineConfigSchema, forRecordings } from '../src/sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../src/sensor-engine.ts';
import type { StateSection } from '../src/state-section.ts';

const START = 1_700_000_000_000;
const expected = [{ device: 'press-4', metrics: ['temperature', 'vibration'] }];

const reading = (second: number, device = 'press-3', metric = 'temperature'): Reading => ({
  device,
  metric,
  eventTime: epochMs(START + second * 1_000),
  value: 20 + Math.sin(second * second),
  quality: 'good',
});

/** A running engine that gets a recording, so that its watermark is the newest event time. */
function running(silent: z.input<typeof engineConfigSchema>['silent'] = {}, from?: readonly StateSection[]) {
  const episodes: EpisodeEvent[] = [];
  const out = { emit: (o: EngineOutput): void => void (o.kind === 'episode' && episodes.push(o.episode)) };
  const config = engineConfigSchema.parse({ watermark: { outOfOrderMs: 0 }, silent });
  const engine = new SensorEngine(forRecordings(config), { site: 'plant', gateway: 'hall-1' });
  if (from !== undefined) engine.restore(from);
  const tick = (second: number, deaf = false): void =>
    engine.advance({ now: epochMs(START + second * 1_000), synchronised: true, sinceStartMs: 3_600_000, deaf }, out);
  return {
    engine,
    accept: (...readings: readonly Reading[]): void => {
      for (const one of readings) engine.accept(one, out);
    },
    tick,
    /** Time goes on to this second: another sensor reports every second, and the clock ticks every five. */
    pass: (first: number, last: number, deaf = false): void => {
      for (let second = first; second <= last; second++) {
        if (!deaf) engine.accept(reading(second), out);
        if (second % 5 === 0) tick(second, deaf);
      }
    },
    found: (): unknown[] =>
      episodes
        // Records that only name related episodes left out.
        .filter(
          ({ detector, phase, severity }) => detector === 'silent' && `${phase} ${severity}` !== 'updated warning',
        )
        .map(({ phase, severity, device, metric, eventTime }) => {
          return [phase, severity, `${device}/${metric}`, (eventTime - START) / 1_000].join(' ');
        }),
    last: (): EpisodeEvent | undefined => episodes.findLast(({ phase }) => phase !== 'updated'),
  };
}

describe('a sensor that is expected', () => {
  const options = { expected, expectedWithinMs: 60_000 };

  it('and never heard is silent when its time is over, counted from the first tick: just before, exactly, just after', () => {
    const { pass, accept, tick, found, last, engine } = running(options);
    pass(0, 59);
    for (const [second, count] of [
      [59.999, 0],
      [60, 0],
      [60.001, 2],
    ] as const) {
      accept(reading(second));
      tick(second);
      expect(found()).toHaveLength(count);
    }
    expect(found()).toEqual(['opened warning press-4/temperature 60', 'opened warning press-4/vibration 60']);
    expect(last()).toMatchObject({
      anomalyKind: 'silent',
      explanation: 'vibration of press-4 is expected, and has sent nothing within 1 min.',
      before: [],
    });
    expect(engine.sensorCount).toBe(3);
  });

  it('becomes critical after five times as long, and ends with its first reading', () => {
    const { pass, accept, found, last } = running({ ...options, expected: [{ device: 'p', metrics: ['m'] }] });
    pass(0, 400);
    accept(reading(401, 'p', 'm'));
    expect(found()).toEqual(['opened warning p/m 60', 'updated critical p/m 300', 'closed critical p/m 401']);
    expect(last()?.explanation).toBe('m of p is expected, and has sent its first reading after 6.7 min.');
    // From now on its own cadence counts, which is not known yet.
    pass(402, 900);
    expect(found()).toHaveLength(3);

    const late = running({ ...options, expected: [{ device: 'p', metrics: ['m'] }] });
    late.pass(0, 100);
    late.accept(reading(-10, 'p', 'm'));
    expect(late.last()?.explanation).toBe('m of p is expected, and has sent its first reading.');
  });

  it('and heard in time is like any other', () => {
    const { pass, accept, found } = running(options);
    pass(0, 10);
    accept(reading(11, 'press-4', 'temperature'), reading(11, 'press-4', 'vibration'));
    pass(12, 600);
    expect(found()).toEqual([]);
  });

  it('is waited for from when it was, also after a restart; one that is expected since then has its own time', () => {
    const before = running(options);
    before.pass(0, 30);
    const sections = structuredClone(before.engine.snapshot());
    const more = [...expected, { device: 'press-5', metrics: ['temperature'] }];
    const after = running({ ...options, expected: more }, sections);
    after.pass(31, 120);
    expect(after.found()).toEqual([
      'opened warning press-4/temperature 60',
      'opened warning press-4/vibration 60',
      'opened warning press-5/temperature 95',
    ]);
    const whole = running(options);
    whole.pass(0, 120);
    const same = running(options, sections);
    same.pass(31, 120);
    expect(same.engine.snapshot()).toEqual(whole.engine.snapshot());
    expect(whole.found()).toEqual(same.found());
  });

  it('has its time anew when the gateway was away', () => {
    const { pass, engine, found } = running(options);
    pass(0, 30);
    engine.start(epochMs(START + 1_000_000));
    pass(1_000, 1_059);
    expect(found()).toEqual([]);
    pass(1_060, 1_065);
    expect(found()).toEqual(['opened warning press-4/temperature 1060', 'opened warning press-4/vibration 1060']);
  });

  it('is not missed where nobody wants to hear of silences', () => {
    const off = running({ ...options, rules: [{ device: 'press-4', enabled: false }] });
    off.pass(0, 300);
    expect(off.found()).toEqual([]);
  });
});

describe('while the broker is away', () => {
  it('no sensor is silent, and those that stay away are when it is back: after as long as their cadence allows', () => {
    const { pass, accept, found } = running();
    pass(0, 60);
    for (let second = 0; second <= 60; second++) accept(reading(second, 'press-9'));
    // The watermark follows the clock when nothing comes.
    pass(61, 1_000, true);
    expect(found()).toEqual([]);
    pass(1_001, 1_010);
    expect(found()).toEqual([]);
    pass(1_011, 1_020);
    expect(found()).toEqual(['opened warning press-9/temperature 1011']);
  });

  it('what was silent before stays so until it is heard', () => {
    const { pass, accept, found } = running();
    pass(0, 60);
    for (let second = 0; second <= 40; second++) accept(reading(second, 'press-9'));
    for (let second = 41; second <= 60; second++) accept(reading(second, 'press-8'));
    pass(61, 80);
    const open = found();
    expect(open).toContain('opened warning press-9/temperature 50');
    pass(81, 1_000, true);
    expect(found()).toEqual(open);
    accept(reading(1_001, 'press-9'));
    expect(found().at(-1)).toBe('closed warning press-9/temperature 1001');
  });

  it('readings that it had kept are no silence, whatever order they come in', () => {
    const { pass, accept, found } = running();
    pass(0, 60);
    pass(61, 300, true);
    for (let second = 61; second <= 300; second++) accept(reading(second));
    pass(301, 330);
    expect(found()).toEqual([]);
  });
});
