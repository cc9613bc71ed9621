import {
  type Collector,
  type DurationMs,
  type EpochMs,
  type GatewayName,
  gatewayKey,
  type LateRow,
  type LiveWindowRow,
  type RecordPlace,
  type RollupSensor,
  type RollupsRecord,
  type SensorRef,
  type WindowRow,
} from '@floorwatch/contracts';

import { type GatewaySnapshot, GatewayWindows } from './gateway-windows.ts';
import type { LateWindows, LateWindowSnapshot } from './late-windows.ts';
import type { LostRange } from './lost-ranges.ts';
import type { GatewayReach } from './reach.ts';
import { type WindowConfig, WindowShared } from './window-config.ts';

/** The windows of a partition as they are saved. */
export interface WindowSnapshot {
  readonly gateways: readonly GatewaySnapshot[];
  /** Late readings so far, by `site/gateway/device/metric`, size and start, joined by line feeds. */
  readonly late: readonly (readonly [string, number])[];
  /** Late readings that wait to correct their windows. */
  readonly lateWindows: readonly LateWindowSnapshot[];
}

/** A stretch in which a gateway lost readings of windows that had been sealed, see `LostRange`. */
export interface SealedLoss {
  readonly gateway: GatewayName;
  readonly range: LostRange;
  /** Of the windows that are to be marked. */
  readonly sizes: readonly number[];
}

/**
 * Folds rollups into tumbling windows of event time, several sizes at once, for all gateways of a partition. Pure: the same calls in
 * the same order give the same rows, bit by bit.
 */
export class WindowOperator {
  readonly #config: WindowConfig;
  readonly #shared: WindowShared;
  readonly #gateways = new Map<string, GatewayWindows>();
  /** Where the next round of running values begins, so that no gateway is left out for ever. */
  #turn = 0;

  constructor(config: WindowConfig, from?: WindowSnapshot) {
    this.#config = config;
    this.#shared = new WindowShared(config, from?.late, from?.lateWindows);
    for (const gateway of from?.gateways ?? []) {
      this.#gateways.set(gatewayKey(gateway), new GatewayWindows(gateway, config, this.#shared, gateway));
    }
  }

  get openWindows(): number {
    return this.#shared.openWindows;
  }

  get shared(): Readonly<
    Pick<WindowShared, 'lateReadings' | 'refusedReadings' | 'sealedEarly' | 'late' | 'lossesTooLong'>
  > {
    return this.#shared;
  }

