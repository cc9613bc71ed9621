import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

import { freePort } from '@floorwatch/servers';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import { addsUp, createStream, readingsBySensor, readStream, startAgent } from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

const MIB = 1024 * 1024;
const resources = resourcesPerTest();

describe('without NATS', () => {
  it('at the start the agent takes readings and says so, and delivers all of them later', async () => {
    const port = await freePort();
    const agent = await startAgent(resources, `nats://127.0.0.1:${port}`);
    const device = await connectDevice(resources, agent.mqttPort);
    for (let i = 0; i < 100; i++) await device.publishAsync('sensors/press/temp', `${i}`, { qos: 1 });
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
    expect(await agent.pipeline.stop()).toEqual({ records: 0, messages: 0 });
    expect(readingsBySensor(await readStream(nats.url)).get('press/temp')).toEqual({ n: 100, sum: 4_950 });
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
    expect(await agent.pipeline.stop()).toEqual({ records: 0, messages: 0 });
    const received = await readStream(nats.url);
    const sums = readingsBySensor(received);
    expect(sums.get('press/temp')).toEqual({ n: sent, sum: (sent * (sent - 1)) / 2 });
    expect([...sums.values()].reduce((sum, { n }) => sum + n, 0)).toBe(2 * sent);
    const opened = received.records.anomaly.flatMap((record) =>
      record.kind === 'anomaly' && record.phase === 'opened' ? [record.device] : [],
    );
    expect(opened).toEqual(Array.from({ length: sent }, (_, i) => `oven ${i}`));
  }, 60_000);

  it('a full spool holds devices back, and takes everything when there is room', async () => {
    const port = await freePort();
    const agent = await startAgent(resources, `nats://127.0.0.1:${port}`, {
      spool: { anomalyBytesMax: MIB, telemetryBytesMax: 64 * MIB },
      engine: { limits: { rules: [{ high: 0 }] } },
    });
    const device = await connectDevice(resources, agent.mqttPort);
    let answered = 0;
    const count = 4_000;
    // Every reading opens an episode: about 700 bytes each.
    const published = Array.from({ length: count }, async (_, i) =>
      device.publishAsync(`sensors/d${i}/m`, '1', { qos: 1 }).then(() => (answered += 1)),
    );
    await waitFor('the lane is full', async () => {
      const { lanes } = await agent.status();
      return lanes.anomaly.bytes >= lanes.anomaly.bytesMax;
    });
    await wait(200);
    const held = await agent.status();
    expect(held.troubles).toContainEqual(
      expect.objectContaining({ what: expect.stringMatching('spool lane anomaly is full') }),
    );
    expect(answered).toBeLessThan(count);
    expect(held.readings.received).toBe(answered);

    const nats = await resources.nats({ port });
    await createStream(nats.url);
    await Promise.all(published);
    await waitFor('all is sent', async () => (await agent.status()).lanes.anomaly.recordsWaiting === 0);
    expect((await agent.status()).readings).toMatchObject({ received: count, accepted: count });
    expect((await readStream(nats.url)).records.anomaly).toHaveLength(count);
  }, 60_000);

  it('what is due while the spool is full does not pile up', async () => {
    const everySooner = setInterval;
    vi.spyOn(globalThis, 'setInterval').mockImplementation(((step: () => void, ms: number) =>
      everySooner(step, ms / 100)) as typeof setInterval);
    resources.defer(() => vi.restoreAllMocks());
    const port = await freePort();
    const agent = await startAgent(resources, `nats://127.0.0.1:${port}`, {
      spool: { anomalyBytesMax: MIB, telemetryBytesMax: 64 * MIB },
      engine: { limits: { rules: [{ high: 0 }] } },
    });
    vi.restoreAllMocks();
    const device = await connectDevice(resources, agent.mqttPort);
    for (let i = 0; i < 2_000; i++) device.publish(`sensors/d${i}/m`, '1', { qos: 1 }, () => undefined);
    await waitFor('the lane is full', async () => {
      const { lanes } = await agent.status();
      return lanes.anomaly.bytes >= lanes.anomaly.bytesMax;
    });
    // Held until there is room. Ten reports are due in this time.
    device.publish('sensors/press/temp', '-1', { qos: 1 }, () => undefined);
    await wait(3_000);
    const nats = await resources.nats({ port });
    await createStream(nats.url);
    await waitFor('all are read', async () => (await agent.status()).readings.received === 2_001);
    await agent.pipeline.stop();
    const reports = (await readStream(nats.url)).records.telemetry.flatMap((record) =>
      record.kind === 'status' ? [record.at] : [],
    );
    const together = reports.map((at) => reports.filter((other) => other >= at && other < at + 100).length);
    expect(Math.max(...together)).toBeLessThan(5);
  });

  it('a stop with a full spool counts the messages in hand among those left behind', async () => {
    const agent = await startAgent(resources, 'nats://127.0.0.1:9', {
      spool: { anomalyBytesMax: MIB, telemetryBytesMax: 64 * MIB },
      engine: { limits: { rules: [{ high: 0 }] } },
    });
    const device = await connectDevice(resources, agent.mqttPort, { reconnectPeriod: 0 });
    for (let i = 0; i < 4_000; i++) device.publish(`sensors/d${i}/m`, '1', { qos: 1 }, () => undefined);
    await waitFor('the lane is full', async () => {
      const { lanes } = await agent.status();
      return lanes.anomaly.bytes >= lanes.anomaly.bytesMax;
    });
    await wait(200);
    // The broker reads a device's next messages only when it has answered those before: all that it read are in the pipeline's hand.
    expect((await agent.status()).broker.pending).toBe(0);
    expect((await agent.pipeline.stop()).messages).toBeGreaterThan(0);
  });

  it('the stop says what is left behind', async () => {
    const agent = await startAgent(resources, 'nats://127.0.0.1:9');
    const device = await connectDevice(resources, agent.mqttPort);
    await device.publishAsync('sensors/press/temp', '1', { qos: 1 });
    const began = Date.now();
    const { records, messages } = await agent.pipeline.stop();
    // The rollup of the reading, ticks, and the reports of start and stop.
    expect(records).toBeGreaterThanOrEqual(3);
    expect(messages).toBe(0);
    expect(Date.now() - began).toBeLessThan(5_000);
  });
});

