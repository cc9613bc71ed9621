import { epochMs, type Reading } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { engineConfigSchema, forRecordings } from '../src/sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../src/sensor-engine.ts';

const START = 1_700_000_000_000;
const gateway = { site: 'plant', gateway: 'hall-1' };
const celsius = (second: number): Reading => ({
  device: 'press-3',
  metric: 'temperature',
  unit: '°C',
  eventTime: epochMs(START + second * 1_000),
  value: 20 + Math.sin(second * second),
  quality: 'good',
});
/** The same in °F, as the intake hands it on. */
const fahrenheit = (second: number): Reading => {
  const { value, ...rest } = celsius(second);
  return { ...rest, value: 32 + 1.8 * value, unit: '°F', metric: 'temperature (°F)', apartFrom: 'temperature' };
};
const range = (from: number, to: number, of: (second: number) => Reading): Reading[] =>
  Array.from({ length: to - from }, (_, i) => of(from + i));

function running(options: z.input<typeof engineConfigSchema> = {}) {
  const outputs: EngineOutput[] = [];
  const out = { emit: (output: EngineOutput): void => void outputs.push(output) };
  const config = engineConfigSchema.parse({ watermark: { outOfOrderMs: 0 }, ...options });
  const engine = new SensorEngine(forRecordings(config), gateway);
  return {
    engine,
    accept: (...readings: readonly Reading[]): void => {
      for (const one of readings) engine.accept(one, out);
    },
    tick: (second: number): void =>
      engine.advance({ now: epochMs(START + second * 1_000), synchronised: true, sinceStartMs: 3_600_000 }, out),
    close: (): void => engine.close(out),
    episodes: (detector = 'unit'): EpisodeEvent[] =>
      outputs.flatMap((output) =>
        output.kind === 'episode' && output.episode.detector === detector ? [output.episode] : [],
      ),
    outputs,
  };
}

const told = (episodes: readonly EpisodeEvent[]): unknown[] =>
  episodes.map(({ phase, metric, eventTime, readings }) => [phase, metric, (eventTime - START) / 1_000, readings]);

describe('readings in another unit', () => {
  it('are one episode of their sensor, from the first of them until its own unit comes back for good', () => {
    const { accept, episodes } = running();
    accept(...range(0, 60, celsius));
    accept(
      ...range(60, 65, fahrenheit),
      celsius(65),
      celsius(66),
      ...range(67, 70, fahrenheit),
      ...range(70, 73, celsius),
    );
    expect(told(episodes())).toEqual([
      ['opened', 'temperature', 60, 1],
      ['updated', 'temperature', 70, 8],
      ['closed', 'temperature', 72, 8],
    ]);
    expect(episodes()[0]).toMatchObject({
      anomalyKind: 'unit',
      severity: 'warning',
      unit: '°C',
      value: celsius(59).value,
      worst: { value: celsius(59).value },
      explanation:
        'temperature of press-3 is now sent in °F instead of °C; such readings are kept apart as temperature (°F).',
    });
  });

  it('change nothing of what its own readings give: no mean, no rollup, no other episode', () => {
    const [mixed, pure] = [running(), running()];
    for (const { accept } of [mixed, pure]) accept(...range(0, 60, celsius));
    mixed.accept(...range(60, 100, fahrenheit));
    for (const { accept, close } of [mixed, pure]) {
      accept(...range(100, 200, celsius));
      close();
    }
    const rollupsOf = ({ outputs }: ReturnType<typeof running>, metric: string): unknown[] =>
      outputs.flatMap((output) =>
        output.kind === 'rollups'
          ? output.rollups
              .filter(({ sensor }) => output.sensors[sensor]?.metric === metric)
              .map(({ start, aggregate, moving, hash }) => ({ start, aggregate, moving, hash }))
          : [],
      );
    expect(rollupsOf(mixed, 'temperature')).toEqual(rollupsOf(pure, 'temperature'));
    expect(rollupsOf(mixed, 'temperature (°F)').length).toBeGreaterThan(3);
    expect(mixed.episodes('adaptive')).toEqual([]);
    expect(mixed.episodes('z-score')).toEqual([]);
  });

  it('are no silence of their sensor, and nobody misses them when they end', () => {
    const { accept, tick, episodes } = running();
    tick(0);
    accept(...range(0, 60, celsius));
    for (let second = 60; second < 160; second++) {
      accept(fahrenheit(second));
      tick(second);
    }
    for (let second = 160; second < 300; second++) {
      accept(celsius(second));
      tick(second);
    }
    expect(episodes('silent')).toEqual([]);
    for (let second = 300; second < 340; second++) {
      accept({ ...celsius(second), metric: 'pressure' });
      tick(second);
    }
    // After them, its own silence is noticed as ever.
    expect(episodes('silent').map(({ metric, phase }) => [metric, phase])).toContainEqual(['temperature', 'opened']);
    expect(new Set(episodes('silent').map(({ metric }) => metric))).toEqual(new Set(['temperature']));
  });

  it('go on being told after a restart', () => {
    const [whole, before, after] = [running(), running(), running()];
    const first = [...range(0, 60, celsius), ...range(60, 70, fahrenheit)];
    const rest = [...range(70, 80, fahrenheit), ...range(80, 90, celsius), ...range(90, 95, fahrenheit)];
    whole.accept(...first, ...rest);
    before.accept(...first);
    after.engine.restore(structuredClone(before.engine.snapshot()));
    after.accept(...rest);
    expect([...before.episodes(), ...after.episodes()]).toEqual(whole.episodes());
    expect(whole.episodes().map(({ phase }) => phase)).toEqual(['opened', 'updated', 'updated', 'closed', 'opened']);
    expect(after.engine.snapshot()).toEqual(whole.engine.snapshot());
  });

  it('that are older than the newest in its own unit tell nothing new', () => {
    const { accept, episodes } = running();
    accept(...range(0, 60, celsius), fahrenheit(30), celsius(60));
    expect(episodes()).toEqual([]);
  });

  it.each([{ enabled: false }, { rules: [{ device: 'press-*', metric: 'temp*', enabled: false }] }])(
    'can be kept apart without an episode: %j',
    (unit) => {
      const { accept, episodes, engine } = running({ unit });
      accept(...range(0, 60, celsius), ...range(60, 80, fahrenheit));
      expect(episodes()).toEqual([]);
      expect(engine.sensorCount).toBe(2);
    },
  );

  it('leave no detector waiting for a history', () => {
    const { accept, engine } = running();
    accept(...range(0, 10, celsius));
    expect([...engine.sensors()][0]?.warmingUp).not.toContain('unit');
  });
});
