import { type ClockQuality, type EpochMs, limits, type Reading } from '@floorwatch/contracts';

import { type CapturedSection, copied, type StateSection } from '../state-section.ts';
import { DuplicateMemory } from './duplicate-memory.ts';
import { faultOfTime, type QuarantinedReading, type QuarantineReason } from './quarantined-reading.ts';
import type { RawMessage } from './raw-message.ts';
import { type DecodedParts, type DecodedReading, ReadingDecoder, type TopicConfig } from './reading-decoder.ts';
import { key, makeKey } from './reading-key.ts';
import { RejectLog, type RejectView } from './reject-log.ts';
import type { RejectReason } from './reject.ts';
import { type Namer, SensorRegistry, type ShareReached } from './sensor-registry.ts';
import { SENSOR_SHARES_DEFAULT, type SensorShares } from './sensor-shares.ts';
import { SensorUnits } from './sensor-units.ts';
import { UnitNames } from './unit-names.ts';
import type { UnitsConfig } from './units-config.ts';

export interface IntakeConfig {
  readonly topics: readonly TopicConfig[];
  readonly sensorsMax: number;
  /** Absent: what the configuration has by default. */
  readonly sensorShares?: SensorShares;
  readonly readings: {
    /** How far ahead of the gateway's clock an event time may be, in milliseconds. */
    readonly futureMsMax: number;
    /** Readings of each sensor among which repeats are recognised. */
    readonly duplicatesRemembered: number;
    /** Readings that all sensors share for it, if that is more for each. Absent: 0. */
    readonly duplicatesShared?: number;
    /** Readings that one message may hold. */
    readonly perMessageMax: number;
  };
  readonly units: UnitsConfig;
  /** Largest absolute value of a reading. */
  readonly valueAbsMax: number;
}

/** The gateway's clock, and how far it can be trusted. */
export interface IntakeClock {
  readonly now: EpochMs;
  readonly quality: ClockQuality;
}

/** A reading as the journal keeps it. */
export interface AcceptedReading {
  readonly reading: Reading;
  /** The gateway's clock when it arrived. */
  readonly receivedAt: EpochMs;
}

/** What the messages of a delivery are, until it is settled. */
export interface Taken {
  /** To be journaled, in this order. */
  readonly readings: readonly AcceptedReading[];
  /** To be put in quarantine. */
  readonly quarantined: readonly QuarantinedReading[];
}

/**
 * What has become of the readings of all messages that were settled since the start. They add up:
 * received = accepted + rejected + duplicates + quarantined + retainedCopies. A message that can't be read at all counts as one,
 * and so does a field that is refused by itself, beside its reading.
 */
export interface IntakeCounts {
  readonly received: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly rejectedByReason: Readonly<Record<RejectReason, number>>;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly quarantinedByReason: Readonly<Record<QuarantineReason, number>>;
  /** Copies that an external broker kept from earlier. */
  readonly retainedCopies: number;
  /** Of those received: readings that were released from quarantine, and so came a second time. */
  readonly released: number;
  /** Readings that were refused because they could not be kept, by why. They are in no other count; they come again, and count then. */
  readonly refusedByReason: Readonly<Record<string, number>>;
}

/** Knows what is in quarantine already. */
export interface KnownQuarantine {
  has(quarantined: QuarantinedReading): boolean;
}

/** A delivery between `take` and `settled`. */
class OpenDelivery implements Taken {
  readonly readings: AcceptedReading[] = [];
  readonly quarantined: QuarantinedReading[] = [];
  /** The sensor of each of `readings`. */
  readonly sensors: number[] = [];
  readonly rejects: Reject[] = [];
  /** Readings sorted, whatever became of them. */
  received = 0;
  duplicates = 0;
  retainedCopies = 0;
  released = 0;
  /** Why a delivery before it was refused, so that this one is too, whatever became of its readings. */
  behindRefused: string | undefined;
}

/** What is rejected of a message for one reason. */
interface Reject {
  readonly message: RawMessage;
  readonly reason: RejectReason;
  /** The first reading that is, where there are several. */
  readonly part: string | undefined;
  count: number;
}

