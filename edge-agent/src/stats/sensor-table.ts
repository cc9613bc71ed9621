import { type EpochMs, epochMs, type HashSum, type RollupSensor, sensorKey, textHash } from '@floorwatch/contracts';

import { numbersOf, requireSection, StateError, type StateSection, type CapturedSection } from '../state-section.ts';
import { capacityFor, growUint32 } from './grow.ts';
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
  /**
   * By slot: the slot of the reading that came after its last one. Devices send their metrics in one order and gateways ask them in turn, so the next
   * reading is mostly of that sensor again, which needs no look-up in far memory to find out.
   */
  #following = new Uint32Array();
  #last = 0;
  /** By slot: the hash of the name, its high word and its low one. */
  #nameHashes = new Uint32Array();
  readonly #nameHash: HashSum = { high: 0, low: 0 };
  readonly #newest: RowTable;

  constructor(rows?: SensorRows) {
    this.#newest = new RowTable(FIELDS, rows, clearRow);
  }

  get size(): number {
    return this.#sensors.length;
  }

  /** The slot of the reading's sensor. A new sensor gets the next slot, which is then `size` − 1. */
  slotOf(reading: RollupSensor): number {
    let slot = this.#following[this.#last] ?? 0;
    let known = this.#sensors[slot];
    if (known === undefined || known.metric !== reading.metric || known.device !== reading.device) {
      slot = this.find(reading.device, reading.metric) ?? this.#add(reading);
      known = this.#sensors[slot]!;
      this.#following[this.#last] = slot;
    }
    this.#last = slot;
    if (reading.unit !== undefined && reading.unit !== known.unit) this.#sensors[slot] = describe(reading);
    return slot;
  }

  #add(sensor: RollupSensor): number {
    const slot = this.#sensors.length;
    const metrics = this.#slots.get(sensor.device);
    if (metrics === undefined) this.#slots.set(sensor.device, new Map([[sensor.metric, slot]]));
    else metrics.set(sensor.metric, slot);
    this.#sensors.push(describe(sensor));
    if (slot >= this.#following.length) {
      const capacity = capacityFor(slot + 1, slot);
      this.#following = growUint32(this.#following, capacity);
      this.#nameHashes = growUint32(this.#nameHashes, 2 * capacity);
    }
    const { high, low } = textHash(sensorKey(sensor));
    this.#nameHashes[2 * slot] = high;
    this.#nameHashes[2 * slot + 1] = low;
    this.#newest.clear(slot);
    return slot;
  }

  /** The sensor with the unit that it named last. */
  sensor(slot: number): RollupSensor {
    return this.#sensors[slot]!;
  }

  /** The hash of its name, which the hashes of its readings begin with. The same object for all sensors. */
  nameHash(slot: number): Readonly<HashSum> {
    this.#nameHash.high = this.#nameHashes[2 * slot]!;
    this.#nameHash.low = this.#nameHashes[2 * slot + 1]!;
    return this.#nameHash;
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
    for (const sensor of sensors) this.#add(sensor);
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
