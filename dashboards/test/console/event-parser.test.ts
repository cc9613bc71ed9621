import fc from 'fast-check';
import { expect, test } from 'vitest';

import { EventParser } from '../../console/src/event-parser.ts';

const STREAM =
  'id: b-1\nretry: 2000\n\n: a comment\n\nid: b-2\nevent: sensors\ndata: [{"id":"é"}]\n\nevent: heartbeat\ndata: {"at":1}\n\ndata: a\ndata:b\n\n';
const EVENTS = [
  { name: 'sensors', data: '[{"id":"é"}]' },
  { name: 'heartbeat', data: '{"at":1}' },
  { name: 'message', data: 'a\nb' },
];

test('finds the same events however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length)), (cuts) => {
      const parser = new EventParser();
      const at = [0, ...cuts.sort((a, b) => a - b), STREAM.length];
      const events = at.slice(1).flatMap((end, i) => parser.push(STREAM.slice(at[i], end)));
      expect(events).toEqual(EVENTS);
      expect(parser.lastEventId).toBe('b-2');
    }),
  );
});

test('does not gather for ever what is no event', () => {
  const parser = new EventParser();
  expect(() => {
    for (let i = 0; i < 5; i++) parser.push('x'.repeat(1_000_000));
  }).toThrow('longer than any');
});
