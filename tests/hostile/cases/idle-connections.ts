import { setTimeout as pauseMs } from 'node:timers/promises';

import type { HostileCase } from '../harness/hostile-case.ts';

/** As many as the broker has places; the good devices have some of them. */
const CONNECTIONS = 2_000;
/** What waits to be accepted is bounded, too. */
const BATCH = 50;
const PAUSE_MS = 20;

/** One machine that takes every place and says nothing; a device of another still gets one. */
export const idleConnections: HostileCase = {
  name: 'idle-connections',
  does: 'one machine takes every place for connections and says nothing',
  prepare:
    (_random, round) =>
    async ({ connect, refused }) => {
      const before = await refused('idle-closed');
      for (let i = 0; i < CONNECTIONS; i += BATCH) {
        await Promise.all(Array.from({ length: BATCH }, async () => connect(null, '127.0.0.3')));
        await pauseMs(PAUSE_MS);
      }
      const device = await connect({ clientId: `late-${round}` }, '127.0.0.2');
      await device.hears('connack');
      if ((await refused('idle-closed')) === before) throw new Error('there were places left');
    },
};
