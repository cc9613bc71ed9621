import type { AnomalyRow, LiveEvents, RollupPoint } from '@floorwatch/contracts';

import { EventMemory } from './event-memory.ts';
import type { FloorListener, FloorView } from './floor-view.ts';
import { serveLimits } from './limits.ts';

/** What the feed has done since the start. */
export interface LiveFeedCounts {
  readonly clients: number;
  /** Cut because they read too slowly. */
  readonly cut: number;
  /** Cut to make room for a newer one. */
  readonly displaced: number;
  /** Episodes left out of the feed in a storm. */
  readonly anomaliesLeftOut: number;
  /** Clients that came back and got what they had missed. */
  readonly resumed: number;
  /** Times that a client was told to read everything anew. */
  readonly resets: number;
  /** Episodes that can be told again. */
  readonly remembered: number;
}

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly sensors: readonly string[];
  readonly address: string;
  readonly hangUp: () => void;
  /** By sensor and start: a late rollup changes a point that waits already. */
  readonly rollups: Map<string, LiveEvents['rollups'][number]>;
  sentAt: number;
}

/** Who wants to listen. */
export interface NewClient {
  /** Ids of sensors whose rollups it wants. */
  readonly sensors: readonly string[];
  /** Of the newest event that it has seen; undefined: it begins from now on. */
  readonly lastEventId: string | undefined;
  /** Where it comes from. */
  readonly address: string;
  /** Cuts its connection; what waits for it is thrown away. */
  readonly hangUp: () => void;
}

/** The limits that a test sets otherwise; see {@link serveLimits}. */
export type LiveLimits = {
  readonly [
    K in
      | 'liveClientsMax'
      | 'liveClientsPerAddressMax'
      | 'liveQueueBytesMax'
      | 'liveMemoryBytesMax'
      | 'liveResetEveryMs'
      | 'liveHeartbeatMs'
      | 'liveGatherMs'
  ]: number;
};

export interface LiveFeedOptions {
  readonly view: FloorView;
  readonly limits?: LiveLimits;
}

const encoder = new TextEncoder();

/** One server-sent event (HTML Living Standard, 9.2.5). JSON has no line breaks, so one data line is enough. */
const encodeEvent = <K extends keyof LiveEvents>(name: K, data: LiveEvents[K], id?: string): Uint8Array =>
  encoder.encode(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);

/** How long a client should wait before it connects again, in milliseconds. */
const RETRY = 'retry: 2000\n\n';

/**
 * Sends changes of the floor to the pages that listen. Every event is encoded once for all clients; each client has a limited queue,
 * and one that does not keep up is cut, because a page that connects again reads the whole floor anyway. Episodes have ids and are
 * remembered for a while, so that a client that comes back goes on where it was; all other events tell how things are, and the next
 * one makes up for those before it.
 */
export class LiveFeed implements FloorListener {
  readonly #view: FloorView;
  readonly #limits: LiveLimits;
  readonly #clients = new Set<Client>();
  /** Clients by the sensor whose rollups they want. */
  readonly #wanted = new Map<string, Set<Client>>();
  readonly #anomalies = new Map<string, AnomalyRow>();
  readonly #memory: EventMemory;
  /** Something was left out, and clients have not been told yet. */
  #mustReset = false;
  #resetAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #gathering = false;
  #cut = 0;
  #displaced = 0;
  #anomaliesLeftOut = 0;
  #resumed = 0;
  #resets = 0;

  constructor({ view, limits = serveLimits }: LiveFeedOptions) {
    this.#view = view;
    this.#limits = limits;
    this.#memory = new EventMemory(limits.liveMemoryBytesMax);
    view.listener = this;
  }

  counts(): LiveFeedCounts {
    return {
      clients: this.#clients.size,
      cut: this.#cut,
      displaced: this.#displaced,
      anomaliesLeftOut: this.#anomaliesLeftOut,
      resumed: this.#resumed,
      resets: this.#resets,
      remembered: this.#memory.size,
    };
  }

