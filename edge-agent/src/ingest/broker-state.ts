import type { EpochMs } from '@floorwatch/contracts';

import type { DoorViews } from './door-log.ts';

/** How a broker is, for the status page. */
export interface BrokerState {
  readonly kind: 'embedded' | 'external';
  /** Where it listens, or where it is. */
  readonly address: string;
  /** Embedded: listening. External: connected and subscribed. */
  readonly ready: boolean;
  /** Since when `ready` is what it is. */
  readonly since: EpochMs;
  /** Devices connected to the embedded broker. */
  readonly connections?: number;
  /** Connections that it takes at a time. */
  readonly connectionsMax?: number;
  /** What went wrong last, in words. */
  readonly lastError?: string;
  /** Messages received and not yet in the pipeline. */
  readonly pending: number;
  /** Whether reading from the network is held because the pipeline has no room. */
  readonly held: boolean;
  /** What the embedded broker refused, dropped or closed. */
  readonly door?: DoorViews;
}
