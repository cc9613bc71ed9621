import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { chaosOptions } from './harness/chaos-options.ts';
import { DuckdbFile } from './harness/chaos-store.ts';
import { killRounds, killTimeoutMs, ROUNDS_IN_TESTS } from './harness/kill-rounds.ts';
import { ProcessorVictim } from './harness/victims.ts';

const { rounds = ROUNDS_IN_TESTS } = chaosOptions();

describe('a processor with its embedded store that is killed with SIGKILL under load', () => {
  const resources = resourcesPerTest();

  it(
    'loses and doubles nothing, late readings included',
    async () => {
      const wrong = await killRounds(resources, {
        name: 'kill-processor',
        store: await DuckdbFile.create(resources),
        victims: (_, processor) => [new ProcessorVictim(processor)],
      });
      expect(wrong.join('\n')).toBe('');
    },
    killTimeoutMs(rounds),
  );
});