/**
 * Sorts what arrives: readings to accept, readings for the quarantine, and the rest, which is counted. Deliveries are taken and settled in
 * the same order, and several may be open at a time. Nothing is counted before it is settled, so that what is refused and comes again is
 * counted once.
 *
 * A repeat is the same event time, value and sequence number (if there is one) among the last readings of its sensor. Without an event time
 * of the device the sequence number and the value decide; without both nothing tells a repeat from an equal reading, and all are accepted.
 */
export class Intake {
  readonly #config: IntakeConfig;
  readonly #quarantine: KnownQuarantine;
  readonly #decoder: ReadingDecoder;
  readonly #registry: SensorRegistry;
  readonly #memory: DuplicateMemory;
  readonly #unitNames: UnitNames;
  readonly #units: SensorUnits;
  readonly #rejects = new RejectLog();
  readonly #open: OpenDelivery[] = [];
  readonly #counts = { received: 0, accepted: 0, duplicates: 0, retainedCopies: 0, released: 0 };
  readonly #refused: Record<string, number> = {};
  /** Of a replay: by sensor, when its newest reading arrived, and how many with it. */
  readonly #replayed = new Map<number, { readonly receivedAt: EpochMs; count: number }>();
  readonly #quarantined: Record<QuarantineReason, number> = { 'time-in-future': 0, 'time-before-2000': 0 };

  /** @param quarantine what is in it must not go there again. */
  constructor(config: IntakeConfig, quarantine: KnownQuarantine) {
    this.#config = config;
    this.#quarantine = quarantine;
    const names = new UnitNames(config.units.aliases);
    this.#unitNames = names;
    this.#decoder = new ReadingDecoder(config.topics, config.readings.perMessageMax, names);
    const rules = config.units.rules.map((rule) => ({ ...rule, unit: names.nameOf(rule.unit) }));
    this.#units = new SensorUnits(rules, (unit) => names.nameOf(unit));
    this.#registry = new SensorRegistry(config.sensorsMax, config.sensorShares ?? SENSOR_SHARES_DEFAULT);
    const { duplicatesRemembered, duplicatesShared } = config.readings;
    this.#memory = new DuplicateMemory(duplicatesRemembered, duplicatesShared);
  }

  /** Subscriptions that cover every topic of the configuration. */
  get filters(): readonly string[] {
    return this.#decoder.filters;
  }

  /** Sensors seen. */
  get sensors(): number {
    return this.#registry.size;
  }

  /** When somebody had a share of the places for sensors, and got no more; undefined: never. */
  get shareReached(): ShareReached | undefined {
    return this.#registry.reached;
  }

  /** What lies behind it is in the future; infinite while the gateway's own clock is known to be wrong. */
  latest({ now, quality }: IntakeClock): number {
    return quality === 'unsynchronised' ? Infinity : now + this.#config.readings.futureMsMax;
  }

  /** Sorts the messages of a delivery. What is wrong with one reading of a message says nothing against its others. Never throws. */
  take(messages: readonly RawMessage[], clock: IntakeClock): Taken {
    if (this.#replayed.size > 0) this.#replayed.clear();
    const delivery = new OpenDelivery();
    const latest = this.latest(clock);
    for (const message of messages) this.#sort(message, latest, delivery);
    this.#open.push(delivery);
    return delivery;
  }

  #sort(message: RawMessage, latest: number, delivery: OpenDelivery): void {
    if (message.released !== undefined) {
      delivery.received += 1;
      delivery.released += 1;
      const { released } = message;
      const { unit, eventTime } = released;
      if (eventTime < limits.instantMin || eventTime > limits.instantMax) {
        reject(delivery, message, 'time-malformed', undefined);
        return;
      }
      // It may have been set aside when the unit had another name.
      const reading = unit === undefined ? released : { ...released, unit: this.#unitNames.nameOf(unit) };
      this.#admit(message, reading, true, delivery, undefined);
      return;
    }
    if (message.retained) {
      delivery.received += 1;
      delivery.retainedCopies += 1;
      return;
    }
    const decoded = this.#decoder.decode(message);
    if (typeof decoded === 'object' && 'parts' in decoded) this.#sortParts(message, decoded, latest, delivery);
    else this.#sortReading(message, decoded, latest, delivery, undefined);
  }

  #sortParts(message: RawMessage, { parts, perSensor }: DecodedParts, latest: number, delivery: OpenDelivery): void {
    for (const { at, decoded } of parts) {
      if (typeof decoded !== 'string' && perSensor > 1) this.#expectMany(decoded.reading, perSensor, message);
      this.#sortReading(message, decoded, latest, delivery, at);
    }
  }

