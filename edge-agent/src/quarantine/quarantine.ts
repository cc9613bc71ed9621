import path from 'node:path';

import { type EpochMs, epochMs, type Reading } from '@floorwatch/contracts';
import {
  type Durability,
  type FileSystem,
  type PositionRange,
  type Recovery,
  SegmentLog,
} from '@floorwatch/segment-log';

import type { KnownQuarantine } from '../ingest/intake.ts';
import {
  faultOfTime,
  QUARANTINE_REASONS,
  type QuarantinedReading,
  type QuarantineReason,
} from '../ingest/quarantined-reading.ts';
import type { Sender } from '../ingest/message-identity.ts';
import type { RawMessage } from '../ingest/raw-message.ts';
import type { QuarantineView } from '../status/durable-views.ts';
import { HeldKeys } from './held-keys.ts';
import {
  decodeRecord,
  encodeRecord,
  keyOf,
  type QuarantineRecord,
  releasedTime,
  type ReleaseTime,
} from './quarantine-record.ts';

export interface QuarantineOptions {
  /** The agent's data folder; the log is a folder in it. */
  readonly dataDir: string;
  readonly bytesMax: number;
  readonly durability: Durability;
  /** Readings of a release that may be on their way together: fewer than the intake remembers of a sensor. */
  readonly inFlightMax: number;
  /** The machine's own by default. */
  readonly fileSystem?: FileSystem;
}

/** Which readings a person means: those that fit everything that is said. */
export interface Selection {
  readonly ids?: readonly number[];
  readonly device?: string;
  readonly metric?: string;
  readonly reason?: QuarantineReason;
}

/** Which part of a selection: so many readings behind one. */
export interface Page {
  readonly limit: number;
  readonly after?: number;
}

/** A reading in quarantine, by the number under which a person can name it. */
export interface HeldReading extends QuarantinedReading {
  readonly id: number;
}

/** What became of a request to settle readings. */
export interface Settlement {
  readonly settled: number;
  /** Behind which reading to go on; null: that was all. */
  readonly next: number | null;
  /** Those that could not be settled, and why; they stay. */
  readonly problems: readonly { readonly id: number; readonly problem: string }[];
}

/** Hands a reading to the agent's intake; resolves when it is safe in the journal. */
export type Submit = (message: RawMessage) => Promise<void>;

/** Bytes of records that are appended together; a segment has room for a few. One record is at most about 1.5 KB. */
const APPEND_BYTES = 64 * 1024;

interface Held {
  readonly key: number;
  readonly receivedAt: EpochMs;
}

/**
 * Readings whose time can't be right, in a segment log of their own, until a person releases or drops them. When the log is full the oldest go,
 * and are counted.
 *
 * A release is written down before it begins and when it has ended. One that was cut short is done again by {@link finishReleases}, and the
 * intake knows as repeats what had reached the journal; which is why only so many are on their way as it remembers.
 */
export class Quarantine implements KnownQuarantine {
  readonly recovery: Recovery;
  readonly #log: SegmentLog;
  readonly #bytesMax: number;
  readonly #inFlightMax: number;
  /** Readings that wait, by position: in the order of the log. */
  readonly #held = new Map<number, Held>();
  /** Those that were settled and are still in the log, with their keys. */
  readonly #settled = new Map<number, number>();
  /** Keys of all of them. */
  readonly #keys: HeldKeys;
  /** Releases that have begun and not ended, by position. */
  readonly #releasing = new Map<number, ReleaseTime>();
  /** Readings that are safe in the journal, although nothing says so here yet. */
  readonly #released = new Set<number>();
  /** One release or drop after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Readings that went because the log was full, since the start. */
  dropped = 0;

  private constructor(log: SegmentLog, recovery: Recovery, { bytesMax, inFlightMax }: QuarantineOptions) {
    this.#log = log;
    this.recovery = recovery;
    this.#bytesMax = bytesMax;
    this.#inFlightMax = inFlightMax;
    this.#keys = new HeldKeys(inFlightMax);
  }

  /**
   * Opens the log under the data folder, and reads it.
   *
   * @throws SegmentLogError `locked` if another process has it open.
   */
  static async open(options: QuarantineOptions): Promise<Quarantine> {
    const { dataDir, bytesMax, durability, fileSystem } = options;
    const { log, recovery } = await SegmentLog.open({
      ...(fileSystem !== undefined && { fileSystem }),
      directory: quarantineDirectory(dataDir),
      durability,
      bytesMax,
      segmentBytesMax: Math.max(4 * APPEND_BYTES, Math.floor(bytesMax / 16)),
      whenFull: 'drop-unsent',
      dropping: async (range) => quarantine.#forget(range),
    });
    const quarantine = new Quarantine(log, recovery, options);
    for await (const [position, record] of quarantine.#records(log.first)) quarantine.#remember(position, record);
    return quarantine;
  }

  async *#records(from: number): AsyncGenerator<[number, QuarantineRecord]> {
    for await (const { first, items } of this.#log.read(from)) {
      for (const [index, bytes] of items.entries()) {
        const record = decodeRecord(bytes);
        if (record !== undefined) yield [first + index, record];
      }
    }
  }

