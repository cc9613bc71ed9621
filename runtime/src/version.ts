import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** The release that runs; all workspaces carry the same version. */
export const VERSION = manifest.version;
