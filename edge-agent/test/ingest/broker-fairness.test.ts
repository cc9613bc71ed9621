import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { EmbeddedBroker } from '../../src/ingest/embedded-broker.ts';
import { limits } from '../../src/limits.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { RawDevice } from '../support/raw-device.ts';
import { Reader } from './source-contract.ts';

describe('fairness of the embedded broker', () => {
  const resources = resourcesPerTest();

  it.each([0, 1] as const)('a device is not kept waiting by another that floods at QoS %d', async (qos) => {
    const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, inFlightMax: 100_000 }, silentLogger);
    await broker.connect();
    resources.defer(async () => broker.close());
    const flooder = await RawDevice.connect(resources, broker.port, { clientId: 'flooder' });
    const flood = Array.from({ length: 3 * limits.laneMessagesMax }, (_, i) => ({
      ...({ cmd: 'publish', topic: `sensors/flood/${i % 50}`, payload: '1', dup: false, retain: false } as const),
      ...(qos === 0 ? { qos } : { qos, messageId: i + 1 }),
    }));
    flooder.send(...flood);
    await waitFor('the flooder is read no further', () => broker.state().held);
    const held = broker.state().pending;
    expect(held).toBeLessThan(2 * limits.laneMessagesMax);

    const device = await connectDevice(resources, broker.port);
    const published = device.publishAsync('sensors/good/1', '2', { qos: 1 });
    await waitFor('it is read', () => broker.state().pending > held);
    const reader = new Reader(broker);
    const delivery = await reader.next();
    expect(delivery.items.map(({ topic }) => topic)).toContain('sensors/good/1');
    await delivery.ack();
    await published;
    await reader.take(flood.length + 1 - delivery.items.length);
    expect(broker.state()).toMatchObject({ held: false, pending: 0 });
  });
});
