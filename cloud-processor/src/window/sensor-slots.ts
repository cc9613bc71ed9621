import type { GatewayName, RollupSensor, SensorRef } from '@floorwatch/contracts';

/** Gives every sensor of a gateway a small number, so that windows can be found by index. */
export class SensorSlots {
  readonly #gateway: GatewayName;
  readonly #max: number;
  #byDevice = new Map<string, Map<string, number>>();
  /** The slot by the object that names a sensor in batches, which is mostly the same one: spares looking up two texts. */
  #byObject = new WeakMap<RollupSensor, number>();
  /** The slots of whole lists of a batch, which are mostly the same ones too; as long as no slot and no unit changes its meaning. */
  #byList = new WeakMap<readonly RollupSensor[], readonly number[]>();
  /** By slot: the sensor as a row names it, one object shared by all its rows. */
  #refs: SensorRef[] = [];
  /** By slot: its names and its newest unit. Replaced, never changed, so that a copy of the list stays as it is. */
  #sensors: RollupSensor[] = [];

  constructor(gateway: GatewayName, max: number) {
    this.#gateway = gateway;
    this.#max = max;
  }

  get length(): number {
    return this.#refs.length;
  }

  get full(): boolean {
    return this.#refs.length >= this.#max;
  }

  /** The slot's sensor; the caller got the slot from here. */
  ref(slot: number): SensorRef {
    return this.#refs[slot]!;
  }

  unit(slot: number): string | undefined {
    return this.#sensors[slot]!.unit;
  }

  /** All sensors by slot, as they are now. */
  snapshot(): readonly RollupSensor[] {
    return this.#sensors.slice();
  }

  find(device: string, metric: string): number | undefined {
    return this.#byDevice.get(device)?.get(metric);
  }

  /** The slot of each sensor, see {@link slotOf}. */
  slotsOf(sensors: readonly RollupSensor[]): readonly number[] {
    const known = this.#byList.get(sensors);
    if (known !== undefined) return known;
    const slots = sensors.map((sensor) => this.slotOf(sensor));
    if (Object.isFrozen(sensors) && !slots.includes(-1)) this.#byList.set(sensors, slots);
    return slots;
  }

  /** The sensor's slot, given out now if it has none, or −1 if there is no room. The newest unit counts. */
  slotOf(sensor: RollupSensor): number {
    const { device, metric, unit } = sensor;
    let known = this.#byObject.get(sensor);
    if (known === undefined) {
      known = this.find(device, metric);
      if (known !== undefined) this.#byObject.set(sensor, known);
    }
    if (known !== undefined) {
      if (unit !== undefined && unit !== this.unit(known)) {
        this.#sensors[known] = { device, metric, unit };
        this.#byList = new WeakMap();
      }
      return known;
    }
    if (this.full) return -1;
    const slot = this.#refs.length;
    this.#refs.push({ ...this.#gateway, device, metric });
    this.#sensors.push(unit === undefined ? { device, metric } : { device, metric, unit });
    const metrics = this.#byDevice.get(device);
    if (metrics === undefined) this.#byDevice.set(device, new Map([[metric, slot]]));
    else metrics.set(metric, slot);
    return slot;
  }

  /** Keeps only the sensors at `used`. Returns the new slot of each old one, −1 for those that are gone. */
  keep(used: ReadonlySet<number>): Int32Array {
    const before = this.#sensors;
    const slotOf = new Int32Array(before.length).fill(-1);
    this.#refs = [];
    this.#sensors = [];
    this.#byDevice = new Map();
    this.#byObject = new WeakMap();
    this.#byList = new WeakMap();
    for (const [slot, sensor] of before.entries()) if (used.has(slot)) slotOf[slot] = this.slotOf(sensor);
    return slotOf;
  }
}
