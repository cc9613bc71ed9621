import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import type { AnomalyRecord, FloorRecord } from '@floorwatch/contracts';
import { generate, parser } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../tests/support/index.ts';
import {
  addsUp,
  closeRollups,
  createStream,
  gateway,
  hourAgo,
  readingsBySensor,
  readStream,
  startAgent,
} from './support/agent.ts';
import { connectDevice } from './support/devices.ts';

const resources = resourcesPerTest();

describe('from MQTT to JetStream', () => {
  it.each([0, 1, 2] as const)(
    'everything published at QoS %d arrives once, in order, with its numbers',
    async (qos) => {
      const nats = await resources.nats();
      await createStream(nats.url);
      const agent = await startAgent(resources, nats.url);
      const device = await connectDevice(resources, agent.mqttPort);
      const start = hourAgo();
      const expected = new Map<string, { n: number; sum: number }>();
      const published: Promise<unknown>[] = [];
      for (let i = 0; i < 3_000; i++) {
        const sensor = `press ${i % 7}/temp`;
        const value = Math.sin(i) * 10 + 20;
        const payload = JSON.stringify({ value, ts: start + i * 1_000, unit: '°C', seq: i });
        published.push(device.publishAsync(`sensors/${sensor}`, payload, { qos }));
        const known = expected.get(sensor) ?? { n: 0, sum: 0 };
        expected.set(sensor, { n: known.n + 1, sum: known.sum + value });
        // The broker takes at most 1,000 messages of QoS 2 in flight from a device.
        if (i % 500 === 499) await Promise.all(published);
      }
      await Promise.all(published);
      await waitFor('all are read', async () => (await agent.status()).readings.received === 3_000);

      const received = await closeRollups(resources, agent, nats.url, 3_000);
      expect(await agent.pipeline.stop()).toMatchObject({ messages: 0 });
      const sums = readingsBySensor(received);
      for (const [sensor, { n, sum }] of expected) {
        expect(sums.get(sensor)?.n).toBe(n);
        expect(sums.get(sensor)?.sum).toBeCloseTo(sum, 6);
      }
      expect(received.repeats).toBe(0);
      const watermarks = received.records.telemetry.flatMap((record) =>
        record.kind === 'tick' ? [record.watermark] : [],
      );
      expect(watermarks).toEqual(watermarks.toSorted((a, b) => a - b));
      expect(new Set(received.batches.map(({ epoch }) => epoch)).size).toBe(1);
    },
  );

  it('an anomaly is in the stream at once, and goes on after a stop', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const options = {
      engine: { limits: { closeAfterReadings: 1, rules: [{ metric: 'temp', high: 90 }] } },
      storage: { dataDir: await resources.directory() },
    };
    const agent = await startAgent(resources, nats.url, options);
    const device = await connectDevice(resources, agent.mqttPort);
    await device.publishAsync('sensors/press/temp', '95.5', { qos: 1 });
    await waitFor('it is in the stream', async () => (await readStream(nats.url)).records.anomaly.length === 2);
    expect(await agent.status()).toMatchObject({ episodes: { opened: 1, closed: 0 } });
    await agent.pipeline.stop();
    const opened = { kind: 'anomaly', number: 2, phase: 'opened', value: 95.5, provenance: 'live' };
    expect((await readStream(nats.url)).records.anomaly).toMatchObject([{ kind: 'start', number: 1 }, opened]);

    const again = await startAgent(resources, nats.url, options);
    await (await connectDevice(resources, again.mqttPort)).publishAsync('sensors/press/temp', '20', { qos: 1 });
    await waitFor('it is closed', async () => (await readStream(nats.url)).records.anomaly.length === 4);
    const [, first, start, second] = (await readStream(nats.url)).records.anomaly;
    expect(start).toMatchObject({ kind: 'start', number: 1, predecessor: { last: 2 } });
    const { id, detectedAt } = first as AnomalyRecord;
    expect(second).toMatchObject({ number: 2, phase: 'closed', closeReason: 'recovered', id, detectedAt, value: 95.5 });
  });

  it('sends rollups of many sensors that end together, in many batches', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const agent = await startAgent(resources, nats.url);
    const device = await connectDevice(resources, agent.mqttPort);
    const sensors = Array.from({ length: 5_000 }, (_, i) => `sensors/machine ${i}/temp`);
    const payload = JSON.stringify({ value: 1, ts: hourAgo() });
    await Promise.all(sensors.map(async (topic) => device.publishAsync(topic, payload, { qos: 1 })));
    const received = await closeRollups(resources, agent, nats.url, sensors.length);
    expect(received.batches.length).toBeGreaterThan(3);
    expect(readingsBySensor(received).size).toBe(sensors.length);
  });

  it('the gateway reports itself: with the first tick, and with every sixth from there', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const agent = await startAgent(resources, nats.url);
    const device = await connectDevice(resources, agent.mqttPort);
    await device.publishAsync('sensors/press/temp', JSON.stringify({ value: 1, ts: hourAgo() }), { qos: 1 });
    await device.publishAsync('sensors/press/temp', 'x', { qos: 1 });
    const reports = async (): Promise<readonly FloorRecord[]> =>
      (await readStream(nats.url)).records.telemetry.filter(({ kind }) => kind === 'status');
    await waitFor('it has reported itself twice', async () => (await reports()).length === 2);
    const { batches } = await readStream(nats.url);
    expect((await reports())[1]).toMatchObject({
      sensors: 1,
      counters: {
        readingsReceived: 2,
        readingsAccepted: 1,
        readingsRejected: 1,
        'readingsRejected.payload-malformed': 1,
      },
    });
    expect(batches[0]).toMatchObject(gateway);
  });
});

