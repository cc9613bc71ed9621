import { crc32 } from 'node:zlib';

import {
  type Batch,
  epochMs,
  type GapRecord,
  INGEST_STREAM,
  limits as contractLimits,
  parseIngestSubject,
} from '@floorwatch/contracts';
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg, StreamInfo } from '@nats-io/jetstream';

import type { StreamPass } from '../../../cloud-processor/src/reprocess/stream-pass.ts';
import type { World } from './world.ts';

interface Stored {
  readonly seq: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly at: number;
}

/** How long a message may stay unanswered, as the agent's link waits. */
const ANSWER_MS = 5_000;

/**
 * A JetStream with one stream: it acknowledges what it has not synced, may lose its end and use the sequences again, be trimmed, made anew or
 * rolled back to an older copy, and its consumers do what was measured of real ones: one that begins behind the end says nothing.
 */
export class StreamModel {
  readonly #world: World;
  #created = '';
  #made = 0;
  #messages: Stored[] = [];
  #first = 1;
  #last = 0;
  readonly #consumers = new Set<ConsumerModel>();
  /** What hears core NATS messages: floor messages. */
  readonly listeners = new Set<(subject: string, data: Uint8Array) => void>();
  #downUntil = 0;
  /** Called with everything that a gateway publishes and that the stream takes. */
  onStored: (subject: string, data: Uint8Array) => void = () => undefined;

  /** Called when a gateway has told of numbers that are lost. */
  onGap: (gateway: string) => void = () => undefined;

  constructor(world: World) {
    this.#world = world;
    this.#create();
  }

  /** Nobody reaches it. */
  get down(): boolean {
    return this.#world.time.now < this.#downUntil;
  }

  /** Nobody reaches it for some time. */
  goDown(ms: number): void {
    this.#world.note(`NATS can not be reached for ${ms} ms`);
    this.#downUntil = Math.max(this.#downUntil, this.#world.time.now + ms);
    for (const consumer of this.#consumers) consumer.cut();
  }

  get last(): number {
    return this.#last;
  }

  /** When it was made, as the server writes it. */
  get created(): string {
    return this.#created;
  }

  #create(): void {
    this.#created = `2026-03-02T08:00:00.${String(++this.#made).padStart(9, '0')}Z`;
    this.#messages = [];
    this.#first = 1;
    this.#last = 0;
  }

  /** One attempt of a gateway; it may fail although the message is stored, and the message may be stored twice. */
  async publish(subject: string, data: Uint8Array): Promise<{ readonly seq: number }> {
    const world = this.#world;
    await world.time.sleep(world.int(1, world.strikes('lost-messages', 0.1) ? 4_000 : 20));
    if (this.down || world.strikes('lost-messages', 0.08)) return this.#noAnswer();
    const seq = this.#append(subject, data);
    if (gapsIn(data).length > 0) this.onGap(parseIngestSubject(subject)!.gateway);
    if (world.strikes('lost-messages', 0.05)) {
      world.time.after(world.int(1, 30_000), () => this.down || void this.#append(subject, data));
    }
    if (this.down || world.strikes('lost-messages', 0.08)) return this.#noAnswer();
    await world.time.sleep(world.int(0, 5));
    return { seq };
  }

  async #noAnswer(): Promise<never> {
    await this.#world.time.sleep(ANSWER_MS);
    throw new Error('timeout');
  }

  #append(subject: string, data: Uint8Array): number {
    const stored = { seq: ++this.#last, subject, data, at: this.#world.time.wall };
    this.#messages.push(stored);
    this.onStored(subject, data);
    for (const consumer of this.#consumers) consumer.wake();
    return stored.seq;
  }

  /** Loses its newest messages, as a power cut does; their sequences are used again. */
  loseTail(): void {
    const count = this.#world.int(1, Math.max(1, Math.min(60, this.#messages.length)));
    this.#messages.splice(Math.max(0, this.#messages.length - count));
    this.#last = Math.max(0, this.#last - count);
    this.#first = Math.min(this.#first, this.#last + 1);
    this.#restart(`the stream lost its last ${count} messages`);
  }

  /** Drops its oldest messages, as it does at its limits. */
  trim(): void {
    const count = this.#world.int(1, Math.max(1, this.#messages.length));
    this.#messages.splice(0, count);
    this.#first = this.#messages[0]?.seq ?? this.#last + 1;
    this.#world.note(`the stream was trimmed to ${this.#first}`);
  }

  recreate(): void {
    this.#create();
    this.#restart('the stream was made anew');
  }

  /** Goes back to what it was, some messages ago; only to be told from {@link loseTail} by what happens to the consumers. */
  #restart(what: string): void {
    this.#world.note(what);
    for (const consumer of this.#consumers) consumer.cut();
  }

  async #answer<T>(give: () => T): Promise<T> {
    await this.#world.time.sleep(this.#world.int(1, 10));
    if (this.down) return this.#noAnswer();
    return give();
  }

