import { createHash } from 'node:crypto';

import { ROLLUP_MS } from '@floorwatch/contracts';

import type { EngineConfig } from './sensor-engine-config.ts';

/** Counts up when the engine makes other outputs of the same items with the same configuration. */
const OUTPUT_RULES = 1;

/** A hash of all that decides about outputs: what was made under another one can't be gone on with as if nothing had happened. */
export const outputHash = (engine: EngineConfig): string =>
  createHash('sha256')
    .update(JSON.stringify([OUTPUT_RULES, ROLLUP_MS, engine]))
    .digest('hex')
    .slice(0, 16);
