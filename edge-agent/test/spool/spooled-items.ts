import { epochMs, type Predecessor, rollupsRecord } from '@floorwatch/contracts';

import { encodeSpooled } from '../../src/spooled-record.ts';

/** A start record. */
export const startItem = (epoch: string, predecessor: Predecessor, position = 0): Uint8Array =>
  encodeSpooled({
    record: { kind: 'start', number: 1, predecessor, at: epochMs(0), clock: 'synchronised' },
    sensors: [],
    position,
    at: epochMs(0),
  });

const NO_MOVING = { countMean: null, countSd: null, timeMean: null, timeSd: null, ewMean: null, ewSd: null };

/** A record of one rollup of `readings` readings in the bucket at `start`, with a name that makes it about `size` bytes. */
export const rollupItem = (number: number, readings: number, start: number, size = 0): Uint8Array => {
  const aggregate = {
    n: readings,
    reference: 0,
    mean: 1,
    m2: 0,
    min: 1,
    max: 1,
    last: 1,
    lastAt: start,
    anomalous: 0,
    uncertain: 0,
  };
  return encodeSpooled({
    record: rollupsRecord(number, [{ sensor: 0, start, aggregate, moving: NO_MOVING }]),
    sensors: [{ device: 'd'.repeat(Math.max(1, size)), metric: 'm' }],
    position: number,
    at: epochMs(start),
  });
};
