import { type EpochMs, epochMs, type GatewayName, type Reading, type SensorName } from '@floorwatch/contracts';

import type { EngineConfig } from '../../src/sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../../src/sensor-engine.ts';
import type { ClockTick } from '../../src/stats/watermark.ts';

/** What a gateway lives through, in order, as its journal has it. */
export type LiveItem =
  | { readonly kind: 'reading'; readonly reading: Reading; readonly receivedAt: EpochMs; readonly isReleased?: boolean }
  | { readonly kind: 'arrival'; readonly sensor: SensorName; readonly receivedAt: EpochMs }
  | { readonly kind: 'tick'; readonly clock: ClockTick }
  | { readonly kind: 'start'; readonly at: EpochMs };

/** An engine that lives through items, and the episodes of one detector that it found. */
export class LiveEngine {
  readonly #config: EngineConfig;
  readonly #gateway: GatewayName;
  readonly episodes: EpisodeEvent[] = [];
  #engine: SensorEngine;

  constructor(config: EngineConfig, gateway: GatewayName = { site: 'plant', gateway: 'hall-1' }) {
    this.#config = config;
    this.#gateway = gateway;
    this.#engine = this.#fresh();
  }

  #fresh(): SensorEngine {
    return new SensorEngine(this.#config, this.#gateway);
  }

  take(items: Iterable<LiveItem>): this {
    for (const item of items) {
      if (item.kind === 'reading') this.#engine.accept(item.reading, this, false, item);
      else if (item.kind === 'arrival') this.#engine.hear(item.sensor, item.receivedAt, this);
      else if (item.kind === 'tick') this.#engine.advance(item.clock, this);
      else this.#engine.start(item.at);
    }
    return this;
  }

  /** Goes on with another engine that has what a file would keep of this one. */
  restore(): void {
    const sections = structuredClone(this.#engine.snapshot());
    this.#engine = this.#fresh();
    this.#engine.restore(sections);
  }

  emit(output: EngineOutput): void {
    if (output.kind === 'episode') this.episodes.push(output.episode);
    if (output.kind === 'tick') output.counts?.take();
  }

  /** What the records say last of each episode, or of those of one detector. */
  final(detector?: string): EpisodeEvent[] {
    const found = this.episodes.filter((episode) => detector === undefined || episode.detector === detector);
    return [...new Map(found.map((episode) => [episode.id, episode])).values()];
  }
}

/** A device that sends one reading per `everyMs`. */
export interface Sender {
  readonly sensor: SensorName;
  readonly everyMs: number;
  /** How far its clock is behind. */
  readonly lagMs?: number;
  /** It gathers what it measures, and sends it all together so often. */
  readonly uploadMs?: number;
  /** Milliseconds between the messages of one upload; 0: one message. */
  readonly spreadMs?: number;
  /** From when to when it sends nothing. */
  readonly silent?: readonly [from: number, to: number];
}

/** When the agent is not there. */
export interface Absence {
  readonly from: number;
  readonly to: number;
  /** How long devices take to come back. */
  readonly returnMs: number;
}

const TICK_MS = 5_000;

/**
 * What a gateway hears of devices from `begin` on for so long, in the order of time: readings, a tick every five seconds, and starts. What
 * devices send while it is away they send when they are back.
 */
export function liveItems(
  begin: number,
  durationMs: number,
  senders: readonly Sender[],
  absences: readonly Absence[] = [],
): LiveItem[] {
  const end = begin + durationMs;
  const timed: { at: number; item: LiveItem }[] = [];
  const awayAt = (at: number): Absence | undefined => absences.find(({ from, to }) => at >= from && at < to);
  for (const { sensor, everyMs, lagMs = 0, uploadMs = everyMs, spreadMs = 0, silent = [0, 0] } of senders) {
    for (let n = 1; begin + n * uploadMs < end; n++) {
      const sent = begin + n * uploadMs;
      const away = absences.find(({ from, to, returnMs }) => sent >= from && sent < to + returnMs);
      const first = away === undefined ? sent : away.to + away.returnMs;
      for (let i = 0, back = uploadMs - everyMs; back >= 0; i++, back -= everyMs) {
        const measured = sent - back;
        if (measured >= silent[0] && measured < silent[1]) continue;
        const at = first + i * spreadMs;
        const value = Math.sin(measured / 7_000) + Math.sin(measured / 311) / 3;
        const reading: Reading = { ...sensor, eventTime: epochMs(measured - lagMs), value, quality: 'good' };
        if (at < end) timed.push({ at, item: { kind: 'reading', reading, receivedAt: epochMs(at) } });
      }
    }
  }
  const starts = [begin, ...absences.map(({ to }) => to)];
  for (const [index, start] of starts.entries()) {
    timed.push({ at: start - 0.5, item: { kind: 'start', at: epochMs(start) } });
    const until = absences[index]?.from ?? end;
    for (let at = start; at < until; at += TICK_MS) {
      const clock = { now: epochMs(at), synchronised: true, sinceStartMs: at - start };
      timed.push({ at, item: { kind: 'tick', clock } });
    }
  }
  return timed
    .filter(({ at, item }) => item.kind === 'start' || awayAt(at) === undefined)
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
