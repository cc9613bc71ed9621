import { epochMs, type Reading } from '@floorwatch/contracts';
import type { z } from 'zod';

import { engineConfigSchema } from '../../src/sensor-engine-config.ts';
import { type ClockTick, type EngineOutput, SensorEngine } from '../../src/sensor-engine.ts';

export const gateway = { site: 'plant', gateway: 'hall-1' };
const NOON = 1_700_000_000_000;

/** What goes into an engine, in order. */
export type Item =
  | { readonly kind: 'reading'; readonly reading: Reading }
  | { readonly kind: 'tick'; readonly clock: ClockTick };

/** Uniform in [0, 1), the same sequence for the same seed (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The shipped configuration, and one with a rule of every kind that judges some sensors and leaves others out. */
export const configs: Readonly<Record<string, z.input<typeof engineConfigSchema>>> = {
  shipped: {},
  rules: {
    limits: { rules: [{ device: 'press-*', high: 6, warningHigh: 4, margin: 0.5 }] },
    range: { rules: [{ metric: 'm0', low: -40, high: 40 }] },
    rate: { rules: [{ metric: 'm1', perSecondMax: 2 }] },
    zScore: { learnFlagged: false, watch: 'always', base: 'count' },
    noise: { rules: [{ metric: 'm1', enabled: false }] },
    statistics: { countReadings: 32 },
  },
};

export const engineOf = (config: string): SensorEngine =>
  new SensorEngine(engineConfigSchema.parse(configs[config]), gateway);

/**
 * Readings of six sensors of two devices, about one per second and sensor for as long as `items` last, with a tick every five seconds.
 * Each sensor has stretches in which it is stuck, silent, noisy, drifting or in the past, and single spikes.
 */
export function faultStream(seed: number, items: number): Item[] {
  const next = uniform(seed);
  const sensors = Array.from({ length: 6 }, (_, index) => ({
    device: `press-${index % 2}`,
    metric: `m${index % 3}`,
    fault: 'none',
    until: 0,
    last: 0,
    drift: 0,
  }));
  const stream: Item[] = [];
  for (let second = 0; stream.length < items; second++) {
    const now = NOON + second * 1_000;
    for (const sensor of sensors) {
      if (second >= sensor.until && next() < 0.02) {
        sensor.fault = ['stuck', 'silent', 'noisy', 'drift', 'past', 'none'][Math.floor(next() * 6)]!;
        sensor.until = second + 20 + Math.floor(next() * 80);
      } else if (second === sensor.until) sensor.fault = 'none';
      if (sensor.fault === 'silent' || next() < 0.02) continue;
      if (sensor.fault === 'drift') sensor.drift += 0.05;
      const noise = (next() + next() + next() - 1.5) * (sensor.fault === 'noisy' ? 8 : 1);
      const spike = next() < 0.004 ? 60 * (next() - 0.5) : 0;
      if (sensor.fault !== 'stuck') sensor.last = Math.sin(second / 50) + sensor.drift + noise + spike;
      const back = sensor.fault === 'past' ? 30_000 : next() < 0.03 ? 4_000 : 0;
      stream.push({
        kind: 'reading',
        reading: {
          device: sensor.device,
          metric: sensor.metric,
          eventTime: epochMs(now - back + Math.floor(next() * 200)),
          value: sensor.last,
          ...(next() < 0.5 && { unit: '°C' }),
          quality: next() < 0.05 ? 'uncertain' : 'good',
        },
      });
    }
    if (second % 5 === 0) {
      stream.push({
        kind: 'tick',
        clock: { now: epochMs(now), synchronised: next() < 0.9, sinceStartMs: second * 1_000 },
      });
    }
  }
  return stream.slice(0, items);
}

/** Puts the items into the engine and returns what came out. */
export function run(engine: SensorEngine, items: readonly Item[]): EngineOutput[] {
  const outputs: EngineOutput[] = [];
  const out = { emit: (output: EngineOutput): void => void outputs.push(output) };
  for (const item of items) {
    if (item.kind === 'reading') engine.accept(item.reading, out, false, { receivedAt: item.reading.eventTime });
    else engine.advance(item.clock, out);
  }
  return outputs;
}
