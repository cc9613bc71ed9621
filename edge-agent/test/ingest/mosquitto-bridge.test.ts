import { describe, expect, it } from 'vitest';

import { resourcesPerTest, skippedIf, waitFor } from '../../../tests/support/index.ts';
import { EmbeddedBroker } from '../../src/ingest/embedded-broker.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { Mosquitto, mosquittoProgram } from '../support/mosquitto.ts';
import { Reader, textOf } from './source-contract.ts';

const none = mosquittoProgram === undefined;

describe.skipIf(none)(`a bridge of mosquitto with default settings${skippedIf(none, 'no mosquitto was found')}`, () => {
  const resources = resourcesPerTest();

  it('delivers at every QoS, and stays connected', async () => {
    const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, inFlightMax: 1_000 }, silentLogger);
    await broker.connect();
    resources.defer(async () => broker.close());
    const levels = [0, 1, 2] as const;
    const mosquitto = await Mosquitto.start(resources, 20, [
      'connection gateway',
      `address 127.0.0.1:${broker.port}`,
      'set_tcp_nodelay true',
      ...levels.map((qos) => `topic sensors/press-${qos}/# out ${qos}`),
      'topic commands/# in 1',
    ]);
    await waitFor('the bridge has said that it is there', () => broker.state().door?.['reserved-topic'].count === 1);
    const device = await connectDevice(resources, mosquitto.port);
    const heard: string[] = [];
    device.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
    await device.subscribeAsync('commands/#');
    for (const qos of levels)
      for (let i = 0; i < 20; i++) device.publish(`sensors/press-${qos}/force`, `${i}`, { qos });
    const taken = await new Reader(broker).take(60);
    for (const qos of levels) {
      const ofLevel = taken.filter(({ topic }) => topic === `sensors/press-${qos}/force`);
      expect(ofLevel.map(textOf)).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    }

    const operator = await connectDevice(resources, broker.port);
    await operator.publishAsync('commands/press', 'stop', { qos: 0 });
    await waitFor('the command has come through the bridge', () => heard.length > 0);
    expect(heard).toEqual(['commands/press stop']);
    // It would have said so again if it had been cut off.
    expect(broker.state().door?.['reserved-topic'].count).toBe(1);
  });
});
