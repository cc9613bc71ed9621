import type { AnomalyRow, LiveEvents, RollupPoint } from '@floorwatch/contracts';

import type { FloorListener, FloorView } from './floor-view.ts';
import { serveLimits } from './limits.ts';

/** What the feed has done since the start. */
export interface LiveFeedCounts {
  readonly clients: number;
  /** Cut because they read too slowly. */
  readonly cut: number;
  /** Turned away because there were too many. */
  readonly refused: number;
  /** Episodes left out of the feed in a storm. */
  readonly anomaliesLeftOut: number;
}

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly sensors: readonly string[];
  readonly hangUp: () => void;
  /** By sensor and start: a late rollup changes a point that waits already. */
  readonly rollups: Map<string, LiveEvents['rollups'][number]>;
  sentAt: number;
}

/** The limits that a test sets otherwise; see {@link serveLimits}. */
export type LiveLimits = {
  readonly [K in 'liveClientsMax' | 'liveQueueBytesMax' | 'liveHeartbeatMs' | 'liveGatherMs']: number;
};

export interface LiveFeedOptions {
  readonly view: FloorView;
  readonly limits?: LiveLimits;
}

const encoder = new TextEncoder();

/** One server-sent event (HTML Living Standard, 9.2.5). JSON has no line breaks, so one data line is enough. */
const encodeEvent = <K extends keyof LiveEvents>(name: K, data: LiveEvents[K]): Uint8Array =>
  encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

/** How long a client should wait before it connects again, in milliseconds. */
const GREETING = encoder.encode('retry: 2000\n\n');

/**
 * Sends changes of the floor to the pages that listen. Every event is encoded once for all clients; each client has a limited queue,
 * and one that does not keep up is cut, because a page that connects again reads the whole floor anyway. Timers run only while
 * someone listens.
 */
export class LiveFeed implements FloorListener {
  readonly #view: FloorView;
  readonly #limits: LiveLimits;
  readonly #clients = new Set<Client>();
  /** Clients by the sensor whose rollups they want. */
  readonly #wanted = new Map<string, Set<Client>>();
  readonly #anomalies = new Map<string, AnomalyRow>();
  #timer: NodeJS.Timeout | undefined;
  #anomalyTimer: NodeJS.Timeout | undefined;
  #cut = 0;
  #refused = 0;
  #anomaliesLeftOut = 0;

  constructor({ view, limits = serveLimits }: LiveFeedOptions) {
    this.#view = view;
    this.#limits = limits;
    view.listener = this;
  }

  counts(): LiveFeedCounts {
    return {
      clients: this.#clients.size,
      cut: this.#cut,
      refused: this.#refused,
      anomaliesLeftOut: this.#anomaliesLeftOut,
    };
  }

  /**
   * A stream of events for one more client, or undefined if there are too many.
   *
   * @param sensors ids whose rollups it wants.
   * @param hangUp cuts the client's connection; what waits for it is thrown away.
   */
  open(sensors: readonly string[], hangUp: () => void): ReadableStream<Uint8Array> | undefined {
    if (this.#clients.size >= this.#limits.liveClientsMax) {
      this.#refused += 1;
      return undefined;
    }
    let client: Client | undefined;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          client = { controller, sensors, hangUp, rollups: new Map(), sentAt: Date.now() };
          this.#add(client);
          controller.enqueue(GREETING);
        },
        cancel: () => {
          if (client !== undefined) this.#remove(client);
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: this.#limits.liveQueueBytesMax }),
    );
  }

  anomaly(row: AnomalyRow): void {
    if (this.#clients.size === 0) return;
    // A later word on the same episode replaces the earlier one, and goes to the end of the line.
    this.#anomalies.delete(row.id);
    this.#anomalies.set(row.id, row);
    if (this.#anomalies.size > serveLimits.liveAnomaliesMax) {
      const [oldest] = this.#anomalies.keys();
      if (oldest !== undefined) this.#anomalies.delete(oldest);
      this.#anomaliesLeftOut += 1;
    }
    this.#anomalyTimer ??= setTimeout(() => this.#flushAnomalies(), serveLimits.liveAnomalyGatherMs);
  }

  wants(id: string): boolean {
    return this.#wanted.has(id);
  }

  rollup(id: string, point: RollupPoint): void {
    for (const client of this.#wanted.get(id) ?? []) {
      client.rollups.set(`${id} ${point.start}`, { id, point });
      if (client.rollups.size <= serveLimits.liveRollupsMax) continue;
      const [oldest] = client.rollups.keys();
      if (oldest !== undefined) client.rollups.delete(oldest);
    }
  }

  #flushAnomalies(): void {
    this.#anomalyTimer = undefined;
    for (const row of this.#anomalies.values()) this.#sendAll(encodeEvent('anomaly', row));
    this.#anomalies.clear();
  }

  #flush(): void {
    const now = Date.now();
    const changed = this.#view.takeChanged(serveLimits.liveSensorsPerEventMax);
    if (changed.length > 0) this.#sendAll(encodeEvent('sensors', changed));
    for (const client of this.#clients) {
      if (client.rollups.size > 0) {
        this.#send(client, encodeEvent('rollups', [...client.rollups.values()]));
        client.rollups.clear();
      }
      if (now - client.sentAt >= this.#limits.liveHeartbeatMs) {
        this.#send(client, encodeEvent('heartbeat', { at: now as LiveEvents['heartbeat']['at'] }));
      }
    }
  }

  #sendAll(bytes: Uint8Array): void {
    for (const client of this.#clients) this.#send(client, bytes);
  }

  #send(client: Client, bytes: Uint8Array): void {
    if (!this.#clients.has(client)) return;
    if (bytes.byteLength > (client.controller.desiredSize ?? 0)) {
      this.#cut += 1;
      this.#remove(client);
      client.hangUp();
      return;
    }
    client.controller.enqueue(bytes);
    client.sentAt = Date.now();
  }

  #add(client: Client): void {
    if (this.#clients.size === 0) {
      this.#view.forgetChanges();
      this.#timer = setInterval(() => this.#flush(), this.#limits.liveGatherMs);
    }
    this.#clients.add(client);
    for (const id of client.sensors) {
      const clients = this.#wanted.get(id) ?? new Set();
      clients.add(client);
      this.#wanted.set(id, clients);
    }
  }

  #remove(client: Client): void {
    this.#clients.delete(client);
    for (const id of client.sensors) {
      const clients = this.#wanted.get(id);
      clients?.delete(client);
      if (clients?.size === 0) this.#wanted.delete(id);
    }
    if (this.#clients.size > 0) return;
    clearInterval(this.#timer);
    clearTimeout(this.#anomalyTimer);
    this.#timer = undefined;
    this.#anomalyTimer = undefined;
    this.#anomalies.clear();
  }
}
