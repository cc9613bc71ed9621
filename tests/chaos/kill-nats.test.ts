import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { chaosOptions } from './harness/chaos-options.ts';
import { DuckdbFile } from './harness/chaos-store.ts';
import { killRounds, killTimeoutMs, ROUNDS_IN_TESTS } from './harness/kill-rounds.ts';
import { NatsVictim } from './harness/victims.ts';

const { rounds = ROUNDS_IN_TESTS } = chaosOptions();

describe('a NATS server that is killed with SIGKILL under load and keeps its store', () => {
  const resources = resourcesPerTest();

  it(
    'loses and doubles nothing on the way to the store',
    async () => {
      const wrong = await killRounds(resources, {
        name: 'kill-nats',
        store: await DuckdbFile.create(resources),
        victims: (floor, processor) => [new NatsVictim(floor, processor)],
      });
      expect(wrong.join('\n')).toBe('');
    },
    killTimeoutMs(rounds),
  );
});
