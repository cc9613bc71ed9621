import { type ClockQuality, type EpochMs, limits, type Reading, type SensorName } from '@floorwatch/contracts';

import { type CapturedSection, copied, findSection, type StateSection } from '../state-section.ts';
import { ArrivalLimiter, type ArrivalOnly } from './arrival-limiter.ts';
import { ClientMemory, type KnownMessage } from './client-memory.ts';
import { ANYONE, DuplicateMemory } from './duplicate-memory.ts';
import type { MessageIdentity, Sender } from './message-identity.ts';
import { faultOfTime, type QuarantinedReading, type QuarantineReason } from './quarantined-reading.ts';
import type { RawMessage } from './raw-message.ts';
import { type DecodedParts, type DecodedReading, ReadingDecoder, type TopicConfig } from './reading-decoder.ts';
import { hashMessage, key, makeKey } from './reading-key.ts';
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
    /** How long before the gateway's clock an event time may lie, in milliseconds. Absent: for any time. */
    readonly pastMsMax?: number;
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

const SECTION = 'intake';
const VERSION = 1;

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
  /** Whether its device sent no time: its event time is when it arrived. */
  readonly isUntimed?: boolean;
  /** Whether it is of the same message as the reading before it. */
  readonly follows?: boolean;
  /** Of a message's first reading, if it is known which message it is. */
  readonly message?: MessageIdentity | undefined;
  /** Whether it was released from quarantine: its sensor has not sent anything then. */
  readonly isReleased?: boolean;
}

/** What the messages of a delivery are, until it is settled. */
export interface Taken {
  /** To be journaled, in this order. */
  readonly readings: readonly AcceptedReading[];
  /** To be journaled behind them: of each sensor at most one a second, and none within a second of a reading. */
  readonly arrivals: readonly ArrivalOnly[];
  /** To be put in quarantine. */
  readonly quarantined: readonly QuarantinedReading[];
  /** Who sent each of them. */
  readonly senders: readonly (Sender | undefined)[];
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
  /** Clients of the embedded broker whose last messages are remembered. */
  readonly clients: number;
  /** Clients that were forgotten because there were too many; their repeats are recognised by time, value and number alone. */
  readonly clientsForgotten: number;
}

/** Knows what is in quarantine already. */
export interface KnownQuarantine {
  /**
   * Whether a reading that came is a repeat of one that is in quarantine. A connection repeats each one once, and nothing that came by itself.
   *
   * @param sender undefined: no connection is known.
   */
  claim(quarantined: QuarantinedReading, sender: Sender | undefined): boolean;
}

/** A delivery between `take` and `settled`. */
class OpenDelivery implements Taken {
  readonly readings: AcceptedReading[] = [];
  readonly arrivals: ArrivalOnly[] = [];
  readonly quarantined: QuarantinedReading[] = [];
  readonly senders: (Sender | undefined)[] = [];
  /** Messages that can be told from others. */
  readonly messages: KnownMessage[] = [];
  /** The sensor of each of `readings`. */
  readonly sensors: number[] = [];
  readonly rejects: Reject[] = [];
  /** Readings sorted, whatever became of them. */
  received = 0;
  duplicates = 0;
  retainedCopies = 0;
  released = 0;
  /** The message in hand, and whether none of its readings was accepted so far. */
  message: KnownMessage | undefined;
  begins = true;
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
 * Whether a message is a repeat, MQTT tells where its connection is known ({@link ClientMemory}). A reading of a message that is none is
 * compared with the last ones of its sensor that came by other connections: of the same client, if it is known to have had others; of any, if
 * not, which may be the same device under another name; and where no connection is known, with all. It is a repeat if event time, value and sequence
 * number (if there is one) are the same. Without an event time of the device sequence number and value decide; without both nothing tells a repeat from an equal reading.
 */
export class Intake {
  readonly #config: IntakeConfig;
  readonly #quarantine: KnownQuarantine;
  readonly #decoder: ReadingDecoder;
  readonly #registry: SensorRegistry;
  readonly #memory: DuplicateMemory;
  readonly #clients = new ClientMemory();
  readonly #unitNames: UnitNames;
  readonly #units: SensorUnits;
  readonly #rejects = new RejectLog();
  readonly #open: OpenDelivery[] = [];
  readonly #counts = { received: 0, accepted: 0, duplicates: 0, retainedCopies: 0, released: 0 };
  readonly #refused: Record<string, number> = {};
  /** Of a replay: whose the readings of the message in hand are, and how many there are of each sensor. */
  #replayedOwner: number | undefined;
  readonly #replayed = new Map<number, number>();
  /** Position of the last reading in the journal that is known as safe here. */
  position = 0;
  readonly #arrivals = new ArrivalLimiter();
  /** What lies before it is too long ago. */
  #earliest = -Infinity;
  readonly #quarantined: Record<QuarantineReason, number> = {
    'time-in-future': 0,
    'time-in-past': 0,
    'time-before-2000': 0,
  };

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

