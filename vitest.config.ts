import { configDefaults, defineConfig } from 'vitest/config';

import { unitTests } from './tests/support/unit-tests.ts';

// Workspaces import one another by name; this condition makes tests run their sources instead of a build that may be stale.
const conditions = ['floorwatch-source'];

// A file for the result as JSON, beside what is printed; for programs that count.
const report = process.env['FLOORWATCH_TEST_REPORT'];

const unit = [...unitTests(import.meta.dirname)];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    // A busy machine is slow, not wrong: these end what would never end, and judge nothing.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    // The machine that runs them may have two cores, and end-to-end tests start five processes each.
    maxWorkers: 2,
    tags: [{ name: 'long', description: 'takes seconds of processor time; left out by `npm run test:unit`' }],
    projects: [
      {
        extends: true,
        // Files share their modules, which halves the time; what one of them changes beyond itself, it puts back.
        test: { name: 'unit', include: unit, setupFiles: ['tests/support/unit-guard.ts'], isolate: false },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['*/test/**/*.test.ts', 'deploy/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...unit],
        },
      },
    ],
  },
});
