import { epochMs, type Reading } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';

import { detectOffline } from '../src/detect-offline.ts';
import { engineConfigSchema } from '../src/sensor-engine-config.ts';
import type { EpisodeEvent } from '../src/sensor-engine.ts';

const gateway = { site: 'plant', gateway: 'hall-1' };
const START = 1_700_000_000_000;

const ordinary = (index: number): number => 20 + 0.5 * Math.sin(index / 40) + 0.2 * Math.sin(index * index * 0.7);

/** Readings around 20, one a second, unless told otherwise. */
const readings = (
  length: number,
  valueOf: (index: number) => number = ordinary,
  secondOf: (index: number) => number = (index) => index,
): Reading[] =>
  Array.from({ length }, (_, index) => ({
    device: 'press-3',
    metric: 'temperature',
    unit: '°C',
    eventTime: epochMs(START + secondOf(index) * 1_000),
    value: valueOf(index),
    quality: 'good',
  }));

/** The same with `faults` added to the readings at their indices. */
const series = (length: number, faults: Readonly<Record<number, number>>): Reading[] =>
  readings(length, (index) => ordinary(index) + (faults[index] ?? 0));

const found = (of: readonly Reading[], options: z.input<typeof engineConfigSchema> = {}): [string, number][] =>
  detectOffline(engineConfigSchema.parse(options), gateway, of)
    .filter(({ phase }: EpisodeEvent) => phase === 'opened')
    .map(({ detector, openedAt }) => [detector, (openedAt - START) / 1_000]);

describe('the z-score and the adaptive detector together', () => {
  const spikes = { 45: 40, 498: 40, 499: 80, 1_500: 40 };

  it('the z-score carries the cold start, and the adaptive detector alone goes on after 500 readings', () => {
    expect(found(series(60, { 45: 40 }))).toEqual([['z-score', 45]]);
    expect(found(series(499, { 498: 40 }))).toEqual([['z-score', 498]]);
    expect(found(series(500, { 499: 40 }))).toEqual([['z-score', 499]]);
    expect(found(series(501, { 500: 40 }))).toEqual([['adaptive', 500]]);
    expect(found(series(1_600, { 1_500: 40 }))).toEqual([['adaptive', 1_500]]);
  });

  it('a sensor never has an episode of both at once', () => {
    let open: string[] = [];
    for (const { detector, phase } of detectOffline(engineConfigSchema.parse({}), gateway, series(2_000, spikes))) {
      if (phase === 'closed') open = open.filter((other) => other !== detector);
      if (phase !== 'opened') continue;
      expect(open).toEqual([]);
      open.push(detector);
    }
  });

  it('the z-score goes on for ever where the adaptive detector is off', () => {
    const fault = series(1_600, { 1_500: 40 });
    expect(found(fault, { adaptive: { enabled: false } })).toEqual([['z-score', 1_500]]);
    expect(found(fault, { adaptive: { rules: [{ metric: 'pressure' }] } })).toEqual([['z-score', 1_500]]);
  });

  it('the z-score reports a warning only where the adaptive detector does not learn the sensor', () => {
    const mild = series(300, { 250: 1.3 });
    const severities = (options?: z.input<typeof engineConfigSchema>): unknown[] =>
      detectOffline(engineConfigSchema.parse(options ?? {}), gateway, mild)
        .filter(({ phase }) => phase === 'opened')
        .map(({ detector, severity }) => [detector, severity]);
    expect(severities({ adaptive: { enabled: false } })).toEqual([['z-score', 'warning']]);
    expect(severities({ adaptive: { rules: [{ metric: 'pressure' }] } })).toEqual([['z-score', 'warning']]);
    expect(severities()).toEqual([]);
  });

  it('both report when a person wants both, and neither when neither is wanted', () => {
    const fault = series(1_600, { 1_500: 40 });
    expect(found(fault, { zScore: { watch: 'always' } })).toEqual([
      ['z-score', 1_500],
      ['adaptive', 1_500],
    ]);
    expect(found(fault, { zScore: { watch: 'never' } })).toEqual([['adaptive', 1_500]]);
    expect(found(fault, { zScore: { watch: 'never' }, adaptive: { enabled: false } })).toEqual([]);
  });
});

describe('a switch for each detector', () => {
  const stuck = readings(900, (index) => (index < 700 ? ordinary(index) : 20.25));
  const late = readings(900, ordinary, (index) => (index < 700 ? index : index + 600));

  it('stuck is found unless it is off, for all or for the sensor', () => {
    const own = (options?: object) => found(stuck, options).filter(([detector]) => detector === 'stuck');
    expect(own()).toHaveLength(1);
    expect(own({ stuck: { enabled: false } })).toEqual([]);
    expect(own({ stuck: { rules: [{ device: 'press-*', enabled: false }] } })).toEqual([]);
    expect(own({ stuck: { rules: [{ device: 'oven-*', enabled: false }] } })).toHaveLength(1);
  });

  it('silence is found unless it is off, for all or for the sensor', () => {
    const own = (options?: object) => found(late, options).filter(([detector]) => detector === 'silent');
    expect(own()).toHaveLength(1);
    expect(own({ silent: { enabled: false } })).toEqual([]);
    expect(own({ silent: { rules: [{ metric: 'temp*', enabled: false }] } })).toEqual([]);
  });
});
