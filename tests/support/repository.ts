import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository. */
export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Where the programs are, when they are built; `npm test` builds first. */
export const programs = {
  agent: join(repositoryRoot, 'edge-agent/dist/main.js'),
  processor: join(repositoryRoot, 'cloud-processor/dist/main.js'),
  simulator: join(repositoryRoot, 'simulator/dist/main.js'),
} as const;

/**
 * Path of a file among the datasets, or undefined where it is not at hand. They are looked for in the folder that the environment
 * variable FLOORWATCH_DATASETS names, else in ../shared/datasets beside the repository.
 *
 * @param path relative to that folder; default: the folder itself.
 */
export function datasetPath(path = '.'): string | undefined {
  const folder = process.env['FLOORWATCH_DATASETS'] ?? join(repositoryRoot, '../shared/datasets');
  const full = join(folder, path);
  return existsSync(full) ? full : undefined;
}
