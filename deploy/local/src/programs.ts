import { fileURLToPath } from 'node:url';

const built = (workspace: string): string =>
  fileURLToPath(new URL(`../../../${workspace}/dist/main.js`, import.meta.url));

/** The built programs of this repository. */
export const programs = {
  agent: built('edge-agent'),
  processor: built('cloud-processor'),
  simulator: built('simulator'),
} as const;