describe('bad input', () => {
  const cases: readonly (readonly [topic: string, payload: string | Buffer, reason: string])[] = [
    ['sensors/a/b', '{"value": 1', 'payload-malformed'],
    ['sensors/a/b', Buffer.from([0xff, 0xfe]), 'payload-malformed'],
    ['sensors/a/b', 'NaN', 'value-not-finite'],
    ['sensors/a/b', '{"value": NaN}', 'value-not-finite'],
    ['sensors/a/b', '{"value": "12"}', 'value-not-a-number'],
    ['sensors/a/b', '{"value": null}', 'value-not-a-number'],
    ['sensors/a/b', '{"value": true}', 'value-not-a-number'],
    ['sensors/a/b', '{"temperature": 1}', 'value-missing'],
    ['sensors/a/b', '{"value": 1e200}', 'value-too-large'],
    ['sensors/a/b', '', 'payload-empty'],
    ['sensors/a', '1', 'topic-unknown'],
    ['plant/a/b', '1', 'topic-unknown'],
    ['sensors//b', '1', 'name-invalid'],
    ['sensors/a/b', Buffer.alloc(10_000_000, '1'), 'payload-too-large'],
    ['sensors/a/b', `{"value": 1, "ts": "31.01.2026 12:00"}`, 'time-malformed'],
    ['sensors/a/b', '{"value": 1, "ts": "tomorrow"}', 'time-malformed'],
    ['sensors/a/b', '{"value": 1, "quality": "bad"}', 'quality-bad'],
  ];

  it('is rejected with a reason that the status page and the metrics show, and everything adds up', async () => {
    const nats = await resources.nats();
    await createStream(nats.url);
    const agent = await startAgent(resources, nats.url, { sensorsMax: 2 });
    const device = await connectDevice(resources, agent.mqttPort);
    for (const [topic, payload] of cases) await device.publishAsync(topic, payload, { qos: 1 });
    await device.publishAsync('sensors/a/recording', `{"value": 1, "ts": ${Date.now() - 399 * 86_400_000}}`, {
      qos: 1,
    });
    await device.publishAsync('sensors/a/b', '1', { qos: 1 });
    await device.publishAsync('sensors/a/c', '1', { qos: 1 });

    const status = await agent.status();
    expect(status.readings).toMatchObject({ received: cases.length + 3, accepted: 2, rejected: cases.length + 1 });
    expect(addsUp(status)).toBe(true);
    expect(status.sensors).toBe(2);
    const oldestFirst = status.lastRejects.toReversed().map(({ reason }) => reason);
    expect(oldestFirst).toEqual([...cases.map(([, , reason]) => reason), 'too-many-sensors']);
    expect(status.lastRejects.find(({ reason }) => reason === 'time-malformed')).toMatchObject({
      topic: 'sensors/a/b',
      excerpt: expect.stringMatching(/^\{"value": 1, "ts": ".+"\}$/),
      remedy: expect.stringMatching('ISO 8601'),
    });

    const metrics = await (await agent.get('/metrics')).text();
    const byReason = new Map<string, number>();
    for (const [, reason = '', count] of metrics.matchAll(
      /^floorwatch_agent_readings_rejected_total\{reason="(.*)"\} (\d+)$/gm,
    )) {
      byReason.set(reason, Number(count));
    }
    for (const [, , reason] of cases) {
      expect([reason, byReason.get(reason)]).toEqual([reason, cases.filter(([, , other]) => other === reason).length]);
    }
    expect(metrics).toMatch(`floorwatch_agent_readings_received_total ${cases.length + 3}\n`);
    expect(metrics).toMatch('floorwatch_agent_readings_accepted_total 2\n');
  });

  it('of 200 MB does not fill the memory, and is answered like any other', async () => {
    const agent = await startAgent(resources, 'nats://127.0.0.1:9');
    const socket = connect(agent.mqttPort, '127.0.0.1');
    resources.defer(() => socket.destroy());
    const seen: string[] = [];
    const answers = parser().on('packet', ({ cmd }) => seen.push(cmd));
    socket.on('data', (chunk) => answers.parse(chunk));
    socket.write(
      generate({ cmd: 'connect', clientId: 'huge', keepalive: 0, clean: true, protocolId: 'MQTT', protocolVersion: 4 }),
    );
    const bytes = 200_000_000;
    const chunk = Buffer.alloc(100_000, '1');
    // Fixed header of a PUBLISH at QoS 1 and its length; topic "sensors/a/b" and message id 7.
    const head = generate({
      cmd: 'publish',
      topic: 'sensors/a/b',
      payload: '',
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
    });
    const length = bytes + head.length - 2;
    socket.write(
      Buffer.from([
        0x32,
        (length & 127) | 128,
        ((length >> 7) & 127) | 128,
        ((length >> 14) & 127) | 128,
        length >> 21,
      ]),
    );
    socket.write(head.subarray(2));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let sent = 0; sent < bytes; sent += chunk.length) {
      if (!socket.write(chunk)) await once(socket, 'drain');
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    await waitFor('it is answered', () => seen.includes('puback'));
    await waitFor(
      'it is counted',
      async () => (await agent.status()).readings.rejectedByReason['payload-too-large'] === 1,
    );
    expect(most).toBeLessThan(100_000_000);
  });
});

