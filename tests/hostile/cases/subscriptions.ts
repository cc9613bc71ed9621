import { setTimeout as pauseMs } from 'node:timers/promises';

import mqtt from 'mqtt-packet';

import type { HostileCase } from '../harness/hostile-case.ts';

const CLIENTS = 20;
const SUBSCRIPTIONS = 100_000;
const PER_PACKET = 100;

/** Programs that subscribe without an end, as one does that asks for every topic by its name. */
export const subscriptions: HostileCase = {
  name: 'subscriptions',
  does: 'twenty clients ask for 100,000 subscriptions',
  prepare: (_random, round) => {
    const packets = Array.from({ length: SUBSCRIPTIONS / PER_PACKET }, (_, packet) =>
      mqtt.generate({
        cmd: 'subscribe',
        messageId: 1 + packet,
        subscriptions: Array.from({ length: PER_PACKET }, (_unused, i) => ({
          topic: `sensors/subscribed-${round}-${packet}/metric-${i}/and/more`,
          qos: 0 as const,
        })),
      }),
    );
    return async ({ connect, refused }) => {
      const clients = await Promise.all(
        Array.from({ length: CLIENTS }, async (_, i) => connect({ clean: i % 2 === 0 })),
      );
      for (let at = 0; at < packets.length; at += CLIENTS) {
        clients.forEach((client, i) => client.send(packets[at + i]!));
        await pauseMs(20);
      }
      for (const client of clients) await client.hears('suback', packets.length / CLIENTS);
      const counts = await Promise.all(['subscriptions-client', 'subscriptions-all'].map(refused));
      if (counts.every((count) => count === 0)) throw new Error('no subscription was refused');
    };
  },
};
