import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { MqttPublisher, type Qos } from '../../src/publish/mqtt-publisher.ts';
import { CountingBroker } from '../support/counting-broker.ts';

const never = new AbortController().signal;
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function startBroker(user?: { name: string; password: string }): Promise<CountingBroker> {
  const broker = new CountingBroker(user);
  await broker.start();
  open.push(() => broker.stop());
  return broker;
}

function createPublisher(
  url: string,
  qos: Qos,
  more: Partial<ConstructorParameters<typeof MqttPublisher>[0]> = {},
): {
  publisher: MqttPublisher;
  notices: string[];
} {
  const notices: string[] = [];
  const publisher = new MqttPublisher({
    url,
    qos,
    inFlight: 32,
    clientId: `test-${Math.random()}`,
    notice: (text) => notices.push(text),
    ...more,
  });
  open.push(() => publisher.close());
  return { publisher, notices };
}

async function publishAll(
  publisher: MqttPublisher,
  count: number,
  each?: (i: number) => Promise<void>,
): Promise<string[]> {
  const keys: string[] = [];
  for (let i = 0; i < count; i++) {
    if (!publisher.hasRoom) await publisher.room(never);
    const message = { topic: 'sensors/press-01/temperature', payload: `{"value":${i}}` };
    keys.push(`${message.topic} ${message.payload}`);
    publisher.publish(message);
    await each?.(i);
  }
  await publisher.settled(never);
  return keys;
}

describe('publishing to a broker that stays', () => {
  test.each([0, 1, 2] as const)('QoS %i: every message arrives once', async (qos) => {
    const broker = await startBroker();
    const { publisher } = createPublisher(broker.url, qos);
    await publisher.connect(never);
    const keys = await publishAll(publisher, 2_000);
    await publisher.close();
    await expect.poll(() => broker.arrivals.size).toBe(2_000);
    expect(keys.every((key) => broker.arrivals.get(key) === 1)).toBe(true);
    expect(publisher.counts).toEqual({ published: 2_000, acknowledged: 2_000, retried: 0, failed: 0 });
  });

  test('never more are on the way than allowed', async () => {
    const broker = await startBroker();
    const { publisher } = createPublisher(broker.url, 1, { inFlight: 5 });
    await publisher.connect(never);
    let most = 0;
    await publishAll(publisher, 500, async () => {
      most = Math.max(most, publisher.inFlight);
    });
    expect(most).toBe(5);
  });

  test('QoS 2 leaves no session behind on the broker', async () => {
    const broker = await startBroker();
    const { publisher } = createPublisher(broker.url, 2);
    await publisher.connect(never);
    expect(broker.sessions.size).toBe(1);
    await publishAll(publisher, 10);
    await publisher.close();
    expect(broker.sessions.size).toBe(0);
  });
});

