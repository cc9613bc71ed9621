import { createHash } from 'node:crypto';

import { addToWindow, windowKey, type WindowSums } from './ledger.ts';

/** A message of the ingest stream as it comes from the server. */
export interface StreamMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
}

/** What the stream says of one episode. */
export interface EpisodeHistory {
  readonly opened: number;
  readonly closed: number;
  readonly closeReason: string | undefined;
  readonly detector: string;
  /** Epochs of its first and of its last record; empty where there are none. */
  readonly openedIn: string;
  readonly lastIn: string;
}

/** A gap, with what it says was in the frames that it stands for. */
export interface HeardGap {
  readonly lane: string;
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly readings: number;
}

interface Predecessor {
  readonly epoch: string;
  readonly last: number;
}

interface Epoch {
  /** Hash of what each number carried; `gap` for numbers that a gap took the place of. */
  readonly content: Map<number, string>;
  highest: number;
  /** What its start record, or the gap in its place, names; undefined: neither came. */
  predecessor: Predecessor | null | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const VIOLATIONS_MAX = 20;
const MINUTE_MS = 60_000;

/**
 * Reads the ingest stream as any processor may, and keeps what a processor would have made of it: each number of each epoch counts once,
 * whenever it comes. Written with none of the product's code, because it judges it.
 */
export class StreamOracle {
  readonly windows: WindowSums = new Map();
  readonly gaps: HeardGap[] = [];
  /**
   * Readings that come behind the seal of their minute, by {@link windowKey}. A processor applies them in another order where the stream has
   * lost messages, and only there.
   */
  readonly late = new Map<string, number>();
  readonly #lanes = new Map<string, Map<string, Epoch>>();
  readonly #episodes = new Map<string, { -readonly [K in keyof EpisodeHistory]: EpisodeHistory[K] }>();
  readonly #violations: string[] = [];
  readonly #ignored: ReadonlySet<string>;
  #violationCount = 0;
  #repeats = 0;
  #messages = 0;
  #newestTick = 0;
  readonly #latenessMs: number;
  /** What each start of the agent has told of itself last. */
  readonly #counters = new Map<string, Readonly<Record<string, number>>>();

  /**
   * @param ignoredSensors `device/metric` of readings that only move the clock.
   * @param latenessMs how long after the watermark has passed its end a minute is sealed.
   */
  constructor(ignoredSensors: readonly string[] = [], latenessMs = Infinity) {
    this.#ignored = new Set(ignoredSensors);
    this.#latenessMs = latenessMs;
  }

