import type { Logger } from '@floorwatch/runtime';

import { DuckdbStore } from './duckdb-store.ts';
import { InfluxStore } from './influx-store.ts';
import type { RetentionClock } from './retention-clock.ts';
import type { StoreConfig } from './store-config.ts';
import type { Store } from './store.ts';

/**
 * The store that the configuration names, not yet connected.
 *
 * @param clock decides what is too old to be kept; absent: nothing is.
 */
export function createStore(config: StoreConfig, logger: Logger, clock?: RetentionClock): Store {
  return config.kind === 'duckdb' ? new DuckdbStore(config, logger, clock) : new InfluxStore(config, clock);
}