  /** A repeat of the whole message must be recognised, and of the one before it whose acknowledgement was on its way. */
  #expectMany({ device, metric }: Reading, readings: number, message: RawMessage): void {
    const sensor = this.#registry.admit(device, metric, namerOf(message));
    if (typeof sensor === 'number') this.#memory.keep(sensor, 2 * readings);
  }

  #sortReading(
    message: RawMessage,
    decoded: DecodedReading | RejectReason,
    latest: number,
    delivery: OpenDelivery,
    part: string | undefined,
  ): void {
    delivery.received += 1;
    if (typeof decoded === 'string') {
      reject(delivery, message, decoded, part);
      return;
    }
    const { reading, timed } = decoded;
    if (Math.abs(reading.value) > this.#config.valueAbsMax) {
      reject(delivery, message, 'value-too-large', part);
      return;
    }
    // The gateway's own time may lie ahead of what its clock shows now; that says nothing against the reading.
    const reason = faultOfTime(reading.eventTime, timed ? latest : Infinity);
    if (reason === undefined) this.#admit(message, reading, timed, delivery, part);
    else this.#setAside({ reading, receivedAt: message.receivedAt, reason }, delivery);
  }

  #setAside(quarantined: QuarantinedReading, delivery: OpenDelivery): void {
    if (this.#quarantine.has(quarantined)) delivery.duplicates += 1;
    else delivery.quarantined.push(quarantined);
  }

  #admit(
    message: RawMessage,
    reading: Reading,
    timed: boolean,
    delivery: OpenDelivery,
    part: string | undefined,
  ): void {
    const namer = namerOf(message);
    const sensor = this.#registry.admit(reading.device, reading.metric, namer);
    if (typeof sensor === 'string') {
      reject(delivery, message, sensor, part);
      return;
    }
    const tellsRepeats = timed || reading.seq !== undefined;
    const time = timed ? reading.eventTime : NaN;
    makeKey(time, reading.value, reading.seq);
    if (tellsRepeats && this.#memory.has(sensor, time, key)) {
      delivery.duplicates += 1;
      return;
    }
    const kept = this.#units.sort(sensor, reading);
    const place = kept.apartFrom === undefined ? sensor : this.#registry.admit(kept.device, kept.metric, namer);
    if (typeof place === 'string') {
      reject(delivery, message, place, part);
      return;
    }
    if (tellsRepeats) this.#memory.add(sensor, time, key);
    delivery.readings.push({ reading: kept, receivedAt: message.receivedAt });
    delivery.sensors.push(tellsRepeats ? sensor : -1);
  }

  /**
   * The oldest open delivery has been settled.
   *
   * @param kept whether its readings are safe, in the journal and in the quarantine. If not, it is refused, and so is every delivery that is
   * open now: it may hold repeats of readings that were not kept.
   * @param why they could not be kept, in a word or two: one of a few, for it becomes a metric's label.
   * @throws Error if `taken` is not the oldest open delivery.
   */
  settled(taken: Taken, kept: boolean, why = 'disk'): void {
    const delivery = this.#open.shift();
    if (delivery === undefined || delivery !== taken)
      throw new Error('deliveries are settled in the order they were taken in');
    for (const sensor of delivery.sensors) if (sensor !== -1) this.#memory.settle(sensor, kept);
    if (!kept) for (const later of this.#open) later.behindRefused ??= why;
    const counts = this.#counts;
    const accepted = kept ? delivery.readings.length : 0;
    const quarantined = kept ? delivery.quarantined : [];
    counts.accepted += accepted;
    for (const { reason } of quarantined) this.#quarantined[reason] += 1;
    const refusedFor = kept ? delivery.behindRefused : why;
    if (refusedFor !== undefined) {
      const taking = accepted + quarantined.length;
      counts.received += taking;
      this.#refused[refusedFor] = (this.#refused[refusedFor] ?? 0) + delivery.received - taking;
      return;
    }
    counts.received += delivery.received;
    counts.duplicates += delivery.duplicates;
    counts.retainedCopies += delivery.retainedCopies;
    counts.released += delivery.released;
    for (const { message, reason, part, count } of delivery.rejects) this.#rejects.add(message, reason, part, count);
  }

  /** A reading that the journal holds: its sensor is known from now on, and so are its repeats. */
  replay({ reading, receivedAt }: AcceptedReading): void {
    const { device, metric, apartFrom, eventTime, value, seq } = reading;
    const sensor = this.#registry.readmit(device, apartFrom ?? metric);
    if (apartFrom !== undefined) this.#registry.readmit(device, metric);
    this.#units.learn(sensor, reading);
    this.#countTogether(sensor, receivedAt);
    this.#remember(sensor, eventTime, value, seq);
    // The journal does not say whose clock it was; where it can have been the gateway's, its repeat would come with another time.
    if (eventTime === receivedAt && seq !== undefined) this.#remember(sensor, NaN, value, seq);
  }

  /** Readings of a sensor that arrived at the same instant may be one message, which its device may send again. */
  #countTogether(sensor: number, receivedAt: EpochMs): void {
    const last = this.#replayed.get(sensor);
    if (last?.receivedAt !== receivedAt) {
      this.#replayed.set(sensor, { receivedAt, count: 1 });
      return;
    }
    last.count = Math.min(last.count + 1, this.#config.readings.perMessageMax);
    this.#memory.keep(sensor, 2 * last.count);
  }

  #remember(sensor: number, time: number, value: number, seq: number | undefined): void {
    makeKey(time, value, seq);
    // What the snapshot holds already.
    if (this.#memory.has(sensor, time, key)) return;
    this.#memory.add(sensor, time, key);
    this.#memory.settle(sensor, true);
  }

  /**
   * What must be known after a restart: sensors and the keys of their last readings that are safe. The keys are copied when the sections are
   * read, until `release`.
   */
  capture(): { readonly sections: readonly CapturedSection[]; readonly release: () => void } {
    const sections = [this.#memory.capture(this.#registry.names.slice()), this.#units.snapshot(this.#registry.size)];
    return { sections, release: () => this.#memory.release() };
  }

  /** A copy of what {@link capture} gives. */
  snapshot(): readonly StateSection[] {
    const { sections, release } = this.capture();
    const copies = sections.map(copied);
    release();
    return copies;
  }

  /**
   * Takes up what {@link snapshot} gave, on a fresh intake; sections of others are passed over.
   *
   * @throws TypeError if a section can't be read.
   */
  restore(sections: readonly StateSection[]): void {
    const section = sections.find((one) => DuplicateMemory.owns(one));
    if (section === undefined) return;
    // All sensors in the order of their numbers, so that each gets the one that it had.
    this.#memory.restore(section, (device, metric) => this.#registry.readmit(device, metric));
    this.#units.restore(sections);
  }

  get counts(): IntakeCounts {
    const quarantined = this.#quarantined['time-in-future'] + this.#quarantined['time-before-2000'];
    return {
      ...this.#counts,
      rejected: this.#rejects.total,
      rejectedByReason: Object.fromEntries(this.#rejects.counts) as Record<RejectReason, number>,
      quarantined,
      quarantinedByReason: { ...this.#quarantined },
      refusedByReason: { ...this.#refused },
    };
  }

  /** The last rejects, newest first. */
  lastRejects(): readonly RejectView[] {
    return this.#rejects.last();
  }
}

const namerOf = ({ client, receivedAt }: RawMessage): Namer => ({ client, at: receivedAt });

function reject({ rejects }: OpenDelivery, message: RawMessage, reason: RejectReason, part: string | undefined): void {
  const known = part === undefined ? undefined : rejects.findLast((one) => one.reason === reason);
  if (known?.message === message) known.count += 1;
  else rejects.push({ message, reason, part, count: 1 });
}
