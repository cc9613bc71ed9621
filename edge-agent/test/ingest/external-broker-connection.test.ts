import { setTimeout as wait } from 'node:timers/promises';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { type Resources, resourcesPerTest, skippedIf, waitFor } from '../../../tests/support/index.ts';
import { ExternalBroker, type ExternalBrokerConfig } from '../../src/ingest/external-broker.ts';
import { Intake } from '../../src/ingest/intake.ts';
import { inFlightMax, readingsConfigSchema } from '../../src/ingest/readings-config.ts';
import { limits } from '../../src/limits.ts';
import { connectDevice, silentLogger } from '../support/devices.ts';
import { Mosquitto, mosquittoProgram } from '../support/mosquitto.ts';
import { ScriptedBroker } from '../support/scripted-broker.ts';
import { Reader, sourceContract, textOf } from './source-contract.ts';

const readings = readingsConfigSchema.parse({});

async function open(
  resources: Resources,
  port: number,
  config: Partial<ExternalBrokerConfig> = {},
  times = { silenceMs: 60_000, answerMs: 5_000 },
): Promise<ExternalBroker> {
  const source = new ExternalBroker(
    { url: `mqtt://127.0.0.1:${port}`, clientId: 'floorwatch-test', inFlightMax: inFlightMax(readings), ...config },
    ['sensors/+/+'],
    silentLogger,
    times,
  );
  await source.connect();
  resources.defer(async () => source.close());
  return source;
}

const ready = async (source: ExternalBroker): Promise<ExternalBroker> => {
  await waitFor('the source is ready', () => source.state().ready);
  return source;
};

describe('the connection to an external broker', () => {
  const resources = resourcesPerTest();

  it('has many acknowledgements pending, and sends them in the order in which messages came', async () => {
    const broker = await ScriptedBroker.start(resources);
    const source = await ready(await open(resources, broker.port));
    const reader = new Reader(source);
    const count = 3 * inFlightMax(readings);
    broker.publish(Array.from({ length: count }, (_, i) => ({ messageId: i + 1, payload: `${i + 1}` })));
    await waitFor('as many as may be are in flight', () => source.state().pending === inFlightMax(readings));
    await wait(50);
    expect([source.state().pending, broker.count('puback')]).toEqual([inFlightMax(readings), 0]);
    await reader.take(count);
    await waitFor('all are acknowledged', () => broker.count('puback') === count);
    const ids = broker.heard.flatMap(({ packet }) => (packet.cmd === 'puback' ? [packet.messageId] : []));
    expect(ids).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  });

  it.each(['hangs up', 'is hung up on'])('forgets its acknowledgements when the broker %s', async (how) => {
    const broker = await ScriptedBroker.start(resources);
    const source = await ready(await open(resources, broker.port));
    const reader = new Reader(source);
    const many = Array.from({ length: 100 }, (_, i) => ({ messageId: i + 1, payload: `${i + 1}` }));
    broker.publish(many);
    await waitFor('as many as may be are in flight', () => source.state().pending === inFlightMax(readings));
    const old = await reader.next();
    if (how === 'hangs up') broker.hangUp();
    else await old.nack(new Error('the disk is full'));
    await waitFor('it is connected again', () => broker.count('subscribe') === 2 && source.state().ready);
    // The same identifiers mean other messages now.
    if (how === 'hangs up') await old.ack();
    await wait(50);
    expect([broker.count('puback'), source.state().pending]).toEqual([0, 0]);
    broker.publish(many);
    expect((await reader.take(100)).map(textOf)).toEqual(many.map(({ payload }) => payload));
    await waitFor('all are acknowledged', () => broker.count('puback') === 100);
    expect(broker.heard.every(({ connection, packet }) => packet.cmd !== 'puback' || connection === 2)).toBe(true);
  });

  it('is asked about when nothing comes, and kept while the broker confirms the subscriptions', async () => {
    const broker = await ScriptedBroker.start(resources);
    const source = await ready(await open(resources, broker.port, {}, { silenceMs: 40, answerMs: 5_000 }));
    await waitFor('the subscriptions are made again and again', () => broker.count('subscribe') > 3);
    expect([broker.connections, source.state().ready]).toEqual([1, true]);
  });

  it('is given up when the broker answers nothing', async () => {
    const broker = await ScriptedBroker.start(resources);
    const source = await ready(await open(resources, broker.port, {}, { silenceMs: 40, answerMs: 50 }));
    broker.silent = true;
    await waitFor('the source says so', () => !source.state().ready);
    expect(source.state().lastError).toMatch('did not answer within 50 ms');
    broker.silent = false;
    await waitFor('it is connected again', () => source.state().ready);
    expect(broker.connections).toBeGreaterThan(1);
    expect(source.state().lastError).toBeUndefined();
  });

  it('is kept alive while there is no room for messages', async () => {
    const broker = await ScriptedBroker.start(resources);
    const source = await ready(await open(resources, broker.port, {}, { silenceMs: 40, answerMs: 50 }));
    broker.publish(Array.from({ length: 100 }, (_, i) => ({ messageId: i + 1, payload: `${i + 1}` })));
    await waitFor('as many as may be are in flight', () => source.state().pending === inFlightMax(readings));
    await waitFor('the broker hears of it', () => broker.count('pingreq') > 3);
    expect([broker.connections, source.state().ready]).toEqual([1, true]);
    expect(await new Reader(source).take(100)).toHaveLength(100);
  });

  it('has room for what the queue takes, and no more is read', async () => {
    const broker = await ScriptedBroker.start(resources);
    const source = await ready(await open(resources, broker.port, { inFlightMax: limits.pendingMessagesMax * 2 }));
    const count = limits.pendingMessagesMax + 3_000;
    broker.publish(Array.from({ length: count }, (_, i) => ({ messageId: (i % 65_535) + 1, payload: `${i}` })));
    await waitFor('the queue is full', () => source.state().held);
    await wait(50);
    expect(source.state().pending).toBe(limits.pendingMessagesMax);
    expect((await new Reader(source).take(count)).map(textOf)).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
  });
});