describe('the status page', () => {
  it('lists sensors with their moving statistics, page by page', async () => {
    const nats = await resources.nats();
    const agent = await startAgent(resources, nats.url);
    const device = await connectDevice(resources, agent.mqttPort);
    for (let i = 0; i < 5; i++) {
      for (const value of [1, 3]) await device.publishAsync(`sensors/press/${i}`, `${value}`, { qos: 1 });
    }
    type Page = { items: { id: string; newestValue: number; moving: { countMean: number } }[]; next: string | null };
    const seen: Page['items'] = [];
    let next: string | null = '0';
    const sizes: number[] = [];
    while (next !== null) {
      const page = (await (await agent.get(`/sensors?limit=2&after=${next}`)).json()) as Page;
      sizes.push(page.items.length);
      seen.push(...page.items);
      next = page.next;
    }
    expect(sizes).toEqual([2, 2, 1]);
    expect(seen.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4].map((i) => `press/${i}`));
    expect(seen[0]).toMatchObject({ newestValue: 3, moving: { countMean: 2 } });
  });

  it('answers what it does not understand with what it would', async () => {
    const agent = await startAgent(resources, 'nats://127.0.0.1:9');
    for (const [path, code, message] of [
      ['/sensors?limit=0', 400, 'limit'],
      ['/sensors?limit=x', 400, 'limit'],
      ['/sensors?limit=1001', 400, 'limit'],
      ['/sensors?after=-1', 400, 'after'],
      ['/elsewhere', 404, '/status'],
    ] as const) {
      const response = await agent.get(path);
      expect([path, response.status]).toEqual([path, code]);
      expect(await response.text()).toMatch(message);
    }
  });

  it('asks for its token, except about health', async () => {
    const tokenFile = join(await resources.directory(), 'token');
    await writeFile(tokenFile, 'geheim');
    const agent = await startAgent(resources, 'nats://127.0.0.1:9', { http: { port: 0, tokenFile } });
    for (const path of ['/status', '/metrics', '/sensors']) expect((await agent.get(path)).status).toBe(401);
    expect((await agent.get('/healthz')).status).toBe(200);
    const headers = { authorization: 'Bearer geheim' };
    expect((await fetch(`http://127.0.0.1:${agent.pipeline.ports.http}/status`, { headers })).status).toBe(200);
  });
});
