import { lookForServer } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, skippedIf } from '../support/index.ts';
import { chaosOptions } from './harness/chaos-options.ts';
import { InfluxServer } from './harness/chaos-store.ts';
import { killRounds, killTimeoutMs, ROUNDS_IN_TESTS } from './harness/kill-rounds.ts';
import { AgentVictim, InfluxVictim, NatsVictim, ProcessorVictim } from './harness/victims.ts';

const { rounds = ROUNDS_IN_TESTS } = chaosOptions();
const influxd = await lookForServer('influxd');
const why = skippedIf(influxd === undefined, 'no influxd was found');

describe('two of agent, NATS server, processor and InfluxDB that are killed with SIGKILL at once', () => {
  const resources = resourcesPerTest();

  it.skipIf(influxd === undefined)(
    `lose and double nothing between them${why}`,
    async () => {
      const wrong = await killRounds(resources, {
        name: 'kill-two',
        store: await InfluxServer.create(resources),
        victims: (floor, processor, store) => [
          new AgentVictim(floor),
          new NatsVictim(floor, processor),
          new ProcessorVictim(processor),
          new InfluxVictim(store, processor),
        ],
        atOnce: 2,
      });
      expect(wrong.join('\n')).toBe('');
    },
    killTimeoutMs(rounds),
  );
});
