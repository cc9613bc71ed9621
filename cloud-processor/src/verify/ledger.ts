import {
  type AcceptedCounts,
  type EpochMs,
  type GapRecord,
  type GatewayName,
  gatewayKey,
  type Lane,
  type RecordPlace,
} from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';

/** Numbers that a gateway declared lost. */
export interface LostNumbers {
  readonly lane: Lane;
  readonly epoch: string;
  /** See `RecordPlace`: with `to`, where in the lane they stood. */
  readonly run: number;
  /** Both ends included; both 0: the gateway no longer has all that came before this epoch, and nobody knows what that was. */
  readonly from: number;
  readonly to: number;
  /** `cap`, `damage`, `trimmed`, or `lost-epoch`. */
  readonly reason: string;
  /** Readings and episodes' records among them, as far as it is known. */
  readonly readings: number;
  readonly anomalies: number;
  /** Some of them are not known to the gateway either. */
  readonly unknown: boolean;
  /** Event times of the lost readings, both ends included; null: none, or not known. */
  readonly eventTimes: readonly [number, number] | null;
}

/** Where in a source numbers were lost. */
interface LostPlace {
  readonly lane: Lane;
  readonly epoch: string;
  readonly run: number;
  /** The last number applied before: only what is above it is lost now. */
  readonly floor: number;
}

/** What is remembered of one gateway so that what is stored can be held against what it told. */
export interface LedgerSnapshot extends GatewayName {
  /** The last tick that was applied whole: everything that came before it is told. */
  readonly tick: RecordPlace | null;
  /** Names of the gateway's countings, the newest last, each with the hour from which on it is complete (null: everywhere). */
  readonly counters: readonly (readonly [counter: string, completeFrom: number | null])[];
  /** The record of the anomaly lane up to which episodes are told. */
  readonly episodes: { readonly epoch: string; readonly number: number } | null;
  readonly lost: readonly LostNumbers[];
}

interface Entry {
  readonly name: GatewayName;
  tick: RecordPlace | null;
  readonly counters: Map<string, EpochMs | null>;
  episodes: LedgerSnapshot['episodes'];
  readonly lost: LostNumbers[];
}

/** Keeps, per gateway, what `verify` needs besides the rows: pure, and part of every checkpoint. */
export class Ledger {
  readonly #entries = new Map<string, Entry>();

  constructor(from: readonly LedgerSnapshot[] = []) {
    for (const { site, gateway, tick, counters, episodes, lost } of from) {
      const known = counters as readonly (readonly [string, EpochMs | null])[];
      const entry = { name: { site, gateway }, tick, counters: new Map(known), episodes, lost: [...lost] };
      this.#entries.set(gatewayKey(entry.name), entry);
    }
  }

  #entry({ site, gateway }: GatewayName): Entry {
    const key = gatewayKey({ site, gateway });
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { name: { site, gateway }, tick: null, counters: new Map(), episodes: null, lost: [] };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  tick(name: GatewayName, place: RecordPlace, counts: AcceptedCounts | undefined): void {
    const entry = this.#entry(name);
    if (counts?.more !== true) entry.tick = place;
    if (counts === undefined) return;
    const { counter, completeFrom, episodes } = counts;
    if (!entry.counters.has(counter)) {
      entry.counters.set(counter, completeFrom);
      const [oldest] = entry.counters.keys();
      if (entry.counters.size > processorLimits.countersPerGatewayMax && oldest !== undefined) {
        entry.counters.delete(oldest);
      }
    }
    if (episodes !== undefined) entry.episodes = { epoch: episodes.epoch, number: episodes.number };
  }

  gap(name: GatewayName, { lane, epoch, run, floor }: LostPlace, gap: GapRecord): void {
    const first = Math.max(floor + 1, gap.number);
    let [readings, anomalies, next] = [0, 0, first];
    let eventTimes: [number, number] | null = null;
    for (const frame of gap.frames) {
      if (frame.to < next || frame.number > next) continue;
      next = frame.to + 1;
      readings += frame.readings;
      anomalies += frame.anomalies;
      if (frame.eventTimes === null) continue;
      const { from, to } = frame.eventTimes;
      eventTimes = eventTimes === null ? [from, to] : [Math.min(eventTimes[0], from), Math.max(eventTimes[1], to)];
    }
    const { to, reason } = gap;
    this.#lose(name, {
      lane,
      epoch,
      run,
      from: first,
      to,
      reason,
      readings,
      anomalies,
      unknown: next <= to,
      eventTimes,
    });
  }

  /** An epoch begins although the gateway has lost the end of the one before. */
  loseEpochEnd(name: GatewayName, { lane, epoch, run }: Omit<LostPlace, 'floor'>): void {
    const lost = { from: 0, to: 0, reason: 'lost-epoch', readings: 0, anomalies: 0, unknown: true, eventTimes: null };
    this.#lose(name, { lane, epoch, run, ...lost });
  }

  /** The numbers of an epoch from there on come after all: what was declared of them counts for nothing. */
  refuteGaps(name: GatewayName, { lane, epoch, from }: Pick<LostNumbers, 'lane' | 'epoch' | 'from'>): void {
    const { lost } = this.#entry(name);
    const kept = lost.filter((one) => one.lane !== lane || one.epoch !== epoch || one.to < from);
    lost.splice(0, lost.length, ...kept);
  }

  #lose(name: GatewayName, lost: LostNumbers): void {
    const list = this.#entry(name).lost;
    list.push(lost);
    if (list.length <= processorLimits.lostNumbersPerGatewayMax) return;
    const [oldest, second] = list.splice(0, 2) as [LostNumbers, LostNumbers];
    list.unshift(joined(oldest, second));
  }

  snapshot(): readonly LedgerSnapshot[] {
    return Array.from(this.#entries.values(), ({ name, tick, counters, episodes, lost }) => ({
      ...name,
      tick,
      counters: [...counters],
      episodes,
      lost: lost.slice(),
    }));
  }
}

/** Two stretches as one: no figure is lost, only where one ended. */
function joined(a: LostNumbers, b: LostNumbers): LostNumbers {
  const times = [a.eventTimes, b.eventTimes].filter((range) => range !== null);
  return {
    ...b,
    from: a.from,
    readings: a.readings + b.readings,
    anomalies: a.anomalies + b.anomalies,
    unknown: a.unknown || b.unknown,
    eventTimes:
      times.length === 0 ? null : [Math.min(...times.map(([from]) => from)), Math.max(...times.map(([, to]) => to))],
  };
}
