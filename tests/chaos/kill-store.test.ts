import { lookForServer } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, skippedIf } from '../support/index.ts';
import { chaosOptions } from './harness/chaos-options.ts';
import { InfluxServer } from './harness/chaos-store.ts';
import { killRounds, killTimeoutMs, ROUNDS_IN_TESTS } from './harness/kill-rounds.ts';
import { InfluxVictim } from './harness/victims.ts';

const { rounds = ROUNDS_IN_TESTS } = chaosOptions();
const influxd = await lookForServer('influxd');
const why = skippedIf(influxd === undefined, 'no influxd was found');

describe('an InfluxDB that is killed with SIGKILL under load', () => {
  const resources = resourcesPerTest();

  it.skipIf(influxd === undefined)(
    `holds everything once all the same${why}`,
    async () => {
      const wrong = await killRounds(resources, {
        name: 'kill-store',
        store: await InfluxServer.create(resources),
        victims: (_, processor, store) => [new InfluxVictim(store, processor)],
      });
      expect(wrong.join('\n')).toBe('');
    },
    killTimeoutMs(rounds),
  );
});
