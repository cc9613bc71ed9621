import type { GatewayName, RollupSensor, SensorRef } from '@floorwatch/contracts';

/** A sensor as a row names it. One object per sensor, shared by all its rows. */
export interface SlotSensor {
  readonly ref: SensorRef;
  unit: string | undefined;
}

/** Gives every sensor of a gateway a small number, so that windows can be found by index. */
export class SensorSlots {
  readonly #gateway: GatewayName;
  readonly #max: number;
  #byDevice = new Map<string, Map<string, number>>();
  #sensors: SlotSensor[] = [];

  constructor(gateway: GatewayName, max: number) {
    this.#gateway = gateway;
    this.#max = max;
  }

  get length(): number {
    return this.#sensors.length;
  }

  get full(): boolean {
    return this.#sensors.length >= this.#max;
  }

  /** The slot's sensor; the caller got the slot from here. */
  sensor(slot: number): SlotSensor {
    return this.#sensors[slot]!;
  }

  all(): readonly SlotSensor[] {
    return this.#sensors;
  }

  find(device: string, metric: string): number | undefined {
    return this.#byDevice.get(device)?.get(metric);
  }

  /** The sensor's slot, given out now if it has none, or −1 if there is no room. The newest unit counts. */
  slotOf(sensor: RollupSensor): number {
    const known = this.find(sensor.device, sensor.metric);
    if (known !== undefined) {
      if (sensor.unit !== undefined) this.sensor(known).unit = sensor.unit;
      return known;
    }
    if (this.full) return -1;
    const slot = this.#sensors.length;
    const { device, metric } = sensor;
    this.#sensors.push({ ref: { ...this.#gateway, device, metric }, unit: sensor.unit });
    const metrics = this.#byDevice.get(device);
    if (metrics === undefined) this.#byDevice.set(device, new Map([[metric, slot]]));
    else metrics.set(metric, slot);
    return slot;
  }

  /** Keeps only the sensors at `used`. Returns the new slot of each old one, −1 for those that are gone. */
  keep(used: ReadonlySet<number>): Int32Array {
    const before = this.#sensors;
    const slotOf = new Int32Array(before.length).fill(-1);
    this.#sensors = [];
    this.#byDevice = new Map();
    for (const [slot, { ref, unit }] of before.entries()) {
      if (used.has(slot)) slotOf[slot] = this.slotOf({ ...ref, ...(unit === undefined ? {} : { unit }) });
    }
    return slotOf;
  }
}
