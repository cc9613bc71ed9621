import {
  addHash,
  type AcceptedCounts,
  type Batch,
  COUNT_MS,
  type CountedEpisodes,
  type CountedHour,
  epochMs,
  type FloorRecord,
  type HashSum,
  hashText,
  type Lane,
  noHashes,
  textHash,
} from '@floorwatch/contracts';

import {
  anomaly,
  BASE,
  batchOf,
  GATEWAY,
  hashOfReading,
  report,
  rollups,
  SENSORS,
  start,
  type TestReading,
} from '../support/floor.ts';

const EPOCH = '1-00000001';
const BATCH_RECORDS = 50;

interface Count {
  n: number;
  readonly hash: HashSum;
  news: boolean;
}

/** Makes the batches of a gateway that counts what it accepts. */
export class CountingGateway {
  readonly #name: string;
  readonly #telemetry: FloorRecord[] = [start()];
  readonly #anomalies: FloorRecord[] = [start()];
  #sent = { telemetry: 0, anomaly: 0 };
  readonly #counts = new Map<string, Count & { readonly sensor: number; readonly hour: number }>();
  readonly #episodes = new Map<number, { opened: Count; closed: Count }>();
  readonly #open = new Set<number>();
  /** Readings accepted. */
  readings = 0;
  /** Set: ticks tell nothing, as an older release's. */
  silent = false;

  constructor(name: string = GATEWAY.gateway) {
    this.#name = name;
  }

  get #number(): number {
    const last = this.#telemetry.at(-1);
    return last?.kind === 'gap' ? last.to + 1 : (last?.number ?? 0) + 1;
  }

  /** Accepts readings and sends rollups of them. */
  accept(...readings: readonly TestReading[]): void {
    this.count(...readings);
    this.#telemetry.push(rollups(this.#number, readings));
  }

  /** Accepts readings, and loses what it made of them: the gap says that there were `declared`. */
  lose(readings: readonly TestReading[], declared = readings.length): void {
    this.count(...readings);
    const number = this.#number;
    const times = readings.map(({ at }) => at);
    const eventTimes = { from: epochMs(Math.min(...times)), to: epochMs(Math.max(...times)) };
    const frame = { number, to: number, readings: declared, anomalies: 0, eventTimes };
    this.#telemetry.push({ kind: 'gap', number, to: number, reason: 'cap', frames: [frame] });
  }

  /** Counts readings, of which nothing is sent. */
  count(...readings: readonly TestReading[]): void {
    for (const reading of readings) {
      this.readings += 1;
      const hour = Math.floor(reading.at / COUNT_MS) * COUNT_MS;
      const key = `${reading.sensor} ${hour}`;
      const known = this.#counts.get(key) ?? { sensor: reading.sensor, hour, n: 0, hash: noHashes(), news: true };
      known.n += 1;
      known.news = true;
      addHash(known.hash, hashOfReading(reading));
      this.#counts.set(key, known);
    }
  }

  /** An episode opens, or closes. */
  episode(id: number, phase: 'opened' | 'closed'): void {
    const made = anomaly(this.#anomalies.length + 1, id, phase, phase === 'closed' ? 2 : 1);
    // No two gateways give one id.
    const record = this.#name === GATEWAY.gateway ? made : { ...made, id: `e${made.id.slice(1)}` };
    this.#anomalies.push(record);
    const hour = Math.floor(record.openedAt / COUNT_MS) * COUNT_MS;
    const none = (): Count => ({ n: 0, hash: noHashes(), news: true });
    const counts = this.#episodes.get(hour) ?? { opened: none(), closed: none() };
    this.#episodes.set(hour, counts);
    const count = counts[phase];
    count.n += 1;
    count.news = true;
    addHash(count.hash, textHash(record.id));
    if (phase === 'opened') this.#open.add(id);
    else this.#open.delete(id);
  }

  /** A tick that tells what is over. */
  tick(watermark: number): void {
    const at = epochMs(watermark);
    const counts = this.silent ? undefined : this.#told(watermark);
    const tick = { kind: 'tick', number: this.#number, watermark: at, at, clock: 'synchronised' } as const;
    this.#telemetry.push(counts === undefined ? tick : { ...tick, counts });
  }

  /** A report of itself. */
  report(): void {
    this.#telemetry.push(report(this.#number));
  }

  /** The processor asks for numbers again that it had called safe, and they are gone. */
  trim(count: number): void {
    const number = this.#number;
    this.#telemetry.push({ kind: 'gap', number, to: number + count - 1, reason: 'trimmed', frames: [] });
  }

  /** A tick that tells what is over, and is lost. */
  loseTick(watermark: number): void {
    this.#told(watermark);
    const number = this.#number;
    const frame = { number, to: number, readings: 0, anomalies: 0, eventTimes: null };
    this.#telemetry.push({ kind: 'gap', number, to: number, reason: 'cap', frames: [frame] });
  }

  #told(watermark: number): AcceptedCounts {
    const hours: CountedHour[] = [];
    for (const count of this.#counts.values()) {
      if (!count.news || count.hour + COUNT_MS > watermark) continue;
      count.news = false;
      const { device, metric } = SENSORS[count.sensor]!;
      const { n, hour } = count;
      hours.push({ device, metric, hour: epochMs(hour), since: 0, n, hash: hashText(count.hash)! });
    }
    const episodes: CountedEpisodes[] = [];
    for (const [hour, { opened, closed }] of this.#episodes) {
      if (!opened.news && !closed.news) continue;
      opened.news = false;
      closed.news = false;
      episodes.push({
        hour: epochMs(hour),
        since: 0,
        opened: opened.n,
        openedHash: hashText(opened.hash)!,
        closed: closed.n,
        closedHash: hashText(closed.hash)!,
      });
    }
    const number = this.#anomalies.length;
    return { counter: EPOCH, completeFrom: null, hours, episodes: { epoch: EPOCH, number, hours: episodes } };
  }

  /** What has not been taken yet, of one lane or both. */
  batches(only?: Lane): Batch[] {
    const parts = [
      ['anomaly', this.#anomalies],
      ['telemetry', this.#telemetry],
    ] as const;
    return parts.flatMap(([lane, records]) => {
      if (only !== undefined && lane !== only) return [];
      const batches: Batch[] = [];
      for (let from = this.#sent[lane]; from < records.length; from += BATCH_RECORDS) {
        batches.push(batchOf(records.slice(from, from + BATCH_RECORDS), { lane, epoch: EPOCH, gateway: this.#name }));
      }
      this.#sent[lane] = records.length;
      return batches;
    });
  }
}

/**
 * The hours from `first` until before `end`, counted from BASE, of two sensors: a reading every ten seconds, with an episode in every hour;
 * ends with the tick that completes them.
 */
export function hoursOf(gateway: CountingGateway, end: number, first = 0): void {
  for (let minute = first * 60; minute < end * 60; minute++) {
    const at = BASE + minute * 60_000;
    const readings = Array.from({ length: 12 }, (_, i): TestReading => {
      return { sensor: i % 2, at: at + (i >> 1) * 10_000, value: Math.sin(minute + i) };
    });
    gateway.accept(...readings);
    if (minute % 60 === 20) gateway.episode(minute * 60, 'opened');
    if (minute % 60 === 40) gateway.episode((minute - 20) * 60, 'closed');
    gateway.tick(at + 60_000);
  }
}
