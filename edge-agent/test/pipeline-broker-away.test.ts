import { createServer } from 'node:net';

import { BROKER_AWAY } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { Aedes } from 'aedes';
import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import { createStream, readStream, startAgent } from './support/agent.ts';

const resources = resourcesPerTest();

it('an agent whose external broker is away says so in its report and on its page, until the broker is there', async () => {
  const nats = await resources.nats();
  await createStream(nats.url);
  const port = await freePort();
  const agent = await startAgent(resources, nats.url, {
    broker: { kind: 'external', url: `mqtt://127.0.0.1:${port}` },
  });
  const reported = async (): Promise<number | undefined> => {
    const { records } = await readStream(nats.url);
    return records.telemetry.findLast((record) => record.kind === 'status')?.counters[BROKER_AWAY];
  };
  await waitFor('the report says that the broker is away', async () => (await reported()) === 1);
  const { troubles } = await agent.status();
  expect(troubles.map(({ what }) => what).join()).toMatch(/cannot be used.*; until it can, no sensor is called silent/);

  const broker = await Aedes.createBroker();
  const server = createServer((socket) => broker.handle(socket)).listen(port, '127.0.0.1');
  resources.defer(async () => {
    await new Promise<void>((resolve) => broker.close(() => resolve()));
    server.close();
  });
  await waitFor('the report says that it is back', async () => (await reported()) === 0);
});
