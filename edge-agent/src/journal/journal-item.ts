import {
  CLOCK_QUALITIES,
  type ClockQuality,
  type EpochMs,
  epochMs,
  type Reading,
  type SensorName,
} from '@floorwatch/contracts';
import { ITEM_LENGTH_BYTES, type ItemBlock } from '@floorwatch/segment-log';

import { apartMetric } from '../ingest/apart-metric.ts';
import type { MessageIdentity } from '../ingest/message-identity.ts';
import type { ClockTick } from '../stats/watermark.ts';

/** A reading that was accepted, and the gateway's clock when it arrived. */
export interface ReadingItem {
  readonly reading: Reading;
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

/** A message of a sensor came of which nothing was accepted: a repeat, or a value or time that can't be used. It is a sign of life all the same. */
export interface ArrivalItem {
  readonly sensor: SensorName;
  readonly receivedAt: EpochMs;
}

/** The gateway's clock, every few seconds: what time-outs depend on. */
export type TickItem = Pick<ClockTick, 'now' | 'sinceStartMs' | 'deaf'> & { readonly quality: ClockQuality };

/** The agent started: from here on its outputs belong to another epoch. */
export interface StartItem {
  readonly epoch: string;
  readonly at: EpochMs;
  readonly clock: ClockQuality;
  /** Release that started. */
  readonly version: string;
  /** Hash of what decides about outputs; see `output-hash.ts`. */
  readonly outputHash: string;
  /** Whether items before this one were judged in another way, so that everything open ends here. */
  readonly upgrades: boolean;
}

/** What the journal holds: everything that outputs follow from, in the order in which it counts. */
export type JournalItem =
  | ({ readonly kind: 'reading' } & ReadingItem)
  | ({ readonly kind: 'arrival' } & ArrivalItem)
  | ({ readonly kind: 'tick' } & TickItem)
  | ({ readonly kind: 'start' } & StartItem);

/** The gateway's clock at an item. */
export function timeOf(item: JournalItem): EpochMs {
  if (item.kind === 'tick') return item.now;
  return item.kind === 'start' ? item.at : item.receivedAt;
}

/** An item that this release can't read; the message says why. */
export class JournalItemError extends Error {
  override readonly name = 'JournalItemError';
}

/**
 * The first byte of every item. Later releases add kinds, also for another form of what is there; a number is never used again.
 *
 * A reading is laid out as: kind, flags, the lengths of device and metric in bytes (16 bits each), then `receivedAt` and
 * `value` as 64-bit floats, all little-endian; then `eventTime` as one unless it has none of its own, and `seq` if it has any; then its message, the names in UTF-8, and the unit as the rest. Of a
 * reading kept apart for its unit the metric is that which the device named; metric and unit give the other (`apartMetric`).
 *
 * A reading that was released from quarantine is laid out alike. An arrival is laid out as: kind, an unused byte, the length of the device in
 * bytes (16 bits), `receivedAt` as a 64-bit float, then device and metric in UTF-8.
 *
 * A message is laid out as: the packet identifier (16 bits); the client, and twice the connection and 1 if the client uses DUP, as numbers of 7 bits
 * a byte, the lowest first; the hash (32 bits) if there is a packet identifier; and if it introduces its client, the length of the client id in bytes, as such a
 * number, and the client id.
 */
const KIND = { reading: 1, tick: 2, start: 3, released: 4, arrival: 5 } as const;

const FLAG = {
  uncertain: 1,
  unit: 2,
  seq: 4,
  apart: 8,
  untimed: 16,
  follows: 32,
  message: 64,
  introduces: 128,
} as const;
const READING_HEADER_BYTES = 6 + 2 * 8;
const ARRIVAL_HEADER_BYTES = 4 + 8;
/** Packet identifier, hash, and three numbers of at most five bytes. */
const MESSAGE_BYTES_MAX = 2 + 4 + 3 * 5;
const TICK_BYTES = 2 + 2 * 8;
/** Set in a tick's quality if the broker is away. */
const TICK_DEAF = 0x80;

/**
 * Writes items one after the other, as a frame of the log has them, into memory that it uses again and again: a gateway writes thousands a
 * second.
 */
export class JournalItemWriter {
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #end = 0;
  #items = 0;

