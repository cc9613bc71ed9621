import { encodeFloorMessage, FLOOR_VERSION, type FloorMessage, limits } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FloorListener } from '../../src/uplink/floor-listener.ts';
import { locateFloor } from '../../src/uplink/locate-floor.ts';
import { silentLogger } from '../support/devices.ts';
import { ModelLane } from './model-lane.ts';

const name = { site: 'Leipzig', gateway: 'hall 1' };
const nothing = { epoch: null, floor: 0, highest: 0 };
const message = (ordinal: number, checkpoints = '0'.repeat(16)): FloorMessage => ({
  schema: FLOOR_VERSION,
  ...name,
  checkpoints,
  ordinal,
  stream: { created: null, position: 0 },
  lanes: { anomaly: nothing, telemetry: nothing },
});

function listening(): { readonly listener: FloorListener; readonly heard: number[] } {
  const heard: number[] = [];
  const listener = new FloorListener(name, silentLogger, ({ ordinal }, isOutdated) => {
    heard.push(isOutdated ? -ordinal : ordinal);
  });
  return { listener, heard };
}

describe('floor messages', () => {
  it('older than one of the same series are no news; the same once more and a new series are taken', () => {
    const { listener, heard } = listening();
    for (const ordinal of [5, 6, 5, 6, 7]) listener.hear(encodeFloorMessage(message(ordinal)));
    listener.hear(encodeFloorMessage(message(1, 'f'.repeat(16))));
    expect(heard).toEqual([5, 6, -5, 6, 7, 1]);
    expect(listener.state()).toMatchObject({ heard: 5, outdated: 1, malformed: 0 });
  });

  it('older than one that nobody repeats are believed after a minute: that one was forged', () => {
    const { listener, heard } = listening();
    for (const ordinal of [5, 9e15, ...Array.from({ length: 13 }, (_, i) => 6 + i)]) {
      listener.hear(encodeFloorMessage(message(ordinal)));
    }
    expect(heard).toEqual([5, 9e15, ...Array.from({ length: 11 }, (_, i) => -(6 + i)), 17, 18]);
  });

  it('older than one that is repeated are never believed: a processor that was replaced still speaks', () => {
    const { listener, heard } = listening();
    for (let i = 0; i < 40; i++) listener.hear(encodeFloorMessage(message(i % 10 === 0 ? 9 : 5)));
    expect(heard.filter((ordinal) => ordinal > 0)).toEqual([9, 9, 9, 9]);
  });

  it('that are none, or for another gateway, are counted and shown, and do no harm', () => {
    const { listener, heard } = listening();
    listener.hear(encodeFloorMessage({ ...message(1), gateway: 'hall 2' }));
    expect(listener.state()).toMatchObject({ malformed: 1, lastMalformed: 'it is for Leipzig/hall 2' });
    listener.hear(new Uint8Array(limits.floorMessageBytesMax + 1));
    listener.hear(Buffer.from(JSON.stringify({ ...message(1), ordinal: -1 })));
    expect(listener.state().lastMalformed).toContain('ordinal');
    expect(listener.state()).toMatchObject({ malformed: 3, heard: 0 });
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => listener.hear(bytes)));
    expect(heard).toEqual([]);
  });
});

describe('a floor', () => {
  const lane = new ModelLane();
  lane.begin('1-0123456789abcdef');
  lane.append(9);
  lane.begin('2-0123456789abcdef');
  lane.append(4);

  it.each([
    ['1-0123456789abcdef', 0, 0],
    ['1-0123456789abcdef', 9, 9],
    ['1-0123456789abcdef', 10, 10],
    ['2-0123456789abcdef', 0, 10],
    ['2-0123456789abcdef', 5, 15],
  ])('of %s at %i is position %i', (epoch, floor, through) => {
    expect(locateFloor(lane, { epoch, floor, highest: floor })).toEqual({ through, isForeign: false, hole: false });
    expect(locateFloor(lane, { epoch, floor, highest: floor + 1 })).toEqual({ through, isForeign: false, hole: true });
  });

  it.each([
    ['1-0123456789abcdef', 11, 10, 10],
    ['1-0123456789abcdef', 500, 10, 10],
    ['2-0123456789abcdef', 6, 15, 5],
  ])(
    'of %s at %i, beyond its end, is that end and says nothing of what follows here',
    (epoch, floor, through, last) => {
      expect(locateFloor(lane, { epoch, floor, highest: floor + 9 })).toEqual({
        through,
        isForeign: false,
        hole: false,
        beyond: last,
      });
    },
  );

  it('of an epoch that was never written is foreign, and of none is none', () => {
    const other = { epoch: '9-0123456789abcdef', floor: 3, highest: 3 };
    expect(locateFloor(lane, other)).toEqual({ through: 'foreign', isForeign: true, hole: false });
    const none = { through: 'none', isForeign: false, hole: true };
    expect(locateFloor(lane, { epoch: null, floor: 0, highest: 1 })).toEqual(none);
  });

  it('of a copy of this gateway is foreign, and what is safe of its own records counts all the same', () => {
    const copy = { epoch: '9-0123456789abcdef', floor: 3, highest: 5 };
    const unknown = { epoch: '8-0123456789abcdef', floor: 7 };
    const [first, second] = [
      { epoch: '1-0123456789abcdef', floor: 10 },
      { epoch: '2-0123456789abcdef', floor: 2 },
    ];
    const through = (others: readonly { epoch: string; floor: number }[]) =>
      locateFloor(lane, { ...copy, others: [...others] });
    expect(through([unknown, first])).toEqual({ through: 10, isForeign: true, hole: false });
    expect(through([first, second])).toEqual({ through: 12, isForeign: true, hole: false });
    expect(through([unknown])).toEqual({ through: 'foreign', isForeign: true, hole: false });
  });
});
