import { CLOCK_QUALITIES, type ClockQuality, type EpochMs, epochMs, type Reading } from '@floorwatch/contracts';
import { ITEM_LENGTH_BYTES, type ItemBlock } from '@floorwatch/segment-log';

import { apartMetric } from '../ingest/apart-metric.ts';
import type { ClockTick } from '../stats/watermark.ts';

/** A reading that was accepted, and the gateway's clock when it arrived. */
export interface ReadingItem {
  readonly reading: Reading;
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
  | ({ readonly kind: 'tick' } & TickItem)
  | ({ readonly kind: 'start' } & StartItem);

/** An item that this release can't read; the message says why. */
export class JournalItemError extends Error {
  override readonly name = 'JournalItemError';
}

/**
 * The first byte of every item. Later releases add kinds, also for another form of what is there; a number is never used again.
 *
 * A reading is laid out as: kind, flags, the lengths of device and metric in bytes (16 bits each), then `receivedAt`, `eventTime` and
 * `value` as 64-bit floats, all little-endian; then `seq` as one if it has any; then the names in UTF-8, and the unit as the rest. Of a
 * reading kept apart for its unit the metric is that which the device named; metric and unit give the other (`apartMetric`).
 */
const KIND = { reading: 1, tick: 2, start: 3 } as const;

const FLAG = { uncertain: 1, unit: 2, seq: 4, apart: 8 } as const;
/** No flag that this release knows. */
const FLAGS_END = 16;
const READING_HEADER_BYTES = 6 + 3 * 8;
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

  reading({ reading, receivedAt }: ReadingItem): void {
    const { device, unit, seq, apartFrom } = reading;
    const metric = apartFrom ?? reading.metric;
    // A UTF-16 unit has at most three bytes in UTF-8.
    this.#reserve(READING_HEADER_BYTES + 8 + 3 * (device.length + metric.length + (unit?.length ?? 0)));
    const buffer = this.#buffer;
    const start = this.#end + ITEM_LENGTH_BYTES;
    buffer[start] = KIND.reading;
    buffer[start + 1] =
      (reading.quality === 'uncertain' ? FLAG.uncertain : 0) |
      (unit === undefined ? 0 : FLAG.unit) |
      (seq === undefined ? 0 : FLAG.seq) |
      (apartFrom === undefined ? 0 : FLAG.apart);
    buffer.writeDoubleLE(receivedAt, start + 6);
    buffer.writeDoubleLE(reading.eventTime, start + 14);
    buffer.writeDoubleLE(reading.value, start + 22);
    let at = start + READING_HEADER_BYTES;
    if (seq !== undefined) at = buffer.writeDoubleLE(seq, at);
    const deviceBytes = writeText(buffer, device, at);
    const metricBytes = writeText(buffer, metric, at + deviceBytes);
    buffer.writeUInt16LE(deviceBytes, start + 2);
    buffer.writeUInt16LE(metricBytes, start + 4);
    at += deviceBytes + metricBytes;
    if (unit !== undefined) at += writeText(buffer, unit, at);
    this.#finish(at);
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
      return readReading(buffer);
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
  if (buffer.length < READING_HEADER_BYTES) throw tooShort('reading', buffer);
  const flags = buffer.readUInt8(1);
  const deviceBytes = buffer.readUInt16LE(2);
  const metricBytes = buffer.readUInt16LE(4);
  const device = READING_HEADER_BYTES + ((flags & FLAG.seq) === 0 ? 0 : 8);
  const metric = device + deviceBytes;
  const unitAt = metric + metricBytes;
  if (flags >= FLAGS_END) throw new JournalItemError(`its flags ${flags} are unknown; a newer release wrote it`);
  if (buffer.length < unitAt) throw tooShort('reading', buffer);
  const named = buffer.toString('utf8', metric, unitAt);
  const unit = (flags & FLAG.unit) === 0 ? undefined : buffer.toString('utf8', unitAt);
  const isApart = (flags & FLAG.apart) !== 0 && unit !== undefined;
  const reading: Reading = {
    device: buffer.toString('utf8', device, metric),
    metric: isApart ? apartMetric(named, unit) : named,
    eventTime: epochMs(buffer.readDoubleLE(14)),
    value: buffer.readDoubleLE(22),
    quality: (flags & FLAG.uncertain) === 0 ? 'good' : 'uncertain',
    ...(unit !== undefined && { unit }),
    ...(isApart && { apartFrom: named }),
    ...((flags & FLAG.seq) !== 0 && { seq: buffer.readDoubleLE(READING_HEADER_BYTES) }),
  };
  return { kind: 'reading', receivedAt: epochMs(buffer.readDoubleLE(6)), reading };
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
