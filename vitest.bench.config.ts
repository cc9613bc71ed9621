import { defineConfig } from 'vitest/config';

import base from './vitest.config.ts';

// Benchmarks are vitest files that measure and print. One at a time, because they share the cores with what they measure.
export default defineConfig({
  ...base,
  test: {
    include: ['tests/bench/**/*.bench.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
  },
});