  /** What was written since the last call; holds until the next item is written. */
  take(): ItemBlock {
    const block = { bytes: this.#buffer.subarray(0, this.#end), items: this.#items };
    this.#end = 0;
    this.#items = 0;
    return block;
  }

  reading({ reading, receivedAt, isUntimed = false, follows = false, message, isReleased = false }: ReadingItem): void {
    const { device, unit, seq, apartFrom } = reading;
    const metric = apartFrom ?? reading.metric;
    const clientId = message?.clientId;
    // A UTF-16 unit has at most three bytes in UTF-8.
    const textLength = device.length + metric.length + (unit?.length ?? 0) + (clientId?.length ?? 0);
    this.#reserve(READING_HEADER_BYTES + 2 * 8 + MESSAGE_BYTES_MAX + 3 * textLength);
    const buffer = this.#buffer;
    const start = this.#end + ITEM_LENGTH_BYTES;
    buffer[start] = isReleased ? KIND.released : KIND.reading;
    buffer[start + 1] =
      (reading.quality === 'uncertain' ? FLAG.uncertain : 0) |
      (unit === undefined ? 0 : FLAG.unit) |
      (seq === undefined ? 0 : FLAG.seq) |
      (apartFrom === undefined ? 0 : FLAG.apart) |
      (isUntimed ? FLAG.untimed : 0) |
      (follows ? FLAG.follows : 0) |
      (message === undefined ? 0 : FLAG.message) |
      (clientId === undefined ? 0 : FLAG.introduces);
    buffer.writeDoubleLE(receivedAt, start + 6);
    buffer.writeDoubleLE(reading.value, start + 14);
    let at = start + READING_HEADER_BYTES;
    if (!isUntimed) at = buffer.writeDoubleLE(reading.eventTime, at);
    if (seq !== undefined) at = buffer.writeDoubleLE(seq, at);
    if (message !== undefined) at = writeMessage(buffer, message, at);
    const deviceBytes = writeText(buffer, device, at);
    const metricBytes = writeText(buffer, metric, at + deviceBytes);
    buffer.writeUInt16LE(deviceBytes, start + 2);
    buffer.writeUInt16LE(metricBytes, start + 4);
    at += deviceBytes + metricBytes;
    if (unit !== undefined) at += writeText(buffer, unit, at);
    this.#finish(at);
  }

  arrival({ sensor: { device, metric }, receivedAt }: ArrivalItem): void {
    this.#reserve(ARRIVAL_HEADER_BYTES + 3 * (device.length + metric.length));
    const buffer = this.#buffer;
    const start = this.#end + ITEM_LENGTH_BYTES;
    buffer[start] = KIND.arrival;
    buffer[start + 1] = 0;
    let at = buffer.writeDoubleLE(receivedAt, start + 4);
    const deviceBytes = writeText(buffer, device, at);
    buffer.writeUInt16LE(deviceBytes, start + 2);
    at += deviceBytes;
    this.#finish(at + writeText(buffer, metric, at));
  }

  tick({ now, quality, sinceStartMs, deaf }: TickItem): void {
    this.#reserve(TICK_BYTES);
    const buffer = this.#buffer;
    const start = this.#end + ITEM_LENGTH_BYTES;
    buffer[start] = KIND.tick;
    buffer[start + 1] = CLOCK_QUALITIES.indexOf(quality) | (deaf === true ? TICK_DEAF : 0);
    buffer.writeDoubleLE(now, start + 2);
    this.#finish(buffer.writeDoubleLE(sinceStartMs, start + 10));
  }

  /** As JSON: there is one per start. */
  start(item: StartItem): void {
    const { epoch, at, clock, version, outputHash, upgrades } = item;
    const text = Buffer.from(JSON.stringify({ epoch, at, clock, version, outputHash, upgrades }));
    this.#reserve(1 + text.length);
    const start = this.#end + ITEM_LENGTH_BYTES;
    this.#buffer[start] = KIND.start;
    text.copy(this.#buffer, start + 1);
    this.#finish(start + 1 + text.length);
  }

  /** The item in hand ends at `end`. */
  #finish(end: number): void {
    this.#buffer.writeUInt32LE(end - this.#end - ITEM_LENGTH_BYTES, this.#end);
    this.#end = end;
    this.#items += 1;
  }

  #reserve(bytes: number): void {
    const end = this.#end + ITEM_LENGTH_BYTES + bytes;
    if (end <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, end));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}

/** Returns where it ends. */
function writeMessage(buffer: Buffer, message: MessageIdentity, begin: number): number {
  const { client, connection, usesDup, packetId, hash, clientId } = message;
  let at = buffer.writeUInt16LE(packetId, begin);
  at = writeNumber(buffer, client, at);
  at = writeNumber(buffer, 2 * connection + Number(usesDup), at);
  if (packetId !== 0) at = buffer.writeUInt32LE(hash, at);
  if (clientId === undefined) return at;
  at = writeNumber(buffer, Buffer.byteLength(clientId), at);
  return at + buffer.write(clientId, at);
}

/** A whole number below 2³⁵ in as few bytes as it needs. Returns where it ends. */
function writeNumber(buffer: Buffer, number: number, begin: number): number {
  let at = begin;
  let rest = number;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) buffer[at++] = (rest % 128) | 0x80;
  buffer[at] = rest;
  return at + 1;
}

/** Writes text in UTF-8 and returns its bytes. Names are short and nearly always ASCII, where a loop is faster than a call. */
function writeText(buffer: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > 32) return buffer.write(text, at);
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return buffer.write(text, at);
    buffer[at + i] = code;
  }
  return length;
}

/** Whether the item is a start. */
export const isStart = (bytes: Uint8Array): boolean => bytes[0] === KIND.start;