  /** A stream of events for one more client. Where there are too many, another one is cut for it. */
  open({ sensors, lastEventId, address, hangUp }: NewClient): ReadableStream<Uint8Array> {
    this.#makeRoom(address);
    let client: Client | undefined;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          client = { controller, sensors, address, hangUp, rollups: new Map(), sentAt: Date.now() };
          this.#add(client);
          this.#greet(controller, lastEventId);
        },
        cancel: () => {
          if (client !== undefined) this.#remove(client);
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: this.#limits.liveQueueBytesMax }),
    );
  }

  anomaly(row: AnomalyRow): void {
    // A later word on the same episode replaces the earlier one, and goes to the end of the line.
    this.#anomalies.delete(row.id);
    this.#anomalies.set(row.id, row);
    if (this.#anomalies.size > serveLimits.liveAnomaliesMax) {
      const [oldest] = this.#anomalies.keys();
      if (oldest !== undefined) this.#anomalies.delete(oldest);
      this.#anomaliesLeftOut += 1;
      this.#mustReset = true;
    }
    // It runs also while nobody listens, for those who come back; the program may end without it.
    if (this.#gathering) return;
    this.#gathering = true;
    setTimeout(() => this.#flushAnomalies(), serveLimits.liveAnomalyGatherMs).unref();
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
    this.#gathering = false;
    if (this.#mustReset) this.#memory.breakOff();
    for (const row of this.#anomalies.values()) {
      this.#sendAll(this.#memory.add(row, (id) => encodeEvent('anomaly', row, id)));
    }
    this.#anomalies.clear();
    if (this.#clients.size === 0) this.#mustReset = false;
  }

  /** Where the client stands: an id alone is kept by it and is no event. */
  #greet(controller: Client['controller'], lastEventId: string | undefined): void {
    // Whoever left before being told must be told now.
    if (this.#mustReset) this.#memory.breakOff();
    const resumption = lastEventId === undefined ? undefined : this.#memory.resume(lastEventId);
    if (resumption?.kind === 'resumed') {
      this.#resumed += 1;
      controller.enqueue(encoder.encode(RETRY));
      for (const bytes of resumption.missed) controller.enqueue(bytes);
      return;
    }
    controller.enqueue(encoder.encode(`id: ${this.#memory.newestId}\n${RETRY}`));
    if (resumption === undefined) return;
    this.#resets += 1;
    controller.enqueue(encodeEvent('reset', { reason: resumption.reason }, this.#memory.newestId));
  }

  #flush(): void {
    const now = Date.now();
    // While a storm lasts not every time: each of these makes every client read everything.
    if (this.#mustReset && now - this.#resetAt >= this.#limits.liveResetEveryMs) {
      this.#mustReset = false;
      this.#resetAt = now;
      this.#resets += this.#clients.size;
      this.#memory.breakOff();
      this.#sendAll(encodeEvent('reset', { reason: 'left-out' }, this.#memory.newestId));
    }
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
      this.#cutOff(client);
      return;
    }
    client.controller.enqueue(bytes);
    client.sentAt = Date.now();
  }

  /** So that silent clients shut nobody out, an address gives way within its share, and the one with the most clients for all others. */
  #makeRoom(address: string): void {
    const byAddress = new Map<string, Client[]>();
    for (const client of this.#clients) {
      const clients = byAddress.get(client.address);
      if (clients === undefined) byAddress.set(client.address, [client]);
      else clients.push(client);
    }
    const own = byAddress.get(address) ?? [];
    const { liveClientsMax, liveClientsPerAddressMax } = this.#limits;
    if (own.length >= liveClientsPerAddressMax) this.#displaceOneOf(own);
    else if (this.#clients.size >= liveClientsMax) {
      this.#displaceOneOf(
        [...byAddress.values()].reduce((most, clients) => (clients.length > most.length ? clients : most)),
      );
    }
  }

  /** The one with the most bytes that it has not taken goes; of equals the one that is there for longest, as a page left open somewhere is. */
  #displaceOneOf(clients: readonly Client[]): void {
    const waiting = ({ controller }: Client): number => controller.desiredSize ?? 0;
    this.#displaced += 1;
    this.#cutOff(clients.reduce((idlest, client) => (waiting(client) < waiting(idlest) ? client : idlest)));
  }

  #cutOff(client: Client): void {
    this.#remove(client);
    client.hangUp();
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
    this.#timer = undefined;
  }
}