  #remember(position: number, record: QuarantineRecord, sender?: Sender): void {
    if (record.kind === 'held') {
      const key = keyOf(record);
      this.#held.set(position, { key, receivedAt: record.receivedAt });
      this.#keys.add(key, sender);
    } else if (record.kind === 'releasing') {
      for (const one of record.positions) if (this.#held.has(one)) this.#releasing.set(one, record.time);
    } else {
      for (const one of record.positions) this.#settle(one);
    }
  }

  #settle(position: number): void {
    const held = this.#held.get(position);
    if (held === undefined) return;
    this.#held.delete(position);
    this.#releasing.delete(position);
    this.#released.delete(position);
    this.#settled.set(position, held.key);
  }

  #forget({ from, to }: PositionRange): void {
    for (const [position, { key }] of this.#held) {
      if (position > to) break;
      if (position < from) continue;
      this.#held.delete(position);
      this.#releasing.delete(position);
      this.#released.delete(position);
      this.#keys.remove(key);
      this.dropped += 1;
    }
    for (const [position, key] of this.#settled) {
      if (position < from || position > to) continue;
      this.#settled.delete(position);
      this.#keys.remove(key);
    }
  }

  claim(quarantined: QuarantinedReading, sender: Sender | undefined): boolean {
    return this.#keys.claim(keyOf(quarantined), sender);
  }

  /**
   * Puts readings into quarantine; they are safe when this resolves.
   *
   * @param senders who sent each of them, where that is known.
   * @throws SegmentLogError if they are not. Some may be all the same, and are known when they come again.
   */
  async append(readings: readonly QuarantinedReading[], senders: readonly (Sender | undefined)[] = []): Promise<void> {
    let part: Buffer[] = [];
    let bytes = 0;
    for (const [index, held] of readings.entries()) {
      const record = encodeRecord({ kind: 'held', ...held });
      part.push(record);
      bytes += record.length;
      if (bytes < APPEND_BYTES && index < readings.length - 1) continue;
      const begin = index + 1 - part.length;
      const first = await this.#log.append(part);
      for (const [i, one] of readings.slice(begin, index + 1).entries())
        this.#remember(first + i, { kind: 'held', ...one }, senders[begin + i]);
      [part, bytes] = [[], 0];
    }
  }

  /** Writes something that says nothing. @throws SegmentLogError if the log can't be written. */
  async probe(): Promise<void> {
    await this.#log.append([encodeRecord({ kind: 'settled', positions: [], how: 'dropped' })]);
  }

  view(): QuarantineView {
    const [oldest] = this.#held.values();
    return {
      items: this.#held.size,
      bytes: this.#log.bytes,
      bytesMax: this.#bytesMax,
      oldestAt: oldest?.receivedAt ?? null,
      dropped: this.dropped,
    };
  }

  /** Readings that wait, the oldest first; `next` is `after` of the page behind this one. */
  async list(
    selection: Selection,
    { limit, after = 0 }: Page,
  ): Promise<{ readonly items: readonly HeldReading[]; readonly next: number | null }> {
    const items: HeldReading[] = [];
    for await (const held of this.#select(selection, after)) {
      if (items.length === limit) return { items, next: items.at(-1)?.id ?? null };
      items.push(held);
    }
    return { items, next: null };
  }

  async *#select({ ids, device, metric, reason }: Selection, after: number): AsyncGenerator<HeldReading> {
    const wanted = ids === undefined ? undefined : new Set(ids);
    const fits = (said: string | undefined, is: string): boolean => said === undefined || said === is;
    for await (const [id, record] of this.#records(Math.max(after + 1, this.#log.first))) {
      if (record.kind !== 'held' || !this.#held.has(id) || wanted?.has(id) === false) continue;
      const { reading, receivedAt, reason: why } = record;
      if (fits(device, reading.device) && fits(metric, reading.metric) && fits(reason, why)) {
        yield { id, reading, receivedAt, reason: why };
      }
    }
  }

  /** Forgets the readings that are meant. */
  async drop(selection: Selection, page: Page): Promise<Settlement> {
    return this.#inTurn(async () => {
      const { items, next } = await this.list(selection, page);
      const problems = missing(selection, page, items, next);
      const positions: number[] = [];
      for (const { id } of items) {
        if (this.#releasing.has(id)) problems.push({ id, problem: 'its release has begun; release it' });
        else positions.push(id);
      }
      await this.#end(positions, 'dropped');
      return { settled: positions.length, next, problems };
    });
  }

  /**
   * Sends the readings that are meant through the agent's intake, so that they are journaled and counted like any other. One whose release has
   * begun before keeps the time that was chosen then.
   *
   * @param latest what lies behind this instant is in the future; a reading whose time can't be right this way either stays.
   * @throws Error if the intake refuses one; what is not released by then stays.
   */
  async release(
    selection: Selection,
    time: ReleaseTime,
    { latest, submit, ...page }: Page & { readonly latest: number; readonly submit: Submit },
  ): Promise<Settlement> {
    return this.#inTurn(async () => {
      const { items, next } = await this.list(selection, page);
      const problems = missing(selection, page, items, next);
      const good: HeldReading[] = [];
      for (const item of items) {
        const { id } = item;
        const fault = this.#releasing.has(id) ? undefined : faultOfTime(releasedTime(item, time), latest);
        if (fault === undefined) good.push(item);
        else problems.push({ id, problem: `${fault}: ${QUARANTINE_REASONS[fault]}; or release it with another time` });
      }
      for (let i = 0; i < good.length; i += this.#inFlightMax) {
        const part = good.slice(i, i + this.#inFlightMax);
        const begun = part.map(({ id }) => id).filter((id) => !this.#releasing.has(id));
        await this.#log.append([encodeRecord({ kind: 'releasing', positions: begun, time })]);
        for (const id of begun) this.#releasing.set(id, time);
        await this.#submit(part, submit);
      }
      return { settled: good.length, next, problems };
    });
  }

  /** Ends the releases that were cut short by the end of the process. To be called when the intake takes messages. */
  async finishReleases(submit: Submit): Promise<void> {
    await this.#inTurn(async () => {
      const ids = [...this.#releasing.keys()];
      const { items } = await this.list({ ids }, { limit: ids.length });
      await this.#submit(items, submit);
    });
  }

  /** Those that are taken are settled although others are refused: a later try could find that they are known as repeats no more. */
  async #submit(items: readonly HeldReading[], submit: Submit): Promise<void> {
    const outcomes = await Promise.allSettled(
      items.map(async (item) => {
        if (this.#released.has(item.id)) return;
        await submit(messageOf(item, this.#releasing.get(item.id) ?? 'as-sent'));
        this.#released.add(item.id);
      }),
    );
    const released = items.map(({ id }) => id).filter((id) => this.#released.has(id));
    await this.#end(released, 'released');
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #end(positions: readonly number[], how: 'released' | 'dropped'): Promise<void> {
    if (positions.length === 0) return;
    await this.#log.append([encodeRecord({ kind: 'settled', positions: [...positions], how })]);
    for (const position of positions) this.#settle(position);
    // What lies before the oldest one that waits is not needed any more.
    const [oldest] = this.#held.keys();
    await this.#log.trim(oldest ?? this.#log.next);
    this.#forget({ from: 1, to: this.#log.first - 1 });
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Closes the log. */
  async close(): Promise<void> {
    await this.#log.close();
  }
}

/** The folder of the quarantine. */
export const quarantineDirectory = (dataDir: string): string => path.join(dataDir, 'quarantine');

function messageOf(held: HeldReading, time: ReleaseTime): RawMessage {
  const { device, metric } = held.reading;
  const released: Reading = { ...held.reading, eventTime: releasedTime(held, time) };
  const topic = `released from quarantine: ${device}/${metric}`;
  // By its number alone a release that is done again is known, whatever else is equal: as a device's message is by its packet identifier.
  const payload = Buffer.from(String(held.id));
  const sent = { sender: RELEASES, packetId: 1 + (held.id % PACKET_IDS), isDup: true };
  return { topic, payload, receivedAt: epochMs(Date.now()), retained: false, sent, released };
}

const PACKET_IDS = 65_535;
/** Who sends what is released. No device has a name like this: `$` is the broker's own. */
const RELEASES: Sender = { clientId: '$quarantine', isOpen: true };

/** What a person named and is not there. */
function missing(
  { ids = [] }: Selection,
  { after = 0 }: Page,
  items: readonly HeldReading[],
  next: number | null,
): { id: number; problem: string }[] {
  const found = new Set(items.map(({ id }) => id));
  const isGone = (id: number): boolean => !found.has(id) && id > after && (next === null || id <= next);
  return ids.filter(isGone).map((id) => ({ id, problem: 'there is no such reading in quarantine' }));
}
