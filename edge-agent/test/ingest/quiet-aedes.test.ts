import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Client, PublishPacket } from 'aedes';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { QuietAedes } from '../../src/ingest/quiet-aedes.ts';

const packet: PublishPacket = { cmd: 'publish', topic: 'sensors/a/b', payload: '1', qos: 0, dup: false, retain: false };

describe('aedes, told whether there are subscribers', () => {
  const resources = resourcesPerTest();

  /** Publishes as a client's packet is, and says what of it was there when it was done, and when that was. */
  async function publish(hasSubscribers: boolean): Promise<{ heard: string[]; wasDoneAtOnce: boolean }> {
    const aedes = new QuietAedes();
    await aedes.listen();
    resources.defer(async () => new Promise<void>((resolve) => aedes.close(resolve)));
    const heard: string[] = [];
    aedes.subscribe(
      'sensors/#',
      ({ topic }, done) => {
        heard.push(topic);
        done();
      },
      () => undefined,
    );
    await nextTurn();
    aedes.hasSubscribers = hasSubscribers;
    let isDone = false;
    const published = new Promise<void>((resolve) => {
      aedes.publish(packet, { id: 'device' } as Client, () => {
        isDone = true;
        resolve();
      });
    });
    const wasDoneAtOnce = isDone;
    await published;
    return { heard, wasDoneAtOnce };
  }

  it('looks for them where there may be some', async () => {
    expect((await publish(true)).heard).toEqual(['sensors/a/b']);
  });

  it('does not look for them before anybody has subscribed, and still reads no further in the middle of a packet', async () => {
    expect(await publish(false)).toEqual({ heard: [], wasDoneAtOnce: false });
  });
});
