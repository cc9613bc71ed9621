import { setTimeout as pauseMs } from 'node:timers/promises';

import type { HostileCase } from '../harness/hostile-case.ts';

const SUBSCRIBERS = 10;
const PAYLOAD = Buffer.alloc(20_000, 'x');
const BATCH = 10;
/** The system keeps some 4 MB of each connection before the agent has anything that is unsent. */
const BATCHES_MAX = 200;
const PAUSE_MS = 25;
/** How many messages must be dropped. */
const DROPPED = 500;

/** Programs that subscribe to everything and then do not read, as a laptop does that sleeps. */
export const stalledSubscriber: HostileCase = {
  name: 'stalled-subscriber',
  does: 'ten subscribers to everything stop reading',
  prepare:
    () =>
    async ({ connect, refused }) => {
      const subscribers = await Promise.all(Array.from({ length: SUBSCRIBERS }, async () => connect()));
      for (const subscriber of subscribers) {
        subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] });
        await subscriber.hears('suback');
        subscriber.stopReading();
      }
      const publisher = await connect();
      const packet = {
        cmd: 'publish',
        topic: 'stalled/a',
        qos: 0,
        dup: false,
        retain: false,
        payload: PAYLOAD,
      } as const;
      const batch = Array.from({ length: BATCH }, () => packet);
      for (let i = 0; i < BATCHES_MAX && (await refused('subscriber-slow')) < DROPPED; i++) {
        publisher.send(...batch);
        await pauseMs(PAUSE_MS);
      }
      if ((await refused('subscriber-slow')) < DROPPED) throw new Error('nobody stalled');
    },
};
