/** Which sensors the gateway has, so that a device with invented names can't fill its memory. They are numbered from 0. */
export class SensorRegistry {
  readonly #max: number;
  /** Numbers by device and metric. Two short lookups in strings that are hashed already cost less than one in a joined name. */
  readonly #sensors = new Map<string, Map<string, number>>();
  /** Device and metric of every sensor, one after the other. */
  readonly #names: string[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** The number of a sensor that is known, or that there was room to add; undefined if there was none. */
  admit(device: string, metric: string): number | undefined {
    return this.#find(device, metric) ?? (this.size < this.#max ? this.#add(device, metric) : undefined);
  }

  /** The number of a sensor whose readings were accepted before, under whatever limit held then. */
  readmit(device: string, metric: string): number {
    return this.#find(device, metric) ?? this.#add(device, metric);
  }

  get size(): number {
    return this.#names.length / 2;
  }

  /** Device and metric of every sensor, one after the other, in the order of their numbers. */
  get names(): readonly string[] {
    return this.#names;
  }

  #find(device: string, metric: string): number | undefined {
    return this.#sensors.get(device)?.get(metric);
  }

  #add(device: string, metric: string): number {
    const number = this.size;
    const metrics = this.#sensors.get(device);
    if (metrics === undefined) this.#sensors.set(device, new Map([[metric, number]]));
    else metrics.set(metric, number);
    this.#names.push(device, metric);
    return number;
  }
}
