import { setTimeout as wait } from 'node:timers/promises';

import { type Delivery, epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { EmbeddedBroker } from '../../src/ingest/embedded-broker.ts';
import { Intake, type Taken } from '../../src/ingest/intake.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import { inFlightMax, readingsConfigSchema } from '../../src/ingest/readings-config.ts';
import { silentLogger } from '../support/devices.ts';
import { RawDevice } from '../support/raw-device.ts';
import { Reader } from './source-contract.ts';

const readings = readingsConfigSchema.parse({});
const at = Date.now();

/** The broker and the intake with the limits of the default configuration, and a journal that is safe when the test says so. */
class Gateway {
  readonly broker = new EmbeddedBroker(
    { host: '127.0.0.1', port: 0, inFlightMax: inFlightMax(readings) },
    silentLogger,
  );
  readonly intake = new Intake(
    {
      topics: [{ topic: 'sensors/{device}/{metric}', codec: 'auto' }],
      sensorsMax: 10,
      readings,
      units: { rules: [], aliases: [] },
      valueAbsMax: 1e150,
    },
    { claim: () => false },
  );
  readonly journal: number[] = [];
  readonly #reader = new Reader(this.broker);

  async take(): Promise<{ delivery: Delivery<RawMessage>; taken: Taken }> {
    const delivery = await this.#reader.next();
    const taken = this.intake.take(delivery.items, { now: epochMs(Date.now()), quality: 'synchronised' });
    return { delivery, taken };
  }

  async keep({ delivery, taken }: { delivery: Delivery<RawMessage>; taken: Taken }): Promise<void> {
    this.journal.push(...taken.readings.map(({ reading }) => reading.value));
    this.intake.settled(taken, true);
    await delivery.ack();
  }

  async refuse({ delivery, taken }: { delivery: Delivery<RawMessage>; taken: Taken }): Promise<void> {
    this.intake.settled(taken, false);
    await delivery.nack(new Error('the disk is full'));
  }
}

const payload = (value: number): string => JSON.stringify({ value, ts: at + value });

describe('the embedded broker with the intake', () => {
  const resources = resourcesPerTest();

  async function open(): Promise<Gateway> {
    const gateway = new Gateway();
    await gateway.broker.connect();
    resources.defer(async () => gateway.broker.close());
    return gateway;
  }

  it('counts nothing twice when a device repeats all that it may have in flight, however often its connection breaks', async () => {
    const gateway = await open();
    // As many as fit one chunk, sent without waiting; the broker takes what it may.
    const count = 300;
    let from = 0;
    for (let round = 0; from < count && round < 100; round++) {
      const device = await RawDevice.connect(resources, gateway.broker.port);
      const rest = Array.from({ length: count - from }, (_, i) => from + i);
      for (const value of rest) device.publish(value + 1, payload(value), { dup: true });
      await waitFor(
        'all that may be in flight is',
        () => gateway.broker.state().pending >= Math.min(inFlightMax(readings), count - from),
      );
      const first = await gateway.take();
      if (round % 3 === 0) {
        // Everything becomes safe, and the device hears nothing of it.
        await device.vanish();
        await wait(20);
        await gateway.keep(first);
      } else if (round % 3 === 1) {
        // The network breaks behind the first answers: what was let through meanwhile is journaled and not heard of.
        await gateway.keep(first);
        await device.hears('puback');
        from += device.answered('puback').length;
        await device.vanish();
        await wait(20);
        if (gateway.broker.state().pending > 0) await gateway.keep(await gateway.take());
      } else {
        await gateway.refuse(first);
        await waitFor('the connection is closed', () => device.closed);
      }
    }
    expect(gateway.journal).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(gateway.intake.counts.duplicates).toBeGreaterThan(100);
  });

  it('answers in the order in which messages came', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    for (let i = 1; i <= 100; i++) device.publish(i, payload(i), { topic: `sensors/a/${i % 3}` });
    const taking = (async () => {
      while (gateway.journal.length < 100) await gateway.keep(await gateway.take());
    })();
    await device.hears('puback', 100);
    await taking;
    expect(device.answered('puback')).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it('takes equal messages without DUP for as many readings, and knows by DUP those of the last connection', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    for (let i = 1; i <= 5; i++) device.publish(i, i % 2 === 0 ? '21.5' : payload(1));
    const taking = (async () => {
      while (gateway.journal.length < 5) await gateway.keep(await gateway.take());
    })();
    await device.hears('puback', 5);
    await taking;
    await device.vanish();
    const again = await RawDevice.connect(resources, gateway.broker.port, { clean: true });
    again.publish(4, '21.5', { dup: true });
    again.publish(5, payload(1), { dup: true });
    again.publish(6, '21.5');
    while (gateway.journal.length < 6) await gateway.keep(await gateway.take());
    await again.hears('puback', 3);
    expect(gateway.journal).toEqual([1, 21.5, 1, 21.5, 1, 21.5]);
    expect(gateway.intake.counts.duplicates).toBe(2);
  });

  it('does not answer a repeat before the original is safe', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    device.publish(1, payload(1));
    const original = await gateway.take();
    device.publish(1, payload(1), { dup: true });
    const repeat = await gateway.take();
    expect(repeat.taken.readings).toEqual([]);
    await wait(50);
    expect(device.answered('puback')).toEqual([]);
    // The disk refuses the original. Had the repeat been answered, the reading would be lost.
    await gateway.refuse(original);
    await gateway.refuse(repeat);
    await waitFor('the connection is closed', () => device.closed);
    expect(device.answered('puback')).toEqual([]);
    const again = await RawDevice.connect(resources, gateway.broker.port);
    again.publish(1, payload(1), { dup: true });
    await gateway.keep(await gateway.take());
    await again.hears('puback');
    expect(gateway.journal).toEqual([1]);
  });

  it('does not answer QoS 2 before it is safe, and takes it again when it was refused', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    device.publish(1, '5', { qos: 2 });
    const refused = await gateway.take();
    await wait(50);
    expect(device.answered('pubrec')).toEqual([]);
    await gateway.refuse(refused);
    await waitFor('the connection is closed', () => device.closed);
    const again = await RawDevice.connect(resources, gateway.broker.port);
    again.publish(1, '5', { qos: 2, dup: true });
    await gateway.keep(await gateway.take());
    await again.hears('pubrec');
    again.send({ cmd: 'pubrel', messageId: 1 });
    await again.hears('pubcomp');
    expect(gateway.journal).toEqual([5]);
  });
});

