import { decodeFloorMessage, encodeFloorMessage } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { type FloorCut, floorMessages } from '../../src/floors/floor-messages.ts';
import { SafeFloors } from '../../src/floors/safe-floors.ts';
import type { SourceSnapshot } from '../../src/sequence/sequencer.ts';
import { BASE, GATEWAY } from '../support/floor.ts';

const [E1, E2] = ['1-0000000a', '2-0000000b'] as const;
const source = (more: Partial<SourceSnapshot>): SourceSnapshot => ({
  ...GATEWAY,
  lane: 'telemetry',
  current: E2,
  run: 2,
  takenFrom: E2,
  runs: [],
  waiting: false,
  epochs: [
    [E1, 40, 40, true, BASE, 0, 5],
    [E2, 7, 9, false, BASE, 0, 5],
  ],
  ...more,
});
const cut = (more: Partial<FloorCut> = {}): FloorCut => ({
  series: '0123456789abcdef',
  ordinal: 12,
  cursor: { created: '2026-03-02T08:00:00.123456789Z', position: 100, digest: 5 },
  sources: [source({})],
  ...more,
});

describe('floor messages', () => {
  it('tell every gateway of both lanes, in a form that gateways read', () => {
    const other = { gateway: 'gw-2', lane: 'anomaly' as const };
    const messages = [...floorMessages(cut({ sources: [source({}), source(other), source({ lane: 'anomaly' })] }))];
    const nothing = { epoch: null, floor: 0, highest: 0 };
    const lane = { epoch: E2, floor: 7, highest: 9, others: [{ epoch: E1, floor: 40 }] };
    const common = {
      schema: 1,
      site: GATEWAY.site,
      checkpoints: '0123456789abcdef',
      ordinal: 12,
      stream: { created: '2026-03-02T08:00:00.123456789Z', position: 100 },
    };
    expect(messages).toEqual([
      { ...common, gateway: 'gw-1', lanes: { anomaly: lane, telemetry: lane } },
      { ...common, gateway: 'gw-2', lanes: { anomaly: lane, telemetry: nothing } },
    ]);
    for (const message of messages)
      expect(decodeFloorMessage(encodeFloorMessage(message))).toEqual({ ok: true, message });
  });

  it.each<[string, Partial<SourceSnapshot>, object]>([
    ['of a hole', {}, { epoch: E2, floor: 7, highest: 9, others: [{ epoch: E1, floor: 40 }] }],
    [
      'of something that waits behind the current epoch',
      { waiting: true, epochs: [[E2, 7, 7, false, 0, 0, 5]] },
      { epoch: E2, floor: 7, highest: 8 },
    ],
    ['of both as one', { waiting: true }, { epoch: E2, floor: 7, highest: 9, others: [{ epoch: E1, floor: 40 }] }],
    [
      'of the three other epochs that were heard last',
      {
        epochs: [
          ['1-a', 1, 1, true, 10, 0, 5],
          ['2-b', 2, 2, true, 40, 0, 5],
          [E2, 7, 7, false, 50, 0, 5],
          ['3-c', 3, 3, true, 30, 0, 5],
          ['4-d', 4, 9, true, 20, 0, 5],
        ],
      },
      {
        epoch: E2,
        floor: 7,
        highest: 7,
        others: [
          { epoch: '2-b', floor: 2 },
          { epoch: '3-c', floor: 3 },
          { epoch: '4-d', floor: 4 },
        ],
      },
    ],
    [
      'of something that can not begin',
      { current: null, waiting: true, epochs: [] },
      { epoch: null, floor: 0, highest: 1 },
    ],
  ])('tell %s', (_what, more, floor) => {
    const [message] = floorMessages(cut({ sources: [source(more)] }));
    expect(message?.lanes.telemetry).toEqual(floor);
  });
});

describe('the floors that may be told', () => {
  const [one, two] = [cut({ ordinal: 1 }), cut({ ordinal: 2, cursor: { created: 'x', position: 200, digest: null } })];

  it('are those of the older of two safe checkpoints', () => {
    const floors = new SafeFloors();
    expect(floors).toMatchObject({ older: undefined, isBehind: false });
    floors.saved(one);
    expect(floors).toMatchObject({ older: undefined, isBehind: true });
    floors.saved(two);
    expect(floors).toMatchObject({ older: one, isBehind: true });
    floors.saved({ ...two, ordinal: 3 });
    expect(floors).toMatchObject({ older: two, isBehind: false });
  });

  it('are none after a start until the next checkpoint is safe, and then those of the one that was loaded', () => {
    const floors = new SafeFloors(one);
    expect(floors).toMatchObject({ older: undefined, isBehind: true });
    floors.saved({ ...one, ordinal: 2 });
    expect(floors).toMatchObject({ older: one, isBehind: false });
  });
});
