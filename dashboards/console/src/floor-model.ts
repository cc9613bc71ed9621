import type { SensorState, SensorView } from '@floorwatch/contracts';

/** How many sensors are in each state. */
export type StateCounts = Readonly<Record<SensorState, number>>;

/** Which sensors a person wants to see. */
export interface FloorFilter {
  readonly state: SensorState | undefined;
  /** Words that all must be found in a sensor's id, in any case and order. */
  readonly search: string;
}

/** The sensors of one device that match, in the order of their metrics. */
export interface DeviceGroup {
  /** `site/gateway/device`. */
  readonly key: string;
  readonly device: string;
  readonly sensors: readonly SensorView[];
}

export interface GatewayGroup {
  /** `site/gateway`. */
  readonly key: string;
  readonly site: string;
  readonly gateway: string;
  readonly devices: readonly DeviceGroup[];
  readonly sensors: number;
}

/** Sensors that the page holds; the processor has a limit of its own that is no larger. */
const SENSORS_MAX = 50_000;

/** What the page knows of the floor. */
export class FloorModel {
  readonly #sensors = new Map<string, SensorView>();
  /** Counts up whenever a sensor appears or changes its state: groups made before are then out of date. */
  revision = 0;

  get size(): number {
    return this.#sensors.size;
  }

  get(id: string): SensorView | undefined {
    return this.#sensors.get(id);
  }

  /** Takes newer views of sensors. */
  apply(views: readonly SensorView[]): void {
    for (const view of views) {
      const before = this.#sensors.get(view.id);
      if (before === undefined && this.#sensors.size >= SENSORS_MAX) continue;
      if (before?.state !== view.state) this.revision += 1;
      this.#sensors.set(view.id, view);
    }
  }

  /** Forgets sensors that the processor no longer lists. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#sensors.keys()) {
      if (ids.has(id)) continue;
      this.#sensors.delete(id);
      this.revision += 1;
    }
  }

  counts(): StateCounts {
    const counts = { normal: 0, warning: 0, critical: 0, unknown: 0 };
    for (const { state } of this.#sensors.values()) counts[state] += 1;
    return counts;
  }

  /** The sensors that match, by gateway and device, each in the order of its name. */
  groups({ state, search }: FloorFilter): GatewayGroup[] {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...this.#sensors.values()].filter(
      (view) =>
        (state === undefined || view.state === state) && words.every((word) => view.id.toLowerCase().includes(word)),
    );
    const gateways: { group: Omit<GatewayGroup, 'devices'>; devices: Map<string, SensorView[]> }[] = [];
    const byKey = new Map<string, (typeof gateways)[number]>();
    for (const view of found) {
      const { site, gateway, device } = view.sensor;
      const key = `${site}/${gateway}`;
      let entry = byKey.get(key);
      if (entry === undefined) {
        entry = { group: { key, site, gateway, sensors: 0 }, devices: new Map() };
        byKey.set(key, entry);
        gateways.push(entry);
      }
      const sensors = entry.devices.get(device);
      if (sensors === undefined) entry.devices.set(device, [view]);
      else sensors.push(view);
    }
    return gateways
      .map(({ group, devices }) => {
        const list = [...devices].map(([device, sensors]) => ({
          key: `${group.key}/${device}`,
          device,
          sensors: sensors.sort((a, b) => inOrder(a.sensor.metric, b.sensor.metric)),
        }));
        const total = list.reduce((sum, { sensors }) => sum + sensors.length, 0);
        return Object.assign(group, { devices: list.sort((a, b) => inOrder(a.device, b.device)), sensors: total });
      })
      .sort((a, b) => inOrder(a.key, b.key));
  }
}

const collator = new Intl.Collator('en', { numeric: true });

/** As a person sorts names: `press-2` before `press-10`. */
const inOrder = (a: string, b: string): number => collator.compare(a, b);