  #earliestAt({ now, quality }: IntakeClock): number {
    const { pastMsMax = Infinity } = this.#config.readings;
    return quality === 'unsynchronised' ? -Infinity : now - pastMsMax;
  }

  /** Sorts the messages of a delivery. What is wrong with one reading of a message says nothing against its others. Never throws. */
  take(messages: readonly RawMessage[], clock: IntakeClock): Taken {
    const delivery = new OpenDelivery();
    const latest = this.latest(clock);
    this.#earliest = this.#earliestAt(clock);
    for (const message of messages) this.#sort(message, latest, delivery);
    this.#open.push(delivery);
    return delivery;
  }

  #sort(message: RawMessage, latest: number, delivery: OpenDelivery): void {
    const { sent } = message;
    delivery.begins = true;
    delivery.message = undefined;
    if (sent !== undefined) {
      const hash = sent.packetId === 0 ? 0 : hashMessage(message.topic, message.payload);
      delivery.message = this.#clients.take(sent, hash);
      delivery.messages.push(delivery.message);
    }
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
      this.#noteArrival(this.#decoder.sensorOf(message.topic, part), message, delivery);
      return;
    }
    const { reading, timed } = decoded;
    if (Math.abs(reading.value) > this.#config.valueAbsMax) {
      reject(delivery, message, 'value-too-large', part);
      this.#noteArrival(reading, message, delivery);
      return;
    }
    // The gateway's own time may lie ahead of what its clock shows now; that says nothing against the reading.
    const reason = timed
      ? faultOfTime(reading.eventTime, latest, this.#earliest)
      : faultOfTime(reading.eventTime, Infinity);
    if (reason === undefined) this.#admit(message, reading, timed, delivery, part);
    else {
      this.#noteArrival(reading, message, delivery);
      this.#setAside({ reading, receivedAt: message.receivedAt, reason }, message.sent?.sender, delivery);
    }
  }

  /** Something came of a sensor, and no reading of it is accepted. */
  #noteArrival(name: SensorName | undefined, { receivedAt }: RawMessage, { arrivals }: OpenDelivery): void {
    const sensor = name === undefined ? undefined : this.#registry.find(name.device, name.metric);
    if (name === undefined || sensor === undefined || !this.#arrivals.isDue(sensor, receivedAt)) return;
    arrivals.push({ sensor: { device: name.device, metric: name.metric }, receivedAt });
  }

  #setAside(quarantined: QuarantinedReading, sender: Sender | undefined, delivery: OpenDelivery): void {
    const { message } = delivery;
    const isEqual = this.#quarantine.claim(quarantined, sender);
    if (message?.isRepeat === false) this.#clients.add(message, false);
    if (isEqual || message?.isRepeat === true) {
      delivery.duplicates += 1;
      return;
    }
    delivery.quarantined.push(quarantined);
    delivery.senders.push(sender);
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
    const { message: known } = delivery;
    const tellsRepeats = timed || reading.seq !== undefined;
    const time = timed ? reading.eventTime : NaN;
    makeKey(time, reading.value, reading.seq);
    // What is released says by itself which one it is.
    const isCompared = known === undefined || (known.isCompared && message.released === undefined);
    // Also of a message that is a repeat: what its connection has repeated it does not repeat again.
    const isEqual = tellsRepeats && isCompared && this.#memory.claim(sensor, time, key, known ?? ANYONE);
    if (isEqual || known?.isRepeat === true) {
      if (known?.isRepeat === false) this.#clients.add(known, false);
      delivery.duplicates += 1;
      if (message.released === undefined) this.#noteArrival(reading, message, delivery);
      return;
    }
    const kept = this.#units.sort(sensor, reading);
    const place = kept.apartFrom === undefined ? sensor : this.#registry.admit(kept.device, kept.metric, namer);
    if (typeof place === 'string') {
      reject(delivery, message, place, part);
      return;
    }
    if (tellsRepeats) this.#memory.add(sensor, time, key, known?.owner);
    if (known !== undefined) this.#clients.add(known, true);
    const { begins } = delivery;
    const { receivedAt } = message;
    if (message.released === undefined) this.#arrivals.note(sensor, receivedAt);
    delivery.readings.push({
      reading: kept,
      receivedAt,
      isUntimed: !timed,
      follows: !begins,
      message: begins ? known : undefined,
      isReleased: message.released !== undefined,
    });
    delivery.begins = false;
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
    for (const message of delivery.messages) this.#clients.settle(message, kept);
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

  /** A reading that the journal holds: its sensor is known from now on, and so are its repeats. To be called in the order of the journal. */
  replay({ reading, isUntimed = false, follows = false, message }: AcceptedReading): void {
    const { device, metric, apartFrom, eventTime, value, seq } = reading;
    const sensor = this.#registry.readmit(device, apartFrom ?? metric);
    if (apartFrom !== undefined) this.#registry.readmit(device, metric);
    this.#units.learn(sensor, reading);
    if (!follows) {
      this.#replayed.clear();
      this.#replayedOwner = message === undefined ? undefined : this.#clients.replay(message);
    }
    const count = (this.#replayed.get(sensor) ?? 0) + 1;
    this.#replayed.set(sensor, count);
    if (count > 1) this.#memory.keep(sensor, 2 * count);
    if (isUntimed && seq === undefined) return;
    const time = isUntimed ? NaN : eventTime;
    makeKey(time, value, seq);
    this.#memory.add(sensor, time, key, this.#replayedOwner);
    this.#memory.settle(sensor, true);
  }

  /**
   * What must be known after a restart: sensors and the keys of their last readings that are safe. The keys are copied when the sections are
   * read, until `release`.
   */
  capture(): { readonly sections: readonly CapturedSection[]; readonly release: () => void } {
    const sections = [
      this.#memory.capture(this.#registry.names.slice()),
      this.#clients.capture(),
      this.#units.snapshot(this.#registry.size),
      { name: SECTION, version: VERSION, values: { position: this.position }, arrays: {} },
    ];
    const release = (): void => {
      this.#memory.release();
      this.#clients.release();
    };
    return { sections, release };
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
    // All sensors in the order of their numbers, so that each gets the one that it had.
    this.#memory.restore(sections, (device, metric) => this.#registry.readmit(device, metric));
    this.#clients.restore(sections);
    this.#units.restore(sections);
    const { position } = (findSection(sections, SECTION, VERSION)?.values ?? {}) as { readonly position?: number };
    this.position = position ?? 0;
  }

  get counts(): IntakeCounts {
    const quarantined = Object.values(this.#quarantined).reduce((sum, count) => sum + count, 0);
    return {
      ...this.#counts,
      rejected: this.#rejects.total,
      rejectedByReason: Object.fromEntries(this.#rejects.counts) as Record<RejectReason, number>,
      quarantined,
      quarantinedByReason: { ...this.#quarantined },
      refusedByReason: { ...this.#refused },
      clients: this.#clients.size,
      clientsForgotten: this.#clients.forgotten,
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
