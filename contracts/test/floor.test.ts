import { describe, expect, it } from 'vitest';

import {
  decodeFloorMessage,
  encodeFloorMessage,
  type FloorMessage,
  floorSubject,
  limits,
  parseIngestSubject,
} from '../src/index.ts';

const message: FloorMessage = {
  schema: 1,
  site: 'Leipzig',
  gateway: 'hall 1',
  checkpoints: '0123456789abcdef',
  ordinal: 7,
  stream: { created: '2026-01-31T12:00:00.123456789Z', position: 4_711 },
  lanes: {
    anomaly: { epoch: '3-0123abcd', floor: 12, highest: 14 },
    telemetry: { epoch: null, floor: 0, highest: 0 },
  },
};

const whyNot = (value: unknown): string => {
  const decoded = decodeFloorMessage(new TextEncoder().encode(JSON.stringify(value)));
  return decoded.ok ? 'it is one' : decoded.why;
};

describe('a floor message', () => {
  it('comes back from its bytes as it was', () => {
    expect(decodeFloorMessage(encodeFloorMessage(message))).toEqual({ ok: true, message });
  });

  it('says what is wrong with one that is none', () => {
    expect(whyNot({ ...message, ordinal: 0 })).toMatch(/^ordinal: /);
    expect(whyNot({ ...message, lanes: { anomaly: message.lanes.anomaly } })).toMatch(/^lanes\.telemetry: /);
    expect(whyNot({ ...message, checkpoints: 'x'.repeat(limits.floorMessageBytesMax) })).toMatch(/bytes$/);
    expect(decodeFloorMessage(Buffer.from('{'))).toMatchObject({ ok: false });
    expect(decodeFloorMessage(Buffer.from([0xff]))).toMatchObject({ ok: false });
  });

  it('travels on a subject of its gateway that no batch travels on', () => {
    expect(floorSubject(message)).toBe('floor.v1.Leipzig.hall%201');
    expect(parseIngestSubject(floorSubject(message))).toBeUndefined();
  });
});
