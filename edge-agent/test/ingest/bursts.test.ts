import type { IPublishPacket } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';

import { type Resources, resourcesPerTest } from '../../../tests/support/index.ts';
import { EmbeddedBroker } from '../../src/ingest/embedded-broker.ts';
import { limits } from '../../src/limits.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { RawDevice } from '../support/raw-device.ts';
import { Reader, textOf } from './source-contract.ts';

async function open(resources: Resources): Promise<EmbeddedBroker> {
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, inFlightMax: 1_000 }, silentLogger);
  await broker.connect();
  resources.defer(async () => broker.close());
  return broker;
}

/** Bytes of a packet of a burst, about. */
const PACKET = 22;
const SIZES = [limits.readBytesMax - PACKET, limits.readBytesMax + PACKET, 4 * limits.readBytesMax];

const burst = (first: number, count: number, qos: 0 | 1 | 2): IPublishPacket[] =>
  Array.from({ length: count }, (_, i) => ({
    ...({ cmd: 'publish', topic: `sensors/a/${i % 10}`, qos, dup: false, retain: false } as const),
    ...(qos === 0 ? {} : { messageId: first + i }),
    payload: `${first + i}`,
  }));

describe('a burst of messages in one write', () => {
  const resources = resourcesPerTest();
  const cases = (['nobody', 'a client that has left', 'a client that is there'] as const).flatMap((subscriber) =>
    ([0, 1, 2] as const).map((qos) => ({ subscriber, qos })),
  );

  it.each(cases)('is taken once and in order, at QoS $qos, subscribed: $subscriber', async ({ subscriber, qos }) => {
    const broker = await open(resources);
    if (subscriber !== 'nobody') {
      const client = await connectDevice(resources, broker.port);
      await client.subscribeAsync(['$SYS/#', 'sensors/#']);
      if (subscriber === 'a client that has left') await client.endAsync();
    }
    const reader = new Reader(broker);
    const device = await RawDevice.connect(resources, broker.port, { clean: true });
    const answer = qos === 1 ? 'puback' : 'pubrec';
    const sent: string[] = [];
    for (const bytes of SIZES) {
      const packets = burst(sent.length + 1, Math.round(bytes / PACKET), qos);
      sent.push(...packets.map(({ payload }) => String(payload)));
      device.send(...packets);
      expect((await reader.take(packets.length)).map(textOf)).toEqual(sent.slice(-packets.length));
      if (qos > 0) await device.hears(answer, sent.length);
    }
    expect(
      device
        .answered(answer)
        .toSorted((a, b) => a - b)
        .map(String),
    ).toEqual(qos === 0 ? [] : sent);
    device.send({ cmd: 'publish', topic: 'sensors/a/b', qos: 0, dup: false, retain: false, payload: 'behind' });
    expect((await reader.take(1)).map(textOf)).toEqual(['behind']);
    expect(device.closed).toBe(false);
  });
});
