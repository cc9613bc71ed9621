import type { LiveEvents } from '@floorwatch/contracts';
import { retryDelay, type RetrySchedule } from '@floorwatch/runtime/retry-delay';

import { ApiError, type ApiClient } from './api-client.ts';
import { EventParser } from './event-parser.ts';

/** How the page hears the processor. `waiting`: lost, and the next attempt is at `retryAt`. */
export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'waiting'; readonly since: number; readonly retryAt: number; readonly why: string }
  | { readonly kind: 'unauthorised' };

export interface LiveHandlers {
  /** A connection is there after none was: what was missed must be read again. */
  opened(): void;
  event<K extends keyof LiveEvents>(name: K, data: LiveEvents[K]): void;
  state(state: ConnectionState): void;
}

/** The processor sends a heartbeat after 15 s of silence; two missed ones mean that nobody is there. */
const SILENCE_MS_MAX = 35_000;
const RETRY: RetrySchedule = { firstMs: 1_000, maxMs: 15_000 };

/** Keeps one live feed open for the page, whatever happens to it. */
export class LiveConnection {
  readonly #api: ApiClient;
  readonly #handlers: LiveHandlers;
  #sensors: readonly string[] = [];
  /** Of the newest episode heard: the processor tells what came after it first. */
  #lastEventId: string | undefined;
  #current: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #lostSince: number | undefined;
  #live = false;

  constructor(api: ApiClient, handlers: LiveHandlers) {
    this.#api = api;
    this.#handlers = handlers;
  }

  /** Connects now, also where the next attempt would be later. */
  connect(): void {
    clearTimeout(this.#timer);
    if (!this.#live) this.#handlers.state({ kind: 'connecting' });
    void this.#run();
  }

  /** Asks for the rollups of these sensors instead of the ones before. */
  watch(sensors: readonly string[]): void {
    if (sensors.join('\n') === this.#sensors.join('\n')) return;
    this.#sensors = sensors;
    if (this.#live) void this.#run();
  }

  async #run(): Promise<void> {
    const before = this.#current;
    const abort = new AbortController();
    this.#current = abort;
    try {
      const body = await this.#api.live(this.#sensors, this.#lastEventId, abort.signal);
      if (this.#current !== abort) return abort.abort();
      // The old feed ends only when the new one is open, so nothing is missed between them.
      before?.abort();
      const reopened = !this.#live;
      this.#live = true;
      this.#attempt = 0;
      this.#lostSince = undefined;
      this.#handlers.state({ kind: 'live' });
      if (reopened) this.#handlers.opened();
      await this.#read(body, abort);
      throw new ApiError(0, 'the processor closed the connection');
    } catch (error) {
      before?.abort();
      if (this.#current === abort) this.#lose(error);
    }
  }

  async #read(body: ReadableStream<Uint8Array>, abort: AbortController): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
      const silence = setTimeout(() => abort.abort(), SILENCE_MS_MAX);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const events = parser.push(decoder.decode(value, { stream: true }));
      this.#lastEventId = parser.lastEventId ?? this.#lastEventId;
      for (const { name, data } of events) {
        if (isEventName(name)) this.#handlers.event(name, JSON.parse(data) as LiveEvents[typeof name]);
      }
    }
  }

  #lose(error: unknown): void {
    this.#live = false;
    this.#current?.abort();
    this.#current = undefined;
    if (error instanceof ApiError && error.status === 401) {
      this.#handlers.state({ kind: 'unauthorised' });
      return;
    }
    const why = error instanceof ApiError ? error.message : 'the connection broke off';
    this.#attempt += 1;
    this.#lostSince ??= Date.now();
    const delay = retryDelay(RETRY, this.#attempt);
    this.#handlers.state({ kind: 'waiting', since: this.#lostSince, retryAt: Date.now() + delay, why });
    this.#timer = setTimeout(() => this.connect(), delay);
  }
}

const NAMES: ReadonlySet<string> = new Set<keyof LiveEvents>(['anomaly', 'sensors', 'rollups', 'reset', 'heartbeat']);
const isEventName = (name: string): name is keyof LiveEvents => NAMES.has(name);