describe('QoS 2 over connections, of devices that send neither time nor sequence number', () => {
  const resources = resourcesPerTest();

  async function open(): Promise<Gateway> {
    const gateway = new Gateway();
    await gateway.broker.connect();
    resources.defer(async () => gateway.broker.close());
    return gateway;
  }

  it('knows a repeat of what is on its way, and answers it when that is safe', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    device.publish(7, '1', { qos: 2 });
    const original = await gateway.take();
    await device.vanish();
    const again = await RawDevice.connect(resources, gateway.broker.port);
    again.publish(7, '1', { qos: 2, dup: true });
    const repeat = await gateway.take();
    expect(repeat.taken.readings).toEqual([]);
    await gateway.keep(original);
    await wait(50);
    expect(again.answered('pubrec')).toEqual([]);
    await gateway.keep(repeat);
    await again.hears('pubrec');
    expect(gateway.journal).toEqual([1]);
  });

  it('knows a repeat of what is safe, and answers it', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    device.publish(7, '1', { qos: 2 });
    await gateway.keep(await gateway.take());
    await device.hears('pubrec');
    await device.vanish();
    const again = await RawDevice.connect(resources, gateway.broker.port);
    again.publish(7, '1', { qos: 2, dup: true });
    await gateway.keep(await gateway.take());
    await again.hears('pubrec');
    again.send({ cmd: 'pubrel', messageId: 7 });
    await again.hears('pubcomp');
    // The identifier is free again.
    again.publish(7, '2', { qos: 2 });
    await gateway.keep(await gateway.take());
    expect(gateway.journal).toEqual([1, 2]);
  });

  it('takes what is new of a device that has forgotten its session', async () => {
    const gateway = await open();
    const device = await RawDevice.connect(resources, gateway.broker.port);
    device.publish(1, '1', { qos: 2 });
    await gateway.keep(await gateway.take());
    await device.vanish();
    const restarted = await RawDevice.connect(resources, gateway.broker.port);
    restarted.publish(1, '2', { qos: 2 });
    await gateway.keep(await gateway.take());
    await restarted.hears('pubrec');
    expect(gateway.journal).toEqual([1, 2]);
  });
});
