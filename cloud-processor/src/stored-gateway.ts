import type { GatewayName } from '@floorwatch/contracts';

/** A run as rows of the store tell it: records `from` to `to` of `epoch`, at least. */
export type StoredRun = readonly [run: number, epoch: string, from: number, to: number];

/** The runs that processors before have counted of a gateway's records. */
export interface StoredRuns extends GatewayName {
  /** Oldest first. */
  readonly runs: readonly StoredRun[];
}

/** What the store held of a gateway when its partition was begun without a checkpoint that knows of it. Instants are epoch milliseconds. */
export interface StoredGateway extends StoredRuns {
  /** No window that ends later was stored. */
  readonly windowsTo: number;
  /** No episode that opened later was stored. */
  readonly episodesTo: number;
}

/** What a partition is told of the work of others before it begins. */
export interface StoredBefore {
  readonly gateways: readonly StoredGateway[];
  /** No run above it was counted. */
  readonly runsTo: number;
}
