/** Which sensors the gateway has, so that a device with invented names can't fill its memory. */
export class SensorRegistry {
  readonly #max: number;
  /** Metrics by device. Two short lookups in strings that are hashed already cost less than one in a joined name. */
  readonly #metrics = new Map<string, Set<string>>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Whether the sensor is known, or there was room to add it. */
  admit(device: string, metric: string): boolean {
    const metrics = this.#metrics.get(device);
    if (metrics?.has(metric) === true) return true;
    if (this.#size >= this.#max) return false;
    this.#size += 1;
    if (metrics === undefined) this.#metrics.set(device, new Set([metric]));
    else metrics.add(metric);
    return true;
  }

  get size(): number {
    return this.#size;
  }
}
