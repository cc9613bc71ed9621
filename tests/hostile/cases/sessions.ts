import { setTimeout as pauseMs } from 'node:timers/promises';

import mqtt from 'mqtt-packet';

import type { HostileCase } from '../harness/hostile-case.ts';

const SESSIONS = 12;
const MESSAGES_PER_SESSION = 500;
const PAYLOAD = Buffer.alloc(4_000, 'x');
const BATCH = 10;

const publish = (messageId: number): Buffer =>
  mqtt.generate({
    ...({ cmd: 'publish', qos: 2, dup: false, retain: false } as const),
    topic: 'sessions/a',
    messageId,
    payload: PAYLOAD,
  });

/** Clients that never finish QoS 2, and leave their sessions behind. */
export const sessions: HostileCase = {
  name: 'sessions',
  does: 'twelve sessions without end leave messages of QoS 2 unfinished',
  prepare: (_random, round) => {
    const batches = Array.from({ length: MESSAGES_PER_SESSION / BATCH }, (_, batch) =>
      Buffer.concat(Array.from({ length: BATCH }, (_unused, i) => publish(1 + batch * BATCH + i))),
    );
    return async ({ connect }) => {
      const clients = await Promise.all(
        Array.from({ length: SESSIONS }, async (_, i) => connect({ clean: false, clientId: `session-${round}-${i}` })),
      );
      for (const batch of batches) {
        for (const client of clients) client.send(batch);
        await pauseMs(20);
      }
      for (const client of clients) await client.hears('pubrec', MESSAGES_PER_SESSION);
    };
  },
};
