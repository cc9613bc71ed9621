import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

import { freePort } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { loopTime, resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import {
  addsUp,
  closeRollups,
  createStream,
  hourAgo,
  readingsBySensor,
  readStream,
  type RunningAgent,
  startAgent,
  tellFloors,
} from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

const MIB = 1024 * 1024;
const resources = resourcesPerTest();

describe('without NATS', () => {
  it('at the start the agent takes readings and says so, and delivers all of them later', async () => {
    const port = await freePort();
    const agent = await startAgent(resources, `nats://127.0.0.1:${port}`);
    const device = await connectDevice(resources, agent.mqttPort);
    for (let i = 0; i < 100; i++) {
      await device.publishAsync('sensors/press/temp', JSON.stringify({ value: i, ts: hourAgo(i) }), { qos: 1 });
    }
    const health = await (await agent.get('/healthz')).json();
    expect(health).toMatchObject({ status: 'degraded', troubles: [expect.stringMatching(/^NATS cannot be reached/)] });

    const nats = await resources.nats({ port });
    await waitFor('the agent is connected', async () => (await agent.status()).nats.connected);
    await waitFor('the agent says what is missing', async () => {
      const { troubles } = await agent.status();
      if (troubles.some(({ what }) => what.includes('no stream takes the data'))) return true;
      throw new Error(JSON.stringify(troubles));
    });
    await createStream(nats.url);
    await waitFor('all is well', async () => (await agent.status()).troubles.length === 0);
    const received = await closeRollups(resources, agent, nats.url, 100);
    expect(readingsBySensor(received).get('press/temp')).toEqual({ n: 100, sum: 4_950 });
  });

  it('killed and started again in the middle, nothing is lost and nothing counts twice', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const agent = await startAgent(resources, nats.url, {
      engine: { limits: { rules: [{ metric: 'hot', high: 0 }] } },
    });
    const device = await connectDevice(resources, agent.mqttPort);
    const start = Date.now() - 86_400_000;
    let sent = 0;
    // One reading in 15 s of event time: each closes a rollup, so that records are made all the time.
    const publish = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++, sent++) {
        const payload = JSON.stringify({ value: sent, ts: start + sent * 15_000 });
        await device.publishAsync('sensors/press/temp', payload, { qos: 1 });
        await device.publishAsync(`sensors/oven ${sent}/hot`, payload.replace(`"value":${sent}`, '"value":1'), {
          qos: 1,
        });
      }
    };
    await publish(100);
    for (let round = 0; round < 3; round++) {
      const publishing = publish(200);
      await wait(30);
      await nats.kill9();
      await publishing;
      await waitFor('the agent notices', async () => !(await agent.status()).nats.connected);
      await publish(100);
      await nats.start();
      await waitFor('the agent is back', async () => (await agent.status()).nats.connected);
    }
    await publish(100);
    await waitFor('all is sent', async () => {
      const { lanes } = await agent.status();
      return lanes.anomaly.recordsWaiting === 0 && lanes.telemetry.recordsWaiting === 0;
    });
    expect(addsUp(await agent.status())).toBe(true);
    const received = await closeRollups(resources, agent, nats.url, 2 * sent);
    const sums = readingsBySensor(received);
    sums.delete('closing/time');
    expect(sums.get('press/temp')).toEqual({ n: sent, sum: (sent * (sent - 1)) / 2 });
    expect([...sums.values()].reduce((sum, { n }) => sum + n, 0)).toBe(2 * sent);
    const opened = received.records.anomaly.flatMap((record) =>
      record.kind === 'anomaly' && record.phase === 'opened' && record.metric === 'hot' ? [record.device] : [],
    );
    expect(opened).toEqual(Array.from({ length: sent }, (_, i) => `oven ${i}`));
  }, 180_000);

  /** An agent whose anomaly lane is soon full, because every reading opens an episode of about 700 bytes. */
  async function startSmallAgent(natsUrl: string): Promise<RunningAgent> {
    return startAgent(resources, natsUrl, {
      storage: {
        dataDir: await resources.directory(),
        durability: 'process',
        anomaly: { bytesMax: MIB, whenFull: 'refuse' },
        trimGraceMs: 0,
      },
      engine: { limits: { rules: [{ high: 0 }] } },
    });
  }

  const isRefusing = async (agent: RunningAgent): Promise<boolean> =>
    (await agent.status()).refusing?.log === 'anomaly';

  it('a full lane holds devices back, loses nothing, and takes everything when the cloud has taken it', async () => {
    const port = await freePort();
    const agent = await startSmallAgent(`nats://127.0.0.1:${port}`);
    const device = await connectDevice(resources, agent.mqttPort);
    let answered = 0;
    const publish = async (i: number): Promise<void> => {
      await device.publishAsync(`sensors/d${i}/m`, '1', { qos: 1 });
      answered += 1;
    };
    const published = Array.from({ length: 2_000 }, async (_, i) => publish(i));
    await waitFor('the lane is full', async () => isRefusing(agent));
    published.push(...Array.from({ length: 500 }, async (_, i) => publish(2_000 + i)));
    await wait(300);
    const held = await agent.status();
    expect(held.troubles).toContainEqual(expect.objectContaining({ code: 'refusing' }));
    expect(answered).toBeLessThanOrEqual(2_000);
    expect(held.readings.received).toBe(answered);
    expect(held.lanes.anomaly.bytes).toBeLessThanOrEqual(held.lanes.anomaly.bytesMax);

    const nats = await resources.nats({ port });
    await createStream(nats.url);
    const floors = setInterval(() => void tellFloors(nats.url).catch(() => undefined), 500);
    resources.defer(() => clearInterval(floors));
    await Promise.all(published);
    await waitFor('all is sent', async () => {
      const { lanes } = await agent.status();
      // Besides the episodes, the record of the start.
      return (lanes.anomaly.recordsSpooled ?? 0) > 2_500 && lanes.anomaly.recordsWaiting === 0;
    });
    clearInterval(floors);
    const { readings, refusing } = await agent.status();
    expect(refusing).toBeNull();
    expect(readings).toMatchObject({ received: 2_500, accepted: 2_500, duplicates: 0 });
    const { anomaly } = (await readStream(nats.url)).records;
    expect(anomaly.filter((record) => record.kind === 'anomaly' && record.phase === 'opened')).toHaveLength(2_500);
  }, 90_000);

  it('a stop with a full lane is quick, and the next start loses nothing', async () => {
    const agent = await startSmallAgent('nats://127.0.0.1:9');
    const device = await connectDevice(resources, agent.mqttPort, { reconnectPeriod: 0 });
    let answered = 0;
    const publish = (i: number): void => {
      device.publish(`sensors/d${i}/m`, '1', { qos: 1 }, (error) => (answered += error ? 0 : 1));
    };
    for (let i = 0; i < 2_000; i++) publish(i);
    await waitFor('the lane is full', async () => isRefusing(agent));
    for (let i = 0; i < 500; i++) publish(2_000 + i);
    await wait(300);
    const took = loopTime();
    expect((await agent.pipeline.stop()).messages).toBeGreaterThan(0);
    expect(took()).toBeLessThan(6_000);

    const nats = await resources.nats();
    await createStream(nats.url);
    const { dataDir } = agent.config.storage;
    const again = await startAgent(resources, nats.url, {
      storage: { dataDir, durability: 'process' },
      engine: { limits: { rules: [{ high: 0 }] } },
    });
    await waitFor('all is sent', async () => (await again.status()).lanes.anomaly.recordsWaiting === 0);
    const { anomaly } = (await readStream(nats.url)).records;
    const opened = anomaly.flatMap((record) =>
      record.kind === 'anomaly' && record.phase === 'opened' ? [record.device] : [],
    );
    expect(new Set(opened).size).toBe(opened.length);
    expect(opened.length).toBeGreaterThanOrEqual(answered);
  }, 60_000);

  it('the stop says what is left behind', async () => {
    const agent = await startAgent(resources, 'nats://127.0.0.1:9');
    const device = await connectDevice(resources, agent.mqttPort);
    await device.publishAsync('sensors/press/temp', '1', { qos: 1 });
    const took = loopTime();
    const { records, messages } = await agent.pipeline.stop();
    // A start in each lane, and a report of the gateway.
    expect(records).toBeGreaterThanOrEqual(3);
    expect(messages).toBe(0);
    expect(took()).toBeLessThan(5_000);
  });
});