sourceContract(
  'mosquitto',
  async (resources) => {
    const { port } = await Mosquitto.start(resources);
    return { source: await ready(await open(resources, port)), devicePort: port };
  },
  [0, 1, 2],
  mosquittoProgram !== undefined,
);

const none = mosquittoProgram === undefined;
const why = skippedIf(none, 'no mosquitto was found');

describe.skipIf(none)(`mosquitto as the external broker${why}`, () => {
  const resources = resourcesPerTest();
  const sensors = 40;
  const total = 2_000;
  const publishAll = async (port: number, from: number, to: number): Promise<void> => {
    const device = await connectDevice(resources, port);
    const sent = Array.from({ length: to - from }, async (_, i) => {
      const value = from + i;
      return device.publishAsync(
        `sensors/a/${value % sensors}`,
        `{"value":${value},"ts":${1_800_000_000_000 + value}}`,
        { qos: 1 },
      );
    });
    await Promise.all(sent);
    await device.endAsync();
  };

  /** Takes what comes into an intake; refuses a delivery now and then, or keeps it without the broker hearing of it. */
  class Agent {
    readonly intake = new Intake(
      {
        topics: [{ topic: 'sensors/{device}/{metric}', codec: 'auto' }],
        sensorsMax: 100,
        readings,
        units: { rules: [], aliases: [] },
        valueAbsMax: 1e150,
      },
      { claim: () => false },
    );
    readonly values: number[] = [];
    #deliveries = 0;

    async consume(source: ExternalBroker, signal: AbortSignal): Promise<void> {
      for await (const delivery of source.deliveries(signal)) {
        const taken = this.intake.take(delivery.items, { now: epochMs(1_800_000_000_000), quality: 'synchronised' });
        await wait(2);
        this.#deliveries += 1;
        const kept = this.#deliveries % 9 !== 4;
        this.intake.settled(taken, kept);
        if (kept) this.values.push(...taken.readings.map(({ reading: { value } }) => value));
        // One in nine is safe and not answered.
        if (kept && this.#deliveries % 9 !== 8) await delivery.ack();
        else await delivery.nack(new Error('so says the test'));
      }
    }
  }

  it('loses nothing and repeats nothing while connections break, the broker restarts and the agent restarts', async () => {
    const broker = await Mosquitto.start(resources);
    const agent = new Agent();
    const stop = new AbortController();
    const first = await ready(await open(resources, broker.port));
    const consuming = [agent.consume(first, stop.signal)];
    await publishAll(broker.port, 0, 500);
    await broker.stop();
    await waitFor('the loss shows', () => !first.state().ready);
    await broker.start();
    await publishAll(broker.port, 500, 1_000);
    await first.close();
    await publishAll(broker.port, 1_000, total);
    const second = await open(resources, broker.port);
    consuming.push(agent.consume(second, stop.signal));
    await waitFor('everything has come', () => agent.values.length >= total, { timeoutMs: 60_000 });
    await wait(300);
    stop.abort();
    await Promise.all(consuming);
    expect(agent.values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => i));
    expect(agent.intake.counts.duplicates).toBeGreaterThan(0);
  }, 90_000);

  it('sends copies that it retained, which are not read', async () => {
    const broker = await Mosquitto.start(resources);
    const device = await connectDevice(resources, broker.port);
    await device.publishAsync('sensors/a/old', '1', { qos: 1, retain: true });
    const source = await ready(await open(resources, broker.port));
    const [copy] = await new Reader(source).take(1);
    expect(copy?.retained).toBe(true);
    const intake = new Agent().intake;
    const taken = intake.take([copy!], { now: epochMs(0), quality: 'unknown' });
    intake.settled(taken, true);
    expect([taken.readings, intake.counts.retainedCopies]).toEqual([[], 1]);
  });
});
