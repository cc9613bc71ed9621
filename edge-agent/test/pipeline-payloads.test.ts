import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import { addsUp, closeRollups, createStream, hourAgo, readingsBySensor, startAgent } from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

const resources = resourcesPerTest();

it('messages with several readings are answered when all that are taken are safe, and each reading counts once', async () => {
  const nats = await resources.nats();
  await createStream(nats.url);
  const agent = await startAgent(resources, nats.url, {
    topics: [
      { topic: 'sensors/{device}/{metric}', codec: 'auto' },
      { topic: 'state/{device}', codec: 'metrics', ignore: ['id'] },
      { topic: 'wave/{device}/{metric}', codec: 'series' },
    ],
  });
  const start = hourAgo();
  const list = Array.from({ length: 200 }, (_, i) => ({ value: i, ts: start + 100 * i }));
  const wave = { t0: start, dtMs: 100, values: [...list.map(({ value }) => value), null], unit: 'mm/s' };
  // Each of them twice, as a device does that has not heard the answer, and that comes back under another name.
  for (const clientId of ['press-1', 'press-2']) {
    const device = await connectDevice(resources, agent.mqttPort, { clientId });
    const publish = async (topic: string, payload: unknown): Promise<void> =>
      void (await device.publishAsync(topic, JSON.stringify(payload), { qos: 1 }));
    await publish('sensors/press/listed', [...list, { value: 'x', ts: start }]);
    await publish('wave/press/vibration', wave);
    await publish('state/press', {
      ts: start,
      temperature: 21.5,
      pressure: { value: 3.1, unit: 'bar' },
      id: 'p',
      door: 'open',
    });
  }
  await waitFor('all are read', async () => (await agent.status()).readings.received === 2 * (201 + 200 + 3));
  const status = await agent.status();
  expect(status.readings).toMatchObject({ accepted: 402, duplicates: 402, rejected: 4 });
  expect(addsUp(status)).toBe(true);

  const received = await closeRollups(resources, agent, nats.url, 402);
  const sums = readingsBySensor(received);
  const total = list.reduce((sum, { value }) => sum + value, 0);
  for (const [sensor, n, sum] of [
    ['press/listed', 200, total],
    ['press/vibration', 200, total],
    ['press/temperature', 1, 21.5],
    ['press/pressure', 1, 3.1],
  ] as const) {
    expect(sums.get(sensor)?.n, sensor).toBe(n);
    expect(sums.get(sensor)?.sum, sensor).toBeCloseTo(sum, 9);
  }
});

it.each([
  [256, { accepted: 256, rejected: 0 }],
  [257, { accepted: 0, rejected: 1 }],
])('a message never holds more than a small journal can make safe at once: %d readings', async (count, expected) => {
  const dataDir = await resources.directory();
  const storage = { dataDir, journalBytesMax: 2 ** 20 };
  const agent = await startAgent(resources, 'nats://127.0.0.1:9', { storage });
  const device = await connectDevice(resources, agent.mqttPort);
  const list = Array.from({ length: count }, (_, i) => ({ value: i, ts: hourAgo(i) }));
  await device.publishAsync('sensors/press/listed', JSON.stringify(list), { qos: 1 });
  expect((await agent.status()).readings).toMatchObject(expected);
});
