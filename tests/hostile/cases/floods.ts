import { setTimeout as pauseMs } from 'node:timers/promises';

import mqtt from 'mqtt-packet';

import type { HostileCase } from '../harness/hostile-case.ts';

const FLOODERS = 4;
const MESSAGES = 1_000;
const BATCHES = 20;
const PAUSE_MS = 40;
const TOPICS = 50;

/** Clients that publish as fast as they can. */
export const floods: HostileCase = {
  name: 'floods',
  does: 'four clients publish as fast as they can',
  prepare: (random) => {
    const batch = Buffer.concat(
      Array.from({ length: MESSAGES }, (_, i) =>
        mqtt.generate({
          ...({ cmd: 'publish', qos: 0, dup: false, retain: false } as const),
          topic: `sensors/flood/${i % TOPICS}`,
          payload: `${20 + Math.round(random.between(0, 10)) / 10}`,
        }),
      ),
    );
    return async ({ connect }) => {
      const clients = await Promise.all(Array.from({ length: FLOODERS }, async () => connect()));
      for (let i = 0; i < BATCHES; i++) {
        for (const client of clients) client.send(batch);
        await pauseMs(PAUSE_MS);
      }
    };
  },
};