describe('a broker that is killed and comes back in the middle', () => {
  test.each([1, 2] as const)('QoS %i: every message arrives, and each is acknowledged exactly once', async (qos) => {
    const broker = await startBroker();
    const { publisher, notices } = createPublisher(broker.url, qos);
    await publisher.connect(never);
    const keys = await publishAll(publisher, 3_000, async (i) => {
      // Twice: a full window is on the way each time, because nobody waits for it before the kill.
      if (i !== 1_000 && i !== 2_000) return;
      await broker.kill();
      await sleep(100);
      await broker.start();
    });
    await expect.poll(() => broker.arrivals.size).toBe(3_000);
    expect(keys.filter((key) => !broker.arrivals.has(key))).toEqual([]);
    const { published, acknowledged, retried, failed } = publisher.counts;
    expect({ published, acknowledged, failed }).toEqual({ published: 3_000, acknowledged: 3_000, failed: 0 });
    expect(retried).toBeGreaterThan(0);
    expect(retried).toBeGreaterThanOrEqual(broker.total - 3_000);
    expect(notices.filter((text) => text.includes('lost'))).toHaveLength(2);
    expect(notices.filter((text) => text.includes('again'))).not.toHaveLength(0);
  });

  test.each([1, 2] as const)(
    'QoS %i: a broker that is killed again while it is caught up with changes nothing',
    async (qos) => {
      const broker = await startBroker();
      const { publisher } = createPublisher(broker.url, qos, { inFlight: 200 });
      await publisher.connect(never);
      const keys = await publishAll(publisher, 2_000, async (i) => {
        if (i !== 1_100) return;
        await broker.kill();
        for (let again = 0; again < 3; again++) {
          await broker.start();
          // Messages are sent again one by one: this is in the middle of it.
          await broker.arrival();
          await broker.kill();
        }
        await broker.start();
      });
      await expect.poll(() => broker.arrivals.size).toBe(2_000);
      expect(keys.filter((key) => !broker.arrivals.has(key))).toEqual([]);
      const { acknowledged, failed } = publisher.counts;
      expect({ acknowledged, failed, inFlight: publisher.inFlight }).toEqual({
        acknowledged: 2_000,
        failed: 0,
        inFlight: 0,
      });
    },
  );

  test('QoS 0: what was on the way is counted as failed or written, nothing hangs, and the rest arrives', async () => {
    const broker = await startBroker();
    const { publisher } = createPublisher(broker.url, 0);
    await publisher.connect(never);
    await publishAll(publisher, 3_000, async (i) => {
      if (i !== 1_500) return;
      await broker.kill();
      await broker.start();
    });
    const { published, acknowledged, failed } = publisher.counts;
    expect(published).toBe(3_000);
    expect(acknowledged + failed).toBe(3_000);
    await publisher.close();
    await expect.poll(() => broker.arrivals.size).toBeGreaterThan(1_400);
    expect([...broker.arrivals.values()].every((n) => n === 1)).toBe(true);
    expect(broker.arrivals.size).toBeLessThanOrEqual(acknowledged);
  });

  test('closing while the broker is away ends soon and tells what is unacknowledged', async () => {
    const broker = await startBroker();
    const { publisher } = createPublisher(broker.url, 1);
    await publisher.connect(never);
    await broker.kill();
    for (let i = 0; i < 3 && publisher.hasRoom; i++) publisher.publish({ topic: 'sensors/a/b', payload: String(i) });
    const sent = publisher.counts.published;
    await publisher.close();
    expect(publisher.inFlight).toBe(sent);
  });
});

describe('connecting', () => {
  test('waits for a broker that is not there yet, and says so', async () => {
    const broker = await startBroker();
    await broker.kill();
    const { publisher, notices } = createPublisher(broker.url, 1);
    const connected = publisher.connect(never);
    await expect
      .poll(() => notices)
      .toEqual([expect.stringMatching(/^waiting for the MQTT broker at mqtt:.*ECONNREFUSED/)]);
    await broker.start();
    await connected;
    expect(publisher.hasRoom).toBe(true);
  });

  test('gives up waiting when it is told to', async () => {
    const stop = new AbortController();
    const broker = await startBroker();
    await broker.kill();
    const { publisher } = createPublisher(broker.url, 1);
    const connected = publisher.connect(stop.signal);
    stop.abort(new Error('enough'));
    await expect(connected).rejects.toThrow('enough');
  });

  test('a refused user is an error with the remedy; the right one gets in', async () => {
    const broker = await startBroker({ name: 'floor', password: 'secret-1' });
    const { publisher } = createPublisher(broker.url, 1, { username: 'floor', password: 'wrong-9' });
    const refused = await publisher.connect(never).catch((error: unknown) => error);
    expect(String(refused)).toMatch(/refuses this user.*--password-file/);
    expect(String(refused)).not.toContain('wrong-9');
    const { publisher: known } = createPublisher(broker.url, 1, { username: 'floor', password: 'secret-1' });
    await known.connect(never);
    expect(known.hasRoom).toBe(true);
  });
});
