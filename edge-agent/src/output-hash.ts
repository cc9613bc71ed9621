import { createHash } from 'node:crypto';

import { ROLLUP_MS } from '@floorwatch/contracts';

import type { SensorEngine } from './sensor-engine.ts';
import type { EngineConfig } from './sensor-engine-config.ts';

/** A hash of all that decides about outputs: what was made under another one can't be gone on with as if nothing had happened. */
export const outputHash = ({ outputRules }: SensorEngine, config: EngineConfig): string =>
  createHash('sha256')
    .update(JSON.stringify([outputRules, ROLLUP_MS, config]))
    .digest('hex')
    .slice(0, 16);
