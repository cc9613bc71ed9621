import type { Logger } from '@floorwatch/runtime';

import { DuckdbStore } from './duckdb-store.ts';
import { InfluxStore } from './influx-store.ts';
import type { StoreConfig } from './store-config.ts';
import type { Store } from './store.ts';

/** The store that the configuration names, not yet connected. */
export function createStore(config: StoreConfig, logger: Logger): Store {
  return config.kind === 'duckdb' ? new DuckdbStore(config, logger) : new InfluxStore(config);
}
