import fc from 'fast-check';
import { generate, parser } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';

import { PacketLimiter } from '../../src/ingest/packet-limiter.ts';

const LIMIT = 300;
type Seen = { readonly cmd: string; readonly topic?: string; readonly bytes?: number };

const publish = (topic: string, payloadBytes: number): Buffer =>
  generate({
    cmd: 'publish',
    topic,
    payload: Buffer.alloc(payloadBytes, 'x'),
    qos: 1,
    messageId: 7,
    dup: false,
    retain: false,
  });
const ping = generate({ cmd: 'pingreq' });

/** What a parser sees of `stream` behind the limiter, cut into chunks of the given sizes. */
function pass(stream: Buffer, sizes: readonly number[] = [stream.length]): Seen[] {
  const seen: Seen[] = [];
  const limiter = new PacketLimiter(LIMIT);
  const behind = parser();
  behind.on('packet', (packet) => {
    seen.push(
      packet.cmd === 'publish'
        ? { cmd: 'publish', topic: packet.topic, bytes: packet.payload.length }
        : { cmd: packet.cmd },
    );
  });
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? 1);
    behind.parse(limiter.filter(Buffer.from(stream.subarray(at, at + size))));
    at += size;
  }
  return seen;
}

/** Bytes of a PUBLISH besides its payload: length of the topic, topic, message id. */
const overhead = (topic: string): number => 2 + topic.length + 2;

describe('the limiter of packets', () => {
  it.each([
    ['just below the limit', LIMIT - overhead('t') - 1, LIMIT - overhead('t') - 1],
    ['at the limit', LIMIT - overhead('t'), LIMIT - overhead('t')],
    ['one byte over', LIMIT - overhead('t') + 1, LIMIT - overhead('t')],
    ['far over', 100_000, LIMIT - overhead('t')],
  ])('a PUBLISH %s', (_name, sent, seen) => {
    expect(pass(Buffer.concat([publish('t', sent), ping]))).toEqual([
      { cmd: 'publish', topic: 't', bytes: seen },
      { cmd: 'pingreq' },
    ]);
  });

  it('gives back the very chunk when nothing in it is too large', () => {
    const chunk = Buffer.concat([publish('a', 10), publish('b', 20), ping]);
    expect(new PacketLimiter(LIMIT).filter(chunk)).toBe(chunk);
  });

  it('keeps nothing of what it throws away', () => {
    const limiter = new PacketLimiter(LIMIT);
    const huge = publish('t', 10 * 1024 * 1024);
    let passed = 0;
    for (let at = 0; at < huge.length; at += 65_536) passed += limiter.filter(huge.subarray(at, at + 65_536)).length;
    expect(passed).toBe(LIMIT + 3);
  });

  it('refuses any other packet over the limit', () => {
    const connect = generate({
      cmd: 'connect',
      clientId: 'x'.repeat(LIMIT),
      keepalive: 0,
      clean: true,
      protocolId: 'MQTT',
      protocolVersion: 4,
    });
    expect(() => pass(connect)).toThrow(/packet of type 1 has \d+ bytes, the limit is 300/);
  });

  it('refuses a length that never ends', () => {
    expect(() => new PacketLimiter(LIMIT).filter(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]))).toThrow('malformed');
  });

  it('reads lengths of one, two and three bytes', () => {
    for (const bytes of [100, 123, 124, 16_379, 16_380]) {
      const seen = Math.min(bytes, LIMIT - overhead('t'));
      expect(pass(Buffer.concat([publish('t', bytes), ping]), [1_000])).toEqual([
        { cmd: 'publish', topic: 't', bytes: seen },
        { cmd: 'pingreq' },
      ]);
    }
  });

  it('does the same however the stream is cut', () => {
    const packet = fc.oneof(
      fc.record({ topic: fc.constantFrom('t', 'sensors/a/b'), bytes: fc.integer({ min: 0, max: 3 * LIMIT }) }),
      fc.constant('ping' as const),
    );
    fc.assert(
      fc.property(
        fc.array(packet, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
        (packets, sizes) => {
          const stream = Buffer.concat(packets.map((p) => (p === 'ping' ? ping : publish(p.topic, p.bytes))));
          const expected = packets.map((p) =>
            p === 'ping'
              ? { cmd: 'pingreq' }
              : { cmd: 'publish', topic: p.topic, bytes: Math.min(p.bytes, LIMIT - overhead(p.topic)) },
          );
          expect(pass(stream, sizes)).toEqual(expected);
          expect(pass(stream, [1])).toEqual(expected);
        },
      ),
    );
  });

  it('allows less to what is neither PUBLISH nor CONNECT, if it is told to', () => {
    const subscribe = (bytes: number): Buffer =>
      generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'x'.repeat(bytes - 5), qos: 0 }] });
    const connect = generate({ cmd: 'connect', clientId: 'x'.repeat(200), protocolVersion: 4 });
    const limited = (packet: Buffer): Buffer => new PacketLimiter(LIMIT, 100).filter(packet);
    for (const packet of [subscribe(99), subscribe(100), connect, publish('a', 200)])
      expect(limited(packet)).toBe(packet);
    expect(() => limited(subscribe(101))).toThrow('has 101 bytes, the limit is 100');
  });
});
