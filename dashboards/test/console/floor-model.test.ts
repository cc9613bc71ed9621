import { epochMs, type SensorState, type SensorView } from '@floorwatch/contracts';
import { expect, test } from 'vitest';

import { FloorModel } from '../../console/src/floor-model.ts';

const none = { countMean: null, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null };

function sensor(id: string, state: SensorState = 'normal', last = 1): SensorView {
  const [site = '', gateway = '', device = '', metric = ''] = id.split('/');
  const ref = { site, gateway, device, metric };
  return { id, sensor: ref, unit: null, state, last, lastAt: epochMs(0), moving: none, openAnomalies: 0 };
}

function makeFloor(): FloorModel {
  const floor = new FloorModel();
  floor.apply([
    sensor('p/gw-2/mill/flow', 'unknown'),
    sensor('p/gw-1/press-10/temperature'),
    sensor('p/gw-1/press-2/vibration', 'critical'),
    sensor('p/gw-1/press-2/temperature', 'warning'),
  ]);
  return floor;
}

test('groups by gateway and device, in the order in which a person sorts names', () => {
  const groups = makeFloor().groups({ state: undefined, search: '' });
  expect(groups.map(({ key, sensors }) => [key, sensors])).toEqual([
    ['p/gw-1', 3],
    ['p/gw-2', 1],
  ]);
  expect(groups[0]?.devices.map(({ device }) => device)).toEqual(['press-2', 'press-10']);
  expect(groups[0]?.devices[0]?.sensors.map(({ sensor: { metric } }) => metric)).toEqual(['temperature', 'vibration']);
});

test('filters by state and by words in any order and case', () => {
  const found = (search: string, state?: SensorState): string[] =>
    makeFloor()
      .groups({ state, search })
      .flatMap(({ devices }) => devices.flatMap(({ sensors }) => sensors.map(({ id }) => id)));
  expect(found('TEMP press-2')).toEqual(['p/gw-1/press-2/temperature']);
  expect(found('', 'critical')).toEqual(['p/gw-1/press-2/vibration']);
  expect(found('temperature', 'critical')).toEqual([]);
});

test('counts states, and its revision tells when groups are out of date', () => {
  const floor = makeFloor();
  expect(floor.counts()).toEqual({ normal: 1, warning: 1, critical: 1, unknown: 1 });
  const { revision } = floor;
  floor.apply([sensor('p/gw-2/mill/flow', 'unknown', 99)]);
  expect(floor.revision).toBe(revision);
  expect(floor.get('p/gw-2/mill/flow')?.last).toBe(99);
  floor.apply([sensor('p/gw-2/mill/flow', 'normal')]);
  expect(floor.revision).toBe(revision + 1);
  floor.keepOnly(new Set(['p/gw-2/mill/flow']));
  expect(floor.size).toBe(1);
  expect(floor.revision).toBeGreaterThan(revision + 1);
});
