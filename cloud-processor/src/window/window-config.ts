import { type DurationMs, type GatewayName, gatewayKey } from '@floorwatch/contracts';

import { LateCounts } from './late-counts.ts';
import { type LateWindowSnapshot, LateWindows } from './late-windows.ts';

/** What the windows of a partition are made of. */
export interface WindowConfig {
  /** Lengths of the windows, each a multiple of 10 s, no two the same. */
  readonly sizes: readonly DurationMs[];
  /** How far the gateway's watermark must be past a window's end before the window is sealed. */
  readonly allowedLateness: DurationMs;
  readonly gatewaysMax: number;
  readonly sensorsPerGatewayMax: number;
  /** Open windows of all gateways, from which the oldest are sealed early; passed by what one record opens at most. */
  readonly openWindowsMax: number;
  readonly lostRangesPerGatewayMax: number;
  /** How long a stretch of lost readings is remembered behind the seal, so that late readings that begin a window there mark it. */
  readonly lostKept: DurationMs;
  /** The longest stretch of lost readings whose sealed windows are marked. */
  readonly lostSealedMax: DurationMs;
  readonly lateWindowsMax: number;
  /** Late rollups that may wait for the store, each counted once per size. */
  readonly lateRollupsMax: number;
}

/** What the gateways of a partition share: a bounded number of windows, and counters. */
export class WindowShared {
  openWindows = 0;
  readonly late: LateCounts;
  /** What waits to correct windows that are sealed. */
  readonly lateWindows: LateWindows;
  /** Late readings since the start, by gateway and size. */
  readonly lateReadings = new Map<string, GatewayName & { readonly size: number; readings: number }>();
  /** Stretches of lost readings since the start that were too long to mark the windows that had been sealed. */
  lossesTooLong = 0;
  /** Windows since the start that were sealed before their time, because there were too many. */
  sealedEarly = 0;
  /** Readings that found no place in a window since the start, by reason. */
  readonly refusedReadings = new Map<string, number>();

  constructor(
    config: WindowConfig,
    late: Iterable<readonly [string, number]> = [],
    lateWindows: readonly LateWindowSnapshot[] = [],
  ) {
    this.late = new LateCounts(config.lateWindowsMax, late);
    this.lateWindows = new LateWindows(config.lateRollupsMax, lateWindows);
  }

  countLate(name: GatewayName, size: number, readings: number): void {
    const key = `${gatewayKey(name)}\n${size}`;
    const known = this.lateReadings.get(key);
    if (known === undefined) this.lateReadings.set(key, { ...name, size, readings });
    else known.readings += readings;
  }

  countRefused(reason: string, readings: number): void {
    this.refusedReadings.set(reason, (this.refusedReadings.get(reason) ?? 0) + readings);
  }
}