  watermarks(): readonly (GatewayName & { readonly watermark: EpochMs | undefined })[] {
    return [...this.#gateways.values()].map(({ name: { site, gateway }, watermark }) => ({ site, gateway, watermark }));
  }

  /** Open windows of each gateway, and the memory that they take. */
  sizes(): readonly (GatewayName & GatewayWindows['size'])[] {
    return Array.from(this.#gateways.values(), ({ name, size }) => ({
      site: name.site,
      gateway: name.gateway,
      windows: size.windows,
      bytes: size.bytes,
    }));
  }

  /** A record of the gateway has been applied. To be called after each, also where it had nothing for windows. */
  noteReach(name: GatewayName, place: RecordPlace): void {
    this.#gateways.get(gatewayKey(name))?.noteReach(place);
  }

  /** How far a gateway has reached, record by record, see `Reach`. */
  reachOf(name: GatewayName): GatewayReach {
    return this.#gateways.get(gatewayKey(name))?.reach ?? { steps: [], newest: -Infinity };
  }

  /** What waits to correct windows that are sealed. */
  get lateWindows(): LateWindows {
    return this.#shared.lateWindows;
  }

  /**
   * Merges a checked record of the gateway. Where it may open more windows than there is room for, older ones are sealed first and go to `out`.
   *
   * @param sensors the list that its column `sensor` points into.
   * @param run see `RecordPlace`.
   */
  merge(
    name: GatewayName,
    sensors: readonly RollupSensor[],
    record: RollupsRecord,
    run: number,
    out: Collector<LateRow | WindowRow>,
  ): void {
    const gateway = this.#gateway(name);
    if (gateway !== undefined) {
      this.#makeRoom(record.columns.n.length * this.#config.sizes.length, out);
      gateway.merge(sensors, record, run, out);
    } else
      this.#shared.countRefused(
        'too-many-gateways',
        record.columns.n.reduce((sum, n) => sum + n, 0),
      );
  }

  /**
   * Makes room for so many windows more. The gateway with most of them seals its oldest first. What is sealed is whole for now, and corrected by what
   * comes for it later; refusing that would lose it, and waiting would never end, because only what is not read yet moves the watermark.
   */
  #makeRoom(wanted: number, out: Collector<WindowRow>): void {
    const { openWindowsMax: max } = this.#config;
    if (this.openWindows + wanted <= max) return;
    // A few more at once than there is need for, so that this is not done for every record.
    const target = Math.max(0, max - Math.max(wanted, max / 64));
    const largestFirst = Array.from(this.#gateways.values(), (gateway) => ({ gateway, open: gateway.size.windows }));
    for (const { gateway } of largestFirst.sort((a, b) => b.open - a.open)) gateway.sealOldest(target, out);
  }

  /** The gateway's watermark moved; windows that it seals go to `out`. */
  advance(name: GatewayName, watermark: EpochMs, out: Collector<WindowRow>): void {
    this.#gateway(name)?.advance(watermark, out);
  }

  /** Readings of the gateway are lost: its windows in `range` (null: unknown) are incomplete. */
  lose(name: GatewayName, range: LostRange | null): void {
    this.#gateway(name)?.lose(range);
  }

  /** By gateway: windows that end by then may be in the store, although this state knows nothing of them. */
  storedTo: ReadonlyMap<string, number> = new Map();

  /** Records of the gateway are gone that were safe once, see `GatewayWindows.recover`. */
  recover(name: GatewayName, out: Collector<WindowRow>): void {
    this.#gateway(name)?.recover(this.storedTo.get(gatewayKey(name)), out);
  }

  /** Where sealed windows are to be marked incomplete, until {@link marked} is told. */
  losses(): readonly SealedLoss[] {
    return [...this.#gateways.values()].flatMap(({ name, lostSealed: { ranges, sizes } }) =>
      ranges.map((range) => ({ gateway: name, range, sizes })),
    );
  }

  /** Sealed windows are to be marked once more. */
  markAgain({ gateway, range }: SealedLoss): void {
    this.#gateway(gateway)?.markAgain(range);
  }

  /** All sealed windows of a stretch are marked. */
  marked({ gateway, range }: SealedLoss): void {
    this.#gateway(gateway)?.marked(range);
  }

  /** The open windows of one sensor and size, oldest first. */
  open(sensor: SensorRef, size: DurationMs): readonly LiveWindowRow[] {
    return this.#gateways.get(gatewayKey(sensor))?.open(sensor.device, sensor.metric, size) ?? [];
  }

  /** At most `max` open windows that changed since they were last taken. */
  takeChanged(max: number): readonly LiveWindowRow[] {
    const rows: LiveWindowRow[] = [];
    const gateways = [...this.#gateways.values()];
    const first = gateways.length === 0 ? 0 : this.#turn++ % gateways.length;
    for (const gateway of [...gateways.slice(first), ...gateways.slice(0, first)]) {
      if (rows.length >= max) break;
      gateway.takeChanged(max - rows.length, rows);
    }
    return rows;
  }

  snapshot(): WindowSnapshot {
    return {
      gateways: [...this.#gateways.values()].map((gateway) => gateway.snapshot()),
      late: [...this.#shared.late.entries()],
      lateWindows: this.#shared.lateWindows.snapshot(),
    };
  }

  #gateway(name: GatewayName): GatewayWindows | undefined {
    const key = gatewayKey(name);
    const known = this.#gateways.get(key);
    if (known !== undefined || this.#gateways.size >= this.#config.gatewaysMax) return known;
    const gateway = new GatewayWindows(name, this.#config, this.#shared);
    this.#gateways.set(key, gateway);
    return gateway;
  }
}