  /** A counter of the gateway such as `readingsRejected`, over all of its starts, as far as each has told. */
  counter(name: string): number {
    return [...this.#counters.values()].reduce((sum, counters) => sum + (counters[name] ?? 0), 0);
  }

  /** Numbers that came again with the same content. */
  get repeats(): number {
    return this.#repeats;
  }

  get messages(): number {
    return this.#messages;
  }

  /** The highest watermark that a tick told. */
  get watermark(): number {
    return this.#newestTick;
  }

  get episodes(): ReadonlyMap<string, EpisodeHistory> {
    return this.#episodes;
  }

  /** Epochs heard in a lane. */
  epochs(lane: string): number {
    return this.#lanes.get(lane)?.size ?? 0;
  }

  /** The epoch of a lane that no other one follows; undefined: there is none, or more than one. */
  newestEpoch(lane: string): string | undefined {
    const epochs = this.#lanes.get(lane) ?? new Map<string, Epoch>();
    const followed = new Set([...epochs.values()].map(({ predecessor }) => predecessor?.epoch));
    const newest = [...epochs.keys()].filter((name) => !followed.has(name));
    return newest.length === 1 ? newest[0] : undefined;
  }

  /** Whether the start record of an epoch of the anomaly lane names another one as its predecessor. */
  follows(epoch: string, before: string): boolean {
    return this.#lanes.get('anomaly')?.get(epoch)?.predecessor?.epoch === before;
  }

  take({ sequence, subject, data }: StreamMessage): void {
    this.#messages += 1;
    const batch = JSON.parse(Buffer.from(data).toString('utf8')) as Json;
    const lane = text(batch['lane']);
    if (!subject.endsWith(`.${lane}`)) this.#report(`message ${sequence}: lane ${lane} came on ${subject}`);
    const epochs = entry(this.#lanes, lane, () => new Map<string, Epoch>());
    const name = text(batch['epoch']);
    const epoch = entry(epochs, name, () => ({ content: new Map(), highest: 0, predecessor: undefined }));
    const where = `${lane} ${name}`;
    let next: number | undefined;
    for (const record of batch['records'] as Json[]) {
      const number = record['number'] as number;
      const last = record['kind'] === 'gap' ? (record['to'] as number) : number;
      if (next !== undefined && number !== next)
        this.#report(`${where}: ${number} follows ${next - 1} in message ${sequence}`);
      next = last + 1;
      if (record['kind'] === 'gap') this.#takeGap(where, lane, name, epoch, record, last);
      else this.#takeRecord(where, name, epoch, number, record, batch['sensors'] as Json[]);
      epoch.highest = Math.max(epoch.highest, last);
    }
  }

  /** What is wrong with the stream as a whole; empty: nothing. To be called when everything has been sent. */
  violations(): readonly string[] {
    const found = [...this.#violations];
    for (const [lane, epochs] of this.#lanes) {
      const successors = new Map<string, number>();
      let first = 0;
      for (const [name, { content, highest, predecessor }] of epochs) {
        if (content.size !== highest)
          found.push(`${lane} ${name}: ${highest - content.size} of the numbers up to ${highest} are missing`);
        if (predecessor === undefined) found.push(`${lane} ${name}: nothing says which epoch came before`);
        else if (predecessor === null) first += 1;
        else {
          successors.set(predecessor.epoch, (successors.get(predecessor.epoch) ?? 0) + 1);
          const before = epochs.get(predecessor.epoch);
          if (before === undefined)
            found.push(`${lane} ${name}: its predecessor ${predecessor.epoch} was never heard of`);
          else if (before.highest !== predecessor.last)
            found.push(
              `${lane} ${name}: says that ${predecessor.epoch} ended at ${predecessor.last}, heard of ${before.highest}`,
            );
        }
      }
      if (first !== 1) found.push(`${lane}: ${first} epochs say that none came before`);
      for (const [name, count] of successors) if (count > 1) found.push(`${lane} ${name}: has ${count} successors`);
    }
    for (const [id, { opened, closed }] of this.#episodes) {
      if (opened !== 1) found.push(`episode ${id}: opened ${opened} times`);
      if (closed > 1) found.push(`episode ${id}: closed ${closed} times`);
    }
    const more = this.#violationCount - this.#violations.length;
    return more > 0 ? [...found, `… and ${more} more`] : found;
  }

  #takeGap(where: string, lane: string, name: string, epoch: Epoch, record: Json, to: number): void {
    const from = record['number'] as number;
    if (from === 1) this.#setPredecessor(where, epoch, record['predecessor'] as Predecessor | null | undefined);
    const frames = record['frames'] as Json[];
    let fresh = 0;
    for (let number = from; number <= to; number++) {
      if (epoch.content.has(number)) continue;
      epoch.content.set(number, 'gap');
      fresh += 1;
    }
    if (fresh === 0) return;
    const readings = frames.reduce((sum, frame) => sum + (frame['readings'] as number), 0);
    if (fresh !== to - from + 1) this.#report(`${where}: the gap ${from}–${to} covers records that came`);
    this.gaps.push({ lane, epoch: name, from, to, reason: text(record['reason']), readings });
  }

  #takeRecord(where: string, name: string, epoch: Epoch, number: number, record: Json, sensors: readonly Json[]): void {
    const content = contentOf(record, sensors);
    const known = epoch.content.get(number);
    if (known !== undefined) {
      if (known === 'gap') this.#report(`${where}: ${number} was told as lost, and came after all`);
      else if (known === content) this.#repeats += 1;
      else this.#report(`${where}: ${number} came again with another content`);
      return;
    }
    epoch.content.set(number, content);
    switch (record['kind']) {
      case 'start':
        if (number !== 1) this.#report(`${where}: a start record has number ${number}`);
        this.#setPredecessor(where, epoch, record['predecessor'] as Predecessor | null);
        break;
      case 'rollups':
        this.#addRollups(record, sensors);
        break;
      case 'anomaly':
        this.#addAnomaly(where, name, record);
        break;
      case 'tick':
        this.#newestTick = Math.max(this.#newestTick, record['watermark'] as number);
        break;
      case 'status':
        this.#counters.set(name, record['counters'] as Readonly<Record<string, number>>);
        break;
      default:
        this.#report(`${where}: ${number} is of the unknown kind ${text(record['kind'])}`);
    }
  }

  #setPredecessor(where: string, epoch: Epoch, predecessor: Predecessor | null | undefined): void {
    if (predecessor === undefined) return;
    if (epoch.predecessor !== undefined && JSON.stringify(epoch.predecessor) !== JSON.stringify(predecessor))
      this.#report(`${where}: names two predecessors`);
    epoch.predecessor = predecessor;
  }

