import { type EpochMs, epochMs, type HashSum, type RollupSensor, sensorKey, textHash } from '@floorwatch/contracts';

import { numbersOf, requireSection, StateError, type StateSection, type CapturedSection } from '../state-section.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import { RowTable } from './row-table.ts';
import type { RowsCut } from './rows-cut.ts';
import type { SensorRows } from './sensor-rows.ts';

/** Every later release must be able to read it (docs/agent-snapshot-format.md). */
const SECTION = 'sensors';
const VERSION = 1;

// One sensor's row: event time and value of its newest reading, before the first one earlier than any time and NaN.
const NEWEST_AT = 0;
const NEWEST_VALUE = 1;
const FIELDS = 2;

function clearRow(s: Float64Array, o: number): void {
  s[o + NEWEST_AT] = -Infinity;
  s[o + NEWEST_VALUE] = NaN;
}

/** Which slot belongs to which sensor, and each sensor's newest reading. */
export class SensorTable {
  /** By device, then by metric: two look-ups cost less than joining the names. */
  readonly #slots = new Map<string, Map<string, number>>();
  readonly #sensors: RollupSensor[] = [];
  readonly #nameHashes: HashSum[] = [];
  readonly #newest: RowTable;

  constructor(rows?: SensorRows) {
    this.#newest = new RowTable(FIELDS, rows, clearRow);
  }

  get size(): number {
    return this.#sensors.length;
  }

  /** The slot of the reading's sensor. A new sensor gets the next slot, which is then `size` − 1. */
  slotOf(reading: RollupSensor): number {
    let metrics = this.#slots.get(reading.device);
    if (metrics === undefined) {
      metrics = new Map();
      this.#slots.set(reading.device, metrics);
    }
    const slot = metrics.get(reading.metric);
    if (slot === undefined) return this.#add(metrics, reading);
    if (reading.unit !== undefined && reading.unit !== this.#sensors[slot]!.unit) {
      this.#sensors[slot] = describe(reading);
    }
    return slot;
  }

  #add(metrics: Map<string, number>, reading: RollupSensor): number {
    const slot = this.#sensors.length;
    metrics.set(reading.metric, slot);
    this.#sensors.push(describe(reading));
    this.#nameHashes.push(textHash(sensorKey(reading)));
    this.#newest.clear(slot);
    return slot;
  }

  /** The sensor with the unit that it named last. */
  sensor(slot: number): RollupSensor {
    return this.#sensors[slot]!;
  }

  /** The hash of its name, which the hashes of its readings begin with. */
  nameHash(slot: number): Readonly<HashSum> {
    return this.#nameHashes[slot]!;
  }

  /** Event time of the sensor's newest reading; before the first one, earlier than any time. */
  newestAt(slot: number): EpochMs {
    const row = this.#newest.rowOf(slot);
    return epochMs(this.#newest.state[row + NEWEST_AT]!);
  }

  newestValue(slot: number): number {
    const row = this.#newest.rowOf(slot);
    return this.#newest.state[row + NEWEST_VALUE]!;
  }

  setNewest(slot: number, { eventTime, value }: ReadingInHand): void {
    const o = this.#newest.rowOf(slot);
    const s = this.#newest.state;
    s[o + NEWEST_AT] = eventTime;
    s[o + NEWEST_VALUE] = value;
  }

  /** The slot of a sensor, if it has one. */
  find(device: string, metric: string): number | undefined {
    return this.#slots.get(device)?.get(metric);
  }

  capture(cut: RowsCut): CapturedSection {
    return {
      name: SECTION,
      version: VERSION,
      values: { sensors: [...this.#sensors] },
      arrays: { newest: this.#newest.past(cut) },
    };
  }

  /** Takes up the sensors that a snapshot holds, each with the slot that it had. There may be none yet. @throws StateError */
  restore(sections: readonly StateSection[]): void {
    const section = requireSection(sections, SECTION, VERSION);
    const sensors = sensorsIn(section);
    const newest = numbersOf(section, 'newest', sensors.length * FIELDS);
    for (const sensor of sensors) {
      const metrics = this.#slots.get(sensor.device) ?? new Map<string, number>();
      this.#slots.set(sensor.device, metrics);
      this.#add(metrics, sensor);
    }
    this.#newest.restore(newest);
  }
}

function sensorsIn({ name, values }: StateSection): readonly RollupSensor[] {
  const { sensors } = (values ?? {}) as { readonly sensors?: unknown };
  if (!Array.isArray(sensors)) throw new StateError('malformed', name, 'has no list of sensors');
  return sensors as readonly RollupSensor[];
}

const describe = ({ device, metric, unit }: RollupSensor): RollupSensor =>
  unit === undefined ? { device, metric } : { device, metric, unit };
