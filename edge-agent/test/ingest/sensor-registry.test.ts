import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { SensorRegistry } from '../../src/ingest/sensor-registry.ts';
import { SENSOR_SHARES_DEFAULT } from '../../src/ingest/sensor-shares.ts';
import { limits } from '../../src/limits.ts';

const HOUR = 3_600_000;
const MAX = 20_000;
const at = (hour: number) => epochMs(Date.UTC(2026, 0, 31, 12) + hour * HOUR);

const registryOf = (max = MAX, shares: Partial<typeof SENSOR_SHARES_DEFAULT> = {}): SensorRegistry =>
  new SensorRegistry(max, { ...SENSOR_SHARES_DEFAULT, ...shares });

/** Takes new sensors until one is refused; gives how many there were, and why. */
function fill(
  registry: SensorRegistry,
  nameOf: (index: number) => readonly [device: string, metric: string],
  client: string | undefined,
  hour = 0,
): readonly [taken: number, reason: unknown] {
  for (let index = 0; ; index += 1) {
    const answer = registry.admit(...nameOf(index), { client, at: at(hour) });
    if (typeof answer === 'string') return [index, answer];
  }
}

/** Whether a new machine finds places for its sensors. */
const takesMachine = (registry: SensorRegistry, name: string, client = name, hour = 0): boolean =>
  Array.from({ length: 50 }, (_, index) => registry.admit(name, `metric-${index}`, { client, at: at(hour) })).every(
    (answer) => typeof answer === 'number',
  );

describe('places for sensors', () => {
  it('20,000 topics that one client invents leave room for every new machine', () => {
    const registry = registryOf();
    for (let index = 0; index < 20_000; index += 1) {
      registry.admit(`ghost-${index}`, 'x', { client: 'evil', at: at(0) });
    }
    expect(registry.size).toBe(15_000);
    expect(registry.reached).toEqual({ reason: 'client-share', who: 'evil', at: at(0) });
    for (let machine = 0; machine < 50; machine += 1) expect(takesMachine(registry, `press-${machine}`)).toBe(true);
    // What it had goes on.
    expect(registry.admit('ghost-7', 'x', { client: 'evil', at: at(0) })).toBe(7);
  });

  it('one device with a counter in its topic leaves half of them, the next one half of what is left', () => {
    const registry = registryOf();
    const counting = (device: string) => (index: number) => [device, `m-${index}`] as const;
    expect(fill(registry, counting('oven'), undefined)).toEqual([10_000, 'device-share']);
    expect(registry.reached).toEqual({ reason: 'device-share', who: 'oven', at: at(0) });
    expect(fill(registry, counting('kiln'), undefined)).toEqual([5_000, 'device-share']);
    expect(takesMachine(registry, 'press')).toBe(true);
  });

  it('where nobody knows who invents names, an hour leaves some for the next one', () => {
    const registry = registryOf();
    const ghosts = (index: number) => [`ghost-${registry.size}-${index}`, 'x'] as const;
    expect(fill(registry, ghosts, undefined, 0)).toEqual([18_000, 'hour-share']);
    expect(registry.reached).toEqual({ reason: 'hour-share', who: null, at: at(0) });
    expect(takesMachine(registry, 'press', 'press', 0)).toBe(false);
    expect(takesMachine(registry, 'press', 'press', 1)).toBe(true);
    expect(fill(registry, ghosts, undefined, 1)[1]).toBe('hour-share');
    expect(registry.size).toBeLessThan(MAX);
  });

  it('are all taken in the end, and then nobody new is admitted', () => {
    const registry = registryOf(limits.sensorsUnsharedMax);
    const [taken, reason] = fill(registry, (index) => ['oven', `m-${index}`], 'one');
    expect([taken, reason]).toEqual([limits.sensorsUnsharedMax, 'too-many-sensors']);
    expect(registry.admit('oven', 'm-0', { client: 'two', at: at(0) })).toBe(0);
  });

  it('a share of 1 limits nobody', () => {
    const registry = registryOf(1_000, { device: 1, client: 1, hour: 1 });
    expect(fill(registry, (index) => ['oven', `m-${index}`], 'one')).toEqual([1_000, 'too-many-sensors']);
  });

  it('what was accepted before has its place, and counts for its device', () => {
    const registry = registryOf(1_000);
    for (let index = 0; index < 600; index += 1) registry.readmit('oven', `m-${index}`);
    expect(registry.admit('oven', 'new', { client: undefined, at: at(0) })).toBe('device-share');
    expect(registry.admit('press', 'new', { client: undefined, at: at(0) })).toBe(600);
  });
});
