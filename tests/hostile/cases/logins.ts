import { setTimeout as pauseMs } from 'node:timers/promises';

import type { HostileCase } from '../harness/hostile-case.ts';
import { lateUser } from '../harness/users.ts';

const GUESSES = 900;
const BATCH = 30;
const PAUSE_MS = 20;
/** Checks that the device waits for at most: sixteen by the rules, and what is checked while this test asks how many there were. */
const CHECKS_MAX = 60;

/** Somebody guesses passwords while a device logs in from the same address. */
export const logins: HostileCase = {
  name: 'logins',
  does: 'somebody tries 900 wrong passwords while a device logs in',
  prepare:
    (_random, round) =>
    async ({ connect, refused }) => {
      const answered = async (): Promise<number> => (await refused('wrong-password')) + (await refused('logins-full'));
      const before = await answered();
      const late = lateUser(round);
      for (let i = 0; i < GUESSES; i += BATCH) {
        await Promise.all(
          Array.from({ length: BATCH }, async (_, k) => {
            const guess = Buffer.from(`guess ${round} ${i + k}`);
            const username = k % 2 === 0 ? late.username : `nobody ${i + k}`;
            return connect({ username, password: guess });
          }),
        );
        await pauseMs(PAUSE_MS);
      }
      const checked = await refused('wrong-password');
      const device = await connect(late);
      await device.hears('connack');
      const waited = (await refused('wrong-password')) - checked;
      if (waited > CHECKS_MAX) throw new Error(`the device waited for ${waited} checks`);
      while ((await answered()) - before < GUESSES) await pauseMs(PAUSE_MS);
    },
};
