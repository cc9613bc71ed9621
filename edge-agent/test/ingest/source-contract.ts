import { setTimeout as wait } from 'node:timers/promises';

import type { Delivery, Source } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { type Resources, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import type { BrokerState } from '../../src/ingest/broker-state.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import { limits } from '../../src/limits.ts';
import { connectDevice } from '../support/devices.ts';

export type Broker = Source<RawMessage> & { state(): BrokerState };

/** A source that is connected, and the port that devices publish to. */
export interface OpenSource {
  readonly source: Broker;
  readonly devicePort: number;
}

/** Reads deliveries as they come. */
export class Reader {
  readonly #iterator: AsyncIterator<Delivery<RawMessage>>;
  readonly stop = new AbortController();

  constructor(source: Broker) {
    this.#iterator = source.deliveries(this.stop.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<Delivery<RawMessage>> {
    const next = await this.#iterator.next();
    if (next.done === true) throw new Error('the deliveries have ended');
    return next.value;
  }

  /** Acknowledges deliveries until `count` messages have come. */
  async take(count: number): Promise<RawMessage[]> {
    const taken: RawMessage[] = [];
    while (taken.length < count) {
      const delivery = await this.next();
      taken.push(...delivery.items);
      await delivery.ack();
    }
    return taken;
  }

  async ended(): Promise<boolean> {
    return (await this.#iterator.next()).done === true;
  }
}

export const textOf = (message: RawMessage): string => Buffer.from(message.payload).toString();

/**
 * What both ways of receiving messages promise.
 *
 * @param open connects a source to the topics `sensors/+/+`.
 * @param levels at which devices publish.
 * @param isInstalled whether the broker can be started on this machine.
 */
export function sourceContract(
  name: string,
  open: (resources: Resources) => Promise<OpenSource>,
  levels: readonly (0 | 1 | 2)[],
  isInstalled = true,
): void {
  describe.skipIf(!isInstalled)(`a source of messages: ${name}`, () => {
    const resources = resourcesPerTest();

    it.each(levels)('hands on what devices publish at QoS %d, in the order of each device', async (qos) => {
      const { source, devicePort } = await open(resources);
      const reader = new Reader(source);
      const device = await connectDevice(resources, devicePort);
      const before = Date.now();
      const published = Array.from({ length: 300 }, async (_, i) =>
        device.publishAsync('sensors/a/b', `${i}`, { qos }),
      );
      const messages = await reader.take(300);
      await Promise.all(published);
      expect(messages.map(textOf)).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`));
      for (const { topic, receivedAt, retained } of messages) {
        expect({ topic, retained }).toEqual({ topic: 'sensors/a/b', retained: false });
        expect(receivedAt).toBeGreaterThanOrEqual(before);
        expect(receivedAt).toBeLessThanOrEqual(Date.now());
      }
    });

    it('gets a delivery that it refused again', async () => {
      const { source, devicePort } = await open(resources);
      const reader = new Reader(source);
      const device = await connectDevice(resources, devicePort, { clean: false, clientId: 'device' });
      const published = device.publishAsync('sensors/a/b', 'precious', { qos: 1 });
      const refused = await reader.next();
      expect(refused.items.map(textOf)).toEqual(['precious']);
      await refused.nack(new Error('the disk is full'));
      expect((await reader.take(1)).map(textOf)).toEqual(['precious']);
      await published;
      await device.publishAsync('sensors/a/b', 'next', { qos: 0 });
      expect((await reader.take(1)).map(textOf)).toEqual(['next']);
    });

    it('shortens a payload of 10 MB to something that is still too large, and goes on with the next', async () => {
      const { source, devicePort } = await open(resources);
      const reader = new Reader(source);
      const device = await connectDevice(resources, devicePort);
      const huge = device.publishAsync('sensors/a/b', Buffer.alloc(10_000_000, 'x'), { qos: 1 });
      const next = device.publishAsync('sensors/a/b', 'small', { qos: 1 });
      const [first, second] = await reader.take(2);
      await Promise.all([huge, next]);
      expect(first?.payload.length).toBeGreaterThan(limits.payloadBytesMax);
      expect(first?.payload.length).toBeLessThanOrEqual(limits.packetBytesMax);
      expect(second && textOf(second)).toBe('small');
    });

    it('ends its deliveries when it is closed, behind the last message that it received', async () => {
      const { source, devicePort } = await open(resources);
      const reader = new Reader(source);
      const device = await connectDevice(resources, devicePort);
      const published = device.publishAsync('sensors/a/b', 'last', { qos: 1 });
      const delivery = await reader.next();
      const closing = source.close();
      // The pipeline is at work on it.
      await wait(100);
      await delivery.ack();
      expect(await reader.ended()).toBe(true);
      await Promise.all([closing, published]);
      expect(source.state()).toMatchObject({ pending: 0 });
    });

    it('ends its deliveries when the signal aborts, and closes in any state', async () => {
      const { source } = await open(resources);
      const reader = new Reader(source);
      const ended = reader.ended();
      reader.stop.abort();
      expect(await ended).toBe(true);
      await source.close();
      await source.close();
    });

    it('says that it is ready', async () => {
      const { source } = await open(resources);
      await waitFor('the source is ready', () => source.state().ready);
      expect(source.state()).toMatchObject({ ready: true, pending: 0, held: false });
      expect(source.state().lastError).toBeUndefined();
    });
  });
}