describe('a NATS server that does not answer', () => {
  it('from the start does not hold up the stop', async () => {
    const silent = createServer((socket) => resources.defer(() => socket.destroy()));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    resources.defer(() => silent.close());
    const { port } = silent.address() as AddressInfo;
    const agent = await startAgent(resources, `nats://127.0.0.1:${port}`);
    const began = Date.now();
    expect((await agent.pipeline.stop()).records).toBeGreaterThan(0);
    expect(Date.now() - began).toBeLessThan(5_000);
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
    const began = Date.now();
    expect((await agent.pipeline.stop()).records).toBeGreaterThan(0);
    expect(Date.now() - began).toBeLessThan(5_000);
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
    await device.publishAsync('sensors/press/temp', '1', { qos: 1 });
    const [trouble] = await waitFor('the agent tells of it', async () => {
      const { troubles } = await agent.status();
      return troubles.some(({ what }) => what.includes('NATS refuses')) && troubles;
    });
    expect(trouble?.what).toMatch(/give this user the right to publish to ingest\.v1\.\d+\.Leipzig\.hall%201\.\w+/);
    await denied.stop();

    await resources.nats({ ...at, configuration: configuration('publish: { allow: ">" }') });
    await waitFor('all is well', async () => (await agent.status()).troubles.length === 0);
    expect(await agent.pipeline.stop()).toEqual({ records: 0, messages: 0 });
    expect(readingsBySensor(await readStream(denied.url, admin)).get('press/temp')).toEqual({ n: 1, sum: 1 });
  });
});
