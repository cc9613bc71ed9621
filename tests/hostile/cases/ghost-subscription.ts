import { setTimeout as pauseMs } from 'node:timers/promises';

import type { HostileCase } from '../harness/hostile-case.ts';

/** About 5, 9 and 36 KiB in one write: less than a piece of what the agent reads at a time, more than one, and several. */
const BURSTS = [50, 100, 400, 50, 100, 400];
const PAUSE_MS = 150;

/** Somebody has subscribed once, for a moment, and left; then a device sends bursts. */
export const ghostSubscription: HostileCase = {
  name: 'ghost-subscription',
  does: 'a device sends bursts after somebody has subscribed to everything and left',
  prepare:
    () =>
    async ({ connect, devices }) => {
      const ghost = await connect();
      const subscriptions = ['$SYS/#', '#'].map((topic) => ({ topic, qos: 0 as const }));
      ghost.send({ cmd: 'subscribe', messageId: 1, subscriptions });
      await ghost.hears('suback');
      ghost.vanish();
      for (const readings of BURSTS) {
        devices.burst(readings);
        await pauseMs(PAUSE_MS);
      }
      await devices.answered();
    },
};