  #addRollups(record: Json, sensors: readonly Json[]): void {
    const columns = record['columns'] as Readonly<Record<string, readonly number[]>>;
    const at = (column: string, i: number): number => columns[column]?.[i] ?? Number.NaN;
    for (let i = 0; i < (columns['n']?.length ?? 0); i++) {
      const sensor = sensors[at('sensor', i)];
      const key = `${text(sensor?.['device'])}/${text(sensor?.['metric'])}`;
      if (this.#ignored.has(key)) continue;
      const start = (record['base'] as number) + at('bucket', i) * (record['bucketMs'] as number);
      const n = at('n', i);
      const window = windowKey(key, start);
      const end = start - (start % MINUTE_MS) + MINUTE_MS;
      if (end <= this.#newestTick - this.#latenessMs) this.late.set(window, (this.late.get(window) ?? 0) + n);
      addToWindow(this.windows, window, {
        n,
        sum: n * at('reference', i) + n * at('mean', i),
        min: at('min', i),
        max: at('max', i),
      });
    }
  }

  #addAnomaly(where: string, epoch: string, record: Json): void {
    const id = text(record['id']);
    const episode = entry(this.#episodes, id, () => ({
      opened: 0,
      closed: 0,
      closeReason: undefined,
      detector: text(record['detector']),
      openedIn: epoch,
      lastIn: epoch,
    }));
    episode.lastIn = epoch;
    if (episode.closed > 0) this.#report(`${where}: episode ${id} goes on after it was closed`);
    if (record['phase'] === 'opened') episode.opened += 1;
    else if (episode.opened === 0) this.#report(`${where}: episode ${id} goes on before it was opened`);
    if (record['phase'] === 'closed') {
      episode.closed += 1;
      episode.closeReason = text(record['closeReason']);
    }
  }

  #report(violation: string): void {
    this.#violationCount += 1;
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(violation);
  }
}

/**
 * A hash of what a record says. How live it is may change from one sending to the next, and so may the places of its sensors in the list
 * of the batch that it travels in.
 */
function contentOf(record: Json, sensors: readonly Json[]): string {
  const { provenance: _, ...rest } = record;
  let said: unknown = rest;
  if (record['kind'] === 'rollups') {
    const columns = record['columns'] as Readonly<Record<string, readonly number[]>>;
    said = { ...rest, columns: { ...columns, sensor: columns['sensor']?.map((place) => sensors[place]) } };
  }
  return createHash('sha1').update(JSON.stringify(said)).digest('base64').slice(0, 16);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : `(${JSON.stringify(value)})`);

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
