import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createLogger } from '@floorwatch/runtime';

import { createStore } from '../../src/write/create-store.ts';
import { storeConfigSchema } from '../../src/write/store-config.ts';
import { messageSeen } from './sample-rows.ts';
import { describeStore } from './store-contract.ts';

describeStore('DuckDB', {
  async fresh(retentionDays) {
    const folder = await mkdtemp(join(tmpdir(), 'floorwatch-duckdb-'));
    const config = storeConfigSchema.parse({ kind: 'duckdb', file: join(folder, 'store.duckdb'), retentionDays });
    const make = () => createStore(config, createLogger('test', 'silent'), messageSeen(Date.now()));
    return { store: make(), again: make, remove: () => rm(folder, { recursive: true }) };
  },
});
