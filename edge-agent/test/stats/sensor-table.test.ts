import { sensorKey, textHash } from '@floorwatch/contracts';
import fc from 'fast-check';
import { expect, it } from 'vitest';

import { SensorTable } from '../../src/stats/sensor-table.ts';

const sensors = ['press', 'pump', 'fan'].flatMap((device) => ['t', 'p'].map((metric) => ({ device, metric })));

it('a sensor keeps the slot of its first reading in whatever order readings come', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...sensors), { maxLength: 60 }), (readings) => {
      const table = new SensorTable();
      const slots = new Map<string, number>();
      for (const reading of readings) {
        const expected = slots.get(sensorKey(reading)) ?? slots.size;
        slots.set(sensorKey(reading), expected);
        expect(table.slotOf({ ...reading })).toBe(expected);
        expect(table.nameHash(expected)).toEqual(textHash(sensorKey(reading)));
      }
      expect(table.size).toBe(slots.size);
    }),
  );
});

it('a sensor has the unit that it named last, whether its reading was awaited next or not', () => {
  const table = new SensorTable();
  const [first, second] = sensors as [(typeof sensors)[0], (typeof sensors)[0]];
  for (const unit of ['K', '°C', undefined]) {
    for (const sensor of [first, second]) table.slotOf(unit === undefined ? sensor : { ...sensor, unit });
  }
  expect([0, 1].map((slot) => table.sensor(slot).unit)).toEqual(['°C', '°C']);
  table.slotOf({ ...second, unit: 'F' });
  expect([0, 1].map((slot) => table.sensor(slot).unit)).toEqual(['°C', 'F']);
});
