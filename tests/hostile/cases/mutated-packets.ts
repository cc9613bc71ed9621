import { setTimeout as pauseMs } from 'node:timers/promises';

import type { HostileCase } from '../harness/hostile-case.ts';
import { mutated } from '../harness/mutations.ts';

const PACKETS = 20_000;
const PACKETS_PER_CLIENT = 20;
/** Clients that are connected at a time, and how long each stays. */
const CLIENTS = 20;
const STAY_MS = 30;

/** Packets that are no MQTT, or nearly. Every client begins with a good CONNECT, so that most of what follows is parsed. */
export const mutatedPackets: HostileCase = {
  name: 'mutated-packets',
  does: '20,000 mutated packets arrive on 1,000 connections',
  prepare: (random) => {
    const writes = Array.from({ length: PACKETS / PACKETS_PER_CLIENT }, () =>
      Buffer.concat(Array.from({ length: PACKETS_PER_CLIENT }, () => mutated(random))),
    );
    return async ({ connect }) => {
      const send = async (): Promise<void> => {
        for (let write = writes.pop(); write !== undefined; write = writes.pop()) {
          const client = await connect();
          client.send(write);
          await pauseMs(STAY_MS);
          client.vanish();
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, send));
    };
  },
};
