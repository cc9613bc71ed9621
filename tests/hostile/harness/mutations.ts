import mqtt, { type Packet } from 'mqtt-packet';

import type { Random } from '../../chaos/harness/random.ts';

const PUBLISH = { cmd: 'publish', dup: false, retain: false } as const;

/** Packets that a client may send, one of each kind. What they publish is mostly to topics that are no reading's. */
const PACKETS: readonly Buffer[] = (
  [
    { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'mutant', keepalive: 10 },
    {
      ...({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: false, clientId: 'mutant-2' } as const),
      username: 'user',
      password: Buffer.from('password'),
      will: { topic: 'mutants/will', payload: Buffer.from('gone'), qos: 1, retain: true },
    },
    { ...PUBLISH, topic: 'mutants/a', qos: 0, payload: '1' },
    { ...PUBLISH, topic: 'mutants/b', qos: 1, messageId: 1, payload: '{"value": 1, "ts": 1900000000000}' },
    { ...PUBLISH, topic: 'mutants/c/d', qos: 2, messageId: 2, payload: '[{"value": 1}, {"value": 2}]', retain: true },
    { ...PUBLISH, topic: 'sensors/mutant/a', qos: 1, messageId: 3, payload: '21.5' },
    { ...PUBLISH, topic: '$SYS/mutants', qos: 2, messageId: 4, payload: 'x' },
    { cmd: 'puback', messageId: 1 },
    { cmd: 'pubrec', messageId: 2 },
    { cmd: 'pubrel', messageId: 2 },
    { cmd: 'pubcomp', messageId: 2 },
    {
      cmd: 'subscribe',
      messageId: 5,
      subscriptions: [
        { topic: 'mutants/#', qos: 2 },
        { topic: '+/x', qos: 0 },
      ],
    },
    { cmd: 'unsubscribe', messageId: 6, unsubscriptions: ['mutants/#', '#'] },
    { cmd: 'pingreq' },
    { cmd: 'disconnect' },
    // What only a broker sends.
    { cmd: 'connack', returnCode: 0, sessionPresent: false },
    { cmd: 'suback', messageId: 5, granted: [0, 128] },
    { cmd: 'unsuback', messageId: 6 },
    { cmd: 'pingresp' },
  ] as Packet[]
).map((packet) => mqtt.generate(packet));

const LENGTHS_MAX = [0, 1, 127, 128, 255, 16_383, 65_535];

/** A packet with one to three mistakes. The same draws give the same packet. */
export function mutated(random: Random): Buffer {
  let packet: Buffer = Buffer.from(pick(random, PACKETS));
  for (let left = index(random, 3); left >= 0; left--) packet = mutate(random, packet);
  return packet;
}

function mutate(random: Random, packet: Buffer): Buffer {
  const at = index(random, packet.length);
  const copy = Buffer.from(packet);
  switch (index(random, 8)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << index(random, 8));
      return copy;
    case 1:
      copy[at] = index(random, 256);
      return copy;
    case 2:
      return copy.subarray(0, at);
    case 3:
      return Buffer.concat([copy.subarray(0, at), bytes(random, 1 + index(random, 20)), copy.subarray(at)]);
    case 4:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(Math.min(copy.length, at + 1 + index(random, 4)))]);
    case 5: {
      // A length of 16 bits somewhere, as strings have it.
      if (at + 2 <= copy.length) copy.writeUInt16BE(pick(random, LENGTHS_MAX), at);
      return copy;
    }
    case 6: {
      // The length of the packet itself.
      if (copy.length > 1) copy[1] = index(random, 256);
      return copy;
    }
    default:
      return Buffer.concat([copy, pick(random, PACKETS)]);
  }
}

const index = (random: Random, end: number): number => Math.floor(random.between(0, end));
const pick = <T>(random: Random, all: readonly T[]): T => all[index(random, all.length)]!;
const bytes = (random: Random, count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, () => index(random, 256)));