describe('a NATS server that does not answer', () => {
  it('from the start does not hold up the stop', async () => {
    const silent = createServer((socket) => resources.defer(() => socket.destroy()));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    resources.defer(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const agent = await startAgent(resources, `nats://127.0.0.1:${port}`);
    const took = loopTime();
    expect((await agent.pipeline.stop()).records).toBeGreaterThan(0);
    expect(took()).toBeLessThan(5_000);
  });

  it('any more does not hold up the stop', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const agent = await startAgent(resources, nats.url);
    await waitFor('all is sent', async () => (await agent.status()).lanes.telemetry.recordsWaiting === 0);
    const { pid = 0 } = nats.process;
    process.kill(pid, 'SIGSTOP');
    resources.defer(() => process.kill(pid, 'SIGCONT'));
    const device = await connectDevice(resources, agent.mqttPort);
    await device.publishAsync('sensors/press/temp', '1', { qos: 1 });
    await waitFor('something waits', async () => (await agent.status()).lanes.telemetry.recordsWaiting > 0);
    const took = loopTime();
    expect((await agent.pipeline.stop()).records).toBeGreaterThan(0);
    expect(took()).toBeLessThan(5_000);
  });
});

describe('a NATS user without the right to publish', () => {
  const admin = { user: 'admin', pass: 'secret' };
  const configuration = (rights: string): string => `
    authorization { users: [
      { user: agent, password: unused, permissions: { ${rights} } }
      { user: admin, password: secret }
    ] }
    no_auth_user: agent`;

  it('is named in the status, with what to grant; nothing is lost when it has the right', async () => {
    const at = { port: await freePort(), directory: await resources.directory() };
    const denied = await resources.nats({ ...at, configuration: configuration('publish: { deny: "ingest.>" }') });
    await createStream(denied.url, admin);
    const agent = await startAgent(resources, denied.url);
    const device = await connectDevice(resources, agent.mqttPort);
    await device.publishAsync('sensors/press/temp', JSON.stringify({ value: 1, ts: hourAgo() }), { qos: 1 });
    const [trouble] = await waitFor('the agent tells of it', async () => {
      const { troubles } = await agent.status();
      return troubles.some(({ what }) => what.includes('NATS refuses')) && troubles;
    });
    expect(trouble?.what).toMatch(/give this user the right to publish to ingest\.v1\.\d+\.Leipzig\.hall%201\.\w+/);
    await denied.stop();

    await resources.nats({ ...at, configuration: configuration('publish: { allow: ">" }') });
    await waitFor('all is well', async () => (await agent.status()).troubles.length === 0);
    const received = await closeRollups(resources, agent, denied.url, 1, admin);
    expect(readingsBySensor(received).get('press/temp')).toEqual({ n: 1, sum: 1 });
  });
});