  #info(): StreamInfo {
    return {
      created: this.#created,
      config: {
        subjects: [...INGEST_STREAM.subjects],
        retention: 'limits',
        storage: 'file',
        max_msgs: -1,
        max_msgs_per_subject: -1,
        max_msg_size: contractLimits.batchBytesMax,
      },
      state: { first_seq: this.#first, last_seq: this.#last, messages: this.#messages.length, bytes: 0 },
    } as unknown as StreamInfo;
  }

  #find(seq: number): Stored | undefined {
    return this.#messages.find((message) => message.seq === seq);
  }

  /** What the reader of a partition needs of a JetStream manager. */
  get manager(): JetStreamManager {
    const streams = {
      info: async () => this.#answer(() => this.#info()),
      getMessage: async (_stream: string, { seq }: { seq: number }) => this.#answer(() => this.#find(seq) ?? null),
    };
    return { streams } as unknown as JetStreamManager;
  }

  /** What the reader of a partition needs of a JetStream client. */
  get client(): JetStreamClient {
    const get = async (_stream: string, { opt_start_seq: from }: { opt_start_seq: number }) =>
      this.#answer(() => {
        const consumer = new ConsumerModel(this.#world, from, (seq) => this.#messages.find((one) => one.seq >= seq));
        this.#consumers.add(consumer);
        return {
          consume: async () => consumer.messages,
          delete: async () => void this.#consumers.delete(consumer),
        };
      });
    return { consumers: { get } } as unknown as JetStreamClient;
  }

  /** What `reprocess` needs: the stream once more, from one place to another. */
  get pass(): StreamPass {
    return {
      look: async () => this.#answer(() => ({ created: this.#created, first: this.#first, last: this.#last })),
      read: async (_partition, { from, through }, take, signal) => {
        const created = await this.#answer(() => this.#created);
        for (let next = from; !signal.aborted;) {
          const message = this.#messages.find(({ seq }) => seq >= next);
          if (created !== this.#created) throw new Error('the stream was made anew meanwhile');
          if (message === undefined || message.seq > through) return;
          const { seq: sequence, subject, data, at } = message;
          if (this.down) await this.#noAnswer();
          await take({ subject, data, sequence, storedAt: epochMs(at) });
          next = sequence + 1;
        }
      },
    };
  }

  /** Bytes that tell what it holds. */
  get digest(): number {
    return this.#messages.reduce((crc, { data }) => crc32(data, crc), 0);
  }
}

/** The gaps of a message. Most have none, and are not parsed. */
export function gapsIn(data: Uint8Array): readonly GapRecord[] {
  if (!Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes('"gap"')) return [];
  const { records } = JSON.parse(Buffer.from(data).toString()) as Batch;
  return records.filter((record) => record.kind === 'gap');
}

/** An ordered consumer: gives messages from a sequence on until it is stopped or cut off. */
class ConsumerModel {
  readonly #world: World;
  readonly #nextFrom: (seq: number) => Stored | undefined;
  #seq: number;
  #cut = false;
  #stopped = false;
  #wake: () => void = () => undefined;
  #tell: (() => void) | undefined;

  constructor(world: World, from: number, nextFrom: (seq: number) => Stored | undefined) {
    this.#world = world;
    this.#seq = from;
    this.#nextFrom = nextFrom;
  }

  wake(): void {
    this.#wake();
  }

  /** It gives nothing more, which is noticed by the silence. */
  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    this.#world.time.after(this.#world.int(100, 4_000), () => this.#tell?.());
  }

  get messages(): ConsumerMessages {
    return {
      stop: () => {
        this.#stopped = true;
        this.#wake();
      },
      status: () => this.status(),
      [Symbol.asyncIterator]: () => this.iterate(),
    } as unknown as ConsumerMessages;
  }

  async *iterate(): AsyncGenerator<JsMsg> {
    while (!this.#stopped) {
      const message = this.#cut ? undefined : this.#nextFrom(this.#seq);
      if (message === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      await this.#world.time.sleep(this.#world.int(0, 3));
      if (this.#stopped || this.#cut) continue;
      this.#seq = message.seq + 1;
      const { seq, subject, data, at } = message;
      yield { seq, subject, data, timestampNanos: BigInt(at) * 1_000_000n } as unknown as JsMsg;
    }
  }

  async *status(): AsyncGenerator<{ readonly type: 'heartbeats_missed' }> {
    await new Promise<void>((resolve) => (this.#tell = resolve));
    yield { type: 'heartbeats_missed' };
  }
}
