import { defineConfig } from 'vitest/config';

// Workspaces import one another by name; this condition makes tests run their sources instead of a build that may be stale.
const conditions = ['floorwatch-source'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['*/test/**/*.test.ts', 'deploy/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // The machine that runs them may have two cores, and end-to-end tests start five processes each.
    maxWorkers: 2,
  },
});
