import { expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { startAgent } from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

const resources = resourcesPerTest();

it('a client that invents names has its share, a new machine is taken, and the page says who it was', async () => {
  const agent = await startAgent(resources, 'nats://127.0.0.1:9', { sensorsMax: 400 });
  const evil = await connectDevice(resources, agent.mqttPort, { clientId: 'evil\n1' });
  const machine = await connectDevice(resources, agent.mqttPort, { clientId: 'press' });
  await Promise.all(
    Array.from({ length: 400 }, async (_, index) => evil.publishAsync(`sensors/ghost-${index}/x`, '1', { qos: 1 })),
  );
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => machine.publishAsync(`sensors/press/${index}`, '1', { qos: 1 })),
  );
  const { sensors, readings, troubles } = await agent.status();
  expect(sensors).toBe(350);
  expect(readings).toMatchObject({ received: 450, accepted: 350, rejectedByReason: { 'client-share': 100 } });
  expect(troubles).toContainEqual(
    expect.objectContaining({ code: 'client-share', what: expect.stringContaining('client "evil\\n1" has its share') }),
  );
});
