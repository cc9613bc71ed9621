import { defineConfig, mergeConfig } from 'vitest/config';

import tests from './vitest.config.ts';

// Benchmarks are run like tests, one after the other, by `npm run bench` alone.
export default mergeConfig(
  { ...tests, test: { ...tests.test, include: [] } },
  defineConfig({
    test: { include: ['tests/bench/**/*.bench.ts'], testTimeout: 30 * 60_000, fileParallelism: false },
  }),
);
