import type {
  AnomalyRow,
  DurationMs,
  EpochMs,
  GatewayName,
  GatewayRow,
  LiveWindowRow,
  RollupSensor,
  RollupsRecord,
  SensorRef,
} from '@floorwatch/contracts';

import type { AlarmSnapshot } from './sequence/alarms.ts';

/**
 * Hears what the pipeline applies, as it happens, so that pages can show the floor as it is now. Called on the hot path: every
 * method returns at once and never throws. Nothing durable depends on it.
 */
export interface FloorObserver {
  /** A batch of the gateway was applied. `heardAt` is the processor's own clock. */
  heard(gateway: GatewayName, heardAt: EpochMs): void;
  watermark(gateway: GatewayName, watermark: EpochMs): void;
  /**
   * A record of rollups was applied.
   *
   * @param sensors the list that its column `sensor` points into.
   */
  rollups(gateway: GatewayName, sensors: readonly RollupSensor[], record: RollupsRecord): void;
  anomaly(row: AnomalyRow): void;
  gateway(row: GatewayRow): void;
  /** An alarm was raised, for the first time or again, or was found in the checkpoint. */
  alarm(alarm: AlarmSnapshot): void;
}

/** For work that pages should not see. */
export const deafObserver: FloorObserver = {
  heard: () => undefined,
  watermark: () => undefined,
  rollups: () => undefined,
  anomaly: () => undefined,
  gateway: () => undefined,
  alarm: () => undefined,
};

/** Lets pages read the windows that are still open. */
export interface OpenWindows {
  /** The open windows of one sensor and size, oldest first. */
  openWindows(sensor: SensorRef, size: DurationMs): readonly LiveWindowRow[];
}
