import { defineConfig } from 'vitest/config';

// Workspaces import one another by name; this condition makes tests run their sources instead of a build that may be stale.
const conditions = ['floorwatch-source'];

// A file for the result as JSON, beside what is printed; for programs that count.
const report = process.env['FLOORWATCH_TEST_REPORT'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    include: ['*/test/**/*.test.ts', 'deploy/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A busy machine is slow, not wrong: what is waited for may take longer than vitest's second.
    expect: { poll: { timeout: 15_000 } },
    // The machine that runs them may have two cores, and end-to-end tests start five processes each.
    maxWorkers: 2,
  },
});
