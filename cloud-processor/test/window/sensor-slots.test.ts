import { describe, expect, it } from 'vitest';

import { SensorSlots } from '../../src/window/sensor-slots.ts';
import { GATEWAY } from '../support/floor.ts';

const [A, B, C] = ['a', 'b', 'c'].map((device) => Object.freeze({ device, metric: 'm', unit: 'bar' }));

describe('slots that were given up at the cap', () => {
  it.each(['one sensor', 'a whole list'])('are found no more by the same objects (%s)', (how) => {
    const slots = new SensorSlots(GATEWAY, 2);
    const list = Object.freeze([A!, B!]);
    const slotOf = (): readonly number[] =>
      how === 'one sensor' ? list.map((one) => slots.slotOf(one)) : slots.slotsOf(list);
    expect(slotOf()).toEqual([0, 1]);
    // Twice, so that the objects are remembered too.
    expect(slotOf()).toEqual([0, 1]);
    expect(slots.slotOf(C!)).toBe(-1);
    // Only the second one has an open window.
    expect([...slots.keep(new Set([1]))]).toEqual([-1, 0]);
    expect(slots.slotOf(C!)).toBe(1);
    expect(slotOf()).toEqual([-1, 0]);
    expect([slots.ref(0).device, slots.ref(1).device]).toEqual(['b', 'c']);
  });
});