/** Reads an item. @throws JournalItemError if it is of a newer release, or not an item. */
export function readJournalItem(bytes: Uint8Array): JournalItem {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (buffer[0]) {
    case KIND.reading:
    case KIND.released:
      return readReading(buffer);
    case KIND.arrival:
      return readArrival(buffer);
    case KIND.tick:
      return readTick(buffer);
    case KIND.start:
      return readStart(buffer);
    case undefined:
      throw new JournalItemError('it is empty');
    default:
      throw new JournalItemError(`its kind ${buffer[0]} is unknown; a newer release wrote it`);
  }
}

function readReading(buffer: Buffer): JournalItem {
  const reader = new FieldReader(buffer, READING_HEADER_BYTES);
  if (buffer.length < READING_HEADER_BYTES) throw tooShort('reading', buffer);
  const flags = buffer.readUInt8(1);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  if (has(FLAG.introduces) && !has(FLAG.message))
    throw new JournalItemError(`its flags ${flags} are unknown; a newer release wrote it`);
  const receivedAt = epochMs(buffer.readDoubleLE(6));
  const eventTime = has(FLAG.untimed) ? receivedAt : epochMs(reader.float());
  const seq = has(FLAG.seq) ? reader.float() : undefined;
  const message = has(FLAG.message) ? readMessage(reader, has(FLAG.introduces)) : undefined;
  const device = reader.text(buffer.readUInt16LE(2));
  const named = reader.text(buffer.readUInt16LE(4));
  const rest = reader.text(buffer.length - reader.at);
  const unit = has(FLAG.unit) ? rest : undefined;
  const isApart = has(FLAG.apart) && unit !== undefined;
  const reading: Reading = {
    device,
    metric: isApart ? apartMetric(named, unit) : named,
    eventTime,
    value: buffer.readDoubleLE(14),
    quality: has(FLAG.uncertain) ? 'uncertain' : 'good',
    ...(unit !== undefined && { unit }),
    ...(isApart && { apartFrom: named }),
    ...(seq !== undefined && { seq }),
  };
  return {
    kind: 'reading',
    receivedAt,
    reading,
    isUntimed: has(FLAG.untimed),
    follows: has(FLAG.follows),
    ...(message !== undefined && { message }),
    ...(buffer[0] === KIND.released && { isReleased: true }),
  };
}

function readArrival(buffer: Buffer): JournalItem {
  if (buffer.length < ARRIVAL_HEADER_BYTES) throw tooShort('arrival', buffer);
  const reader = new FieldReader(buffer, ARRIVAL_HEADER_BYTES);
  const device = reader.text(buffer.readUInt16LE(2));
  const metric = reader.text(buffer.length - reader.at);
  return { kind: 'arrival', sensor: { device, metric }, receivedAt: epochMs(buffer.readDoubleLE(4)) };
}

function readMessage(reader: FieldReader, introduces: boolean): MessageIdentity {
  const packetId = reader.uint16();
  const [client, connection] = [reader.number(), reader.number()];
  const hash = packetId === 0 ? 0 : reader.uint32();
  const known = { client, connection: Math.floor(connection / 2), usesDup: connection % 2 === 1, packetId, hash };
  return introduces ? { ...known, clientId: reader.text(reader.number()) } : known;
}

/** Reads the fields of an item one after the other. @throws JournalItemError behind its end. */
class FieldReader {
  readonly #buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer;
    this.at = at;
  }

  #take(bytes: number): number {
    const begin = this.at;
    if (!(bytes >= 0 && begin + bytes <= this.#buffer.length)) throw tooShort('reading', this.#buffer);
    this.at = begin + bytes;
    return begin;
  }

  float(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  uint16(): number {
    return this.#buffer.readUInt16LE(this.#take(2));
  }

  uint32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  /** As {@link writeNumber} has it. */
  number(): number {
    let number = 0;
    for (let factor = 1; factor < 2 ** 35; factor *= 128) {
      const byte = this.#buffer[this.#take(1)]!;
      number += factor * (byte & 0x7f);
      if (byte < 0x80) break;
    }
    return number;
  }

  text(bytes: number): string {
    const begin = this.#take(bytes);
    return this.#buffer.toString('utf8', begin, begin + bytes);
  }
}

function readTick(buffer: Buffer): JournalItem {
  const flags = buffer[1] ?? 0;
  const quality = CLOCK_QUALITIES[flags & ~TICK_DEAF];
  if (buffer.length !== TICK_BYTES || quality === undefined) throw tooShort('tick', buffer);
  const tick = { quality, now: epochMs(buffer.readDoubleLE(2)), sinceStartMs: buffer.readDoubleLE(10) };
  return (flags & TICK_DEAF) === 0 ? { kind: 'tick', ...tick } : { kind: 'tick', ...tick, deaf: true };
}

function readStart(buffer: Buffer): JournalItem {
  try {
    return { kind: 'start', ...(JSON.parse(buffer.toString('utf8', 1)) as StartItem) };
  } catch {
    throw tooShort('start', buffer);
  }
}

const tooShort = (kind: string, { length }: Buffer): JournalItemError =>
  new JournalItemError(`${length} bytes are no ${kind}`);
