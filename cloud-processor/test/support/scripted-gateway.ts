import {
  type Batch,
  decodeFloorMessage,
  encodeBatch,
  type FloorMessage,
  type FloorRecord,
  floorSubject,
  ingestSubject,
} from '@floorwatch/contracts';
import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';

import { type Resources, waitFor } from '../../../tests/support/index.ts';
import { BASE, batchOf, BUCKET, GATEWAY, MINUTE, rollups, tick } from './floor.ts';
import { ModelLane } from './model-lane.ts';

const BATCH_RECORDS = 3;

/**
 * The telemetry lane of a gateway that sends what it has, and follows floor messages as DESIGN says: it deletes what is safe at once
 * (without the grace period that hides mistakes) and goes back to what is missing.
 */
export class ScriptedGateway {
  readonly lane = new ModelLane('a', undefined, (number, at) => {
    return this.#ticks.has(at) ? tick(number, BASE + 1_000 * 3_600_000) : reading(number, at);
  });
  readonly #ticks = new Set<number>();
  /** Every floor message, in the order in which they came. */
  readonly heard: FloorMessage[] = [];
  /** How often it went back. */
  rewinds = 0;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  #lastSeq = 0;
  /** While a rewind is under way: the first sequence acknowledged after it, 0 before that. */
  #rewoundSeq: number | undefined;
  #sending: Promise<void> = Promise.resolve();
  #stopped = false;

  private constructor(connection: NatsConnection) {
    this.#connection = connection;
    this.#client = jetstream(connection);
  }

  static async connect(resources: Resources, url: string): Promise<ScriptedGateway> {
    const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const gateway = new ScriptedGateway(connection);
    resources.defer(async () => {
      gateway.#stopped = true;
      await connection.close();
      await gateway.#sending.catch(() => undefined);
    });
    void gateway.#listen();
    return gateway;
  }

  /** Makes `count` readings, ten seconds apart, and sends them. */
  append(count: number): void {
    this.lane.append(count);
    this.send();
  }

  /** Sends a tick that seals every window. */
  end(): void {
    this.#ticks.add(this.lane.items.length);
    this.append(1);
  }

  /** Readings and their sum in every minute, as an undisturbed processor counts them: `start` → `[n, sum]`. */
  expected(): Record<number, readonly [n: number, sum: number]> {
    const minutes: Record<number, readonly [number, number]> = {};
    for (const [at, { number }] of this.lane.items.entries()) {
      if (number === 1 || this.#ticks.has(at) || this.lane.damaged.has(at)) continue;
      const start = Math.floor((BASE + at * BUCKET) / MINUTE) * MINUTE;
      const [n, sum] = minutes[start] ?? [0, 0];
      minutes[start] = [n + 1, sum + at];
    }
    return minutes;
  }

  /** Starts anew, as after a restart of the agent. */
  restart(): void {
    this.lane.start();
  }

  /** Sends all that was not sent, behind what is being sent. */
  send(): void {
    this.#sending = this.#sending.then(async () => this.#sendAll()).catch(() => undefined);
  }

  async #sendAll(): Promise<void> {
    for (
      let part = this.lane.read(BATCH_RECORDS);
      part !== undefined && !this.#stopped;
      part = this.lane.read(BATCH_RECORDS)
    ) {
      const from = this.lane.next;
      const seq = await this.#publish(batchOf(part.records, { epoch: part.epoch }));
      // A rewind meanwhile: what was acknowledged counts for nothing.
      if (this.lane.next !== from) continue;
      this.#lastSeq = seq;
      if (this.#rewoundSeq === 0) this.#rewoundSeq = seq;
      this.lane.next = part.to + 1;
    }
  }

  async #publish(batch: Batch): Promise<number> {
    let seq = 0;
    const publish = async (): Promise<boolean> => {
      if (this.#stopped) return true;
      ({ seq } = await this.#client.publish(ingestSubject(batch), encodeBatch(batch), { timeout: 1_000 }));
      return true;
    };
    await waitFor('the batch is acknowledged', publish, { timeoutMs: 60_000 });
    return seq;
  }

  async #listen(): Promise<void> {
    for await (const { data } of this.#connection.subscribe(floorSubject(GATEWAY))) {
      const decoded = decodeFloorMessage(data);
      if (!decoded.ok) throw new Error(`not a floor message: ${decoded.why}`);
      this.#hear(decoded.message, this.heard.at(-1));
      this.heard.push(decoded.message);
    }
  }

  #hear(message: FloorMessage, before: FloorMessage | undefined): void {
    const { epoch, floor, highest } = message.lanes.telemetry;
    const { created, position } = message.stream;
    const { lane } = this;
    const safe = epoch === null ? undefined : lane.positionOf(epoch, floor + 1);
    if (safe !== undefined) lane.trimmedTo = Math.max(lane.trimmedTo, Math.min(safe, lane.items.length - 1));
    const wanted = safe ?? lane.beginning;
    if (wanted > lane.next) lane.next = wanted;
    const streamChanged =
      before !== undefined && (before.stream.created !== created || position < before.stream.position);
    if (this.#rewoundSeq !== undefined && this.#rewoundSeq > 0 && position >= this.#rewoundSeq) {
      this.#rewoundSeq = undefined;
    }
    const lost =
      this.#rewoundSeq === undefined && (highest > floor || (this.#lastSeq > 0 && position >= this.#lastSeq));
    if (wanted >= lane.next || !(streamChanged || lost)) return;
    this.rewinds += 1;
    this.#rewoundSeq = 0;
    lane.next = wanted;
    this.send();
  }
}

/** One reading of one sensor, ten seconds behind the one before; its value tells its place in the lane. */
const reading = (number: number, at: number): FloorRecord =>
  rollups(number, [{ sensor: 0, at: BASE + at * BUCKET, value: at }]);
