import type { EpochMs } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import type { RejectReason } from './reject.ts';
import type { SensorShares } from './sensor-shares.ts';

/** Whose reading names a sensor. */
export interface Namer {
  /** The client of the embedded broker that sent it; undefined: not known. */
  readonly client: string | undefined;
  /** The gateway's clock. */
  readonly at: EpochMs;
}

/** Who was refused a new sensor because of a share, the last time that it happened. */
export interface ShareReached {
  readonly reason: ShareReason;
  /** The device or the client; null: all of them together. */
  readonly who: string | null;
  readonly at: EpochMs;
}

type ShareReason = Extract<RejectReason, 'device-share' | 'client-share' | 'hour-share'>;

const HOUR_MS = 3_600_000;

/**
 * Which sensors the gateway has, so that invented names can't fill its memory. They are numbered from 0, and never removed.
 *
 * Nobody can take all places: a device, a client and an hour may each add a sensor only while they have less than their share of the places that
 * they have and those that are free, together. So the first device may come to a half of all places (by default), another one to a half of what
 * is left, and a new machine finds room for its first sensors as long as there is any.
 *
 * Example: 20,000 places, and a client that invents names. It gets 15,000 (three quarters). A second one gets three quarters of the
 * 5,000 that are left, and so on.
 */
export class SensorRegistry {
  readonly #max: number;
  readonly #shares: SensorShares;
  /** Numbers by device and metric. Two short lookups in strings that are hashed already cost less than one in a joined name. */
  readonly #sensors = new Map<string, Map<string, number>>();
  /** Device and metric of every sensor, one after the other. */
  readonly #names: string[] = [];
  /** Sensors that a client has added since the start: no more clients than sensors. */
  readonly #byClient = new Map<string, number>();
  /** Sensors that were added in the hour of the gateway's clock that is `#hour`. */
  #inHour = 0;
  #hour = 0;
  #reached: ShareReached | undefined;

  constructor(max: number, shares: SensorShares) {
    this.#max = max;
    this.#shares = shares;
  }

  /** The number of a sensor that is known, or that there was room to add; otherwise why there was none. */
  admit(device: string, metric: string, by: Namer): number | RejectReason {
    return this.find(device, metric) ?? this.#refuse(device, by) ?? this.#addFor(device, metric, by);
  }

  /** The number of a sensor whose readings were accepted before, under whatever limit held then. */
  readmit(device: string, metric: string): number {
    return this.find(device, metric) ?? this.#add(device, metric);
  }

  get size(): number {
    return this.#names.length / 2;
  }

  /** Device and metric of every sensor, one after the other, in the order of their numbers. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** When a share was reached last; undefined: never. */
  get reached(): ShareReached | undefined {
    return this.#reached;
  }

  /** The number of a sensor; undefined: it is not known. */
  find(device: string, metric: string): number | undefined {
    return this.#sensors.get(device)?.get(metric);
  }

  #refuse(device: string, { client, at }: Namer): RejectReason | undefined {
    if (this.size >= this.#max) return 'too-many-sensors';
    const reached = (reason: ShareReason, who: string | null): RejectReason => {
      this.#reached = { reason, who, at };
      return reason;
    };
    if (this.#isTaken(this.#sensors.get(device)?.size, this.#shares.device)) return reached('device-share', device);
    if (client !== undefined && this.#isTaken(this.#byClient.get(client), this.#shares.client)) {
      return reached('client-share', client);
    }
    const isSameHour = Math.floor(at / HOUR_MS) === this.#hour;
    return isSameHour && this.#isTaken(this.#inHour, this.#shares.hour) ? reached('hour-share', null) : undefined;
  }

  /** Whether who has so many sensors has its share. A few are everybody's. */
  #isTaken(sensors = 0, share: number): boolean {
    return sensors >= limits.sensorsUnsharedMax && sensors >= share * (sensors + this.#max - this.size);
  }

  #addFor(device: string, metric: string, { client, at }: Namer): number {
    if (client !== undefined) this.#byClient.set(client, (this.#byClient.get(client) ?? 0) + 1);
    const hour = Math.floor(at / HOUR_MS);
    this.#inHour = hour === this.#hour ? this.#inHour + 1 : 1;
    this.#hour = hour;
    return this.#add(device, metric);
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
