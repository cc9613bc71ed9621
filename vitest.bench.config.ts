import { defineConfig } from 'vitest/config';

import tests from './vitest.config.ts';

const { projects: _, ...settings } = tests.test ?? {};

// Benchmarks are run like tests, one after the other, by `npm run bench` alone.
export default defineConfig({
  ...tests,
  test: { ...settings, include: ['tests/bench/**/*.bench.ts'], testTimeout: 30 * 60_000, fileParallelism: false },
});
