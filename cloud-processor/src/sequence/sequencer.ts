import {
  type DurationMs,
  type EpochMs,
  type FloorRecord,
  type GatewayName,
  type GatewayRow,
  type Lane,
  type LaneFloor,
  lastNumber,
  limits as contractLimits,
  type Predecessor,
} from '@floorwatch/contracts';

import type { StoredRun, StoredRuns } from '../stored-gateway.ts';
import type { AlarmCause } from './alarms.ts';
import { recordDigest } from './record-digest.ts';

/** Where records come from: numbers count per source and epoch. */
export interface SourceName extends GatewayName {
  readonly lane: Lane;
}

/** An epoch as it is saved. */
export type EpochSnapshot = readonly [
  epoch: string,
  /** The last number applied. */
  floor: number,
  /** The highest number known to exist. */
  highest: number,
  /** Whether an epoch that names this one as its predecessor has begun. */
  succeeded: boolean,
  /** When the stream got the last batch that told of this epoch, epoch milliseconds; 0: not known. */
  heardAt: number,
  /** The numbers from here up to the floor were declared lost, and nothing was applied behind them; 0: the last one was applied. */
  lostFrom: number,
  /** Digest of the record at the floor; 0: it was declared lost, or nothing was applied. */
  digest: number,
];

/** A stretch of records of one epoch that were taken one after the other: its run, and the number that it began with. */
export type RunSnapshot = readonly [run: number, epoch: string, from: number];

/** A source as it is saved. */
export interface SourceSnapshot extends SourceName {
  /** The epoch heard last, duplicates included, among those that have no successor; null: none has begun. */
  readonly current: string | null;
  /** Something was heard that could not be applied, and says nothing about `current`. */
  readonly waiting: boolean;
  /** How often the epoch that records were taken from was another one than before. */
  readonly run: number;
  /** The epoch that records were taken from last; null: none were. */
  readonly takenFrom: string | null;
  /** The newest runs, oldest first. What lies before the first is not known. */
  readonly runs: readonly RunSnapshot[];
  readonly epochs: readonly EpochSnapshot[];
}

/** What to do with a batch. */
export interface Judgement {
  /** Index of the first record to apply; all behind it follow. Equal to the number of records if there is nothing to apply. */
  readonly from: number;
  /**
   * Counts the stretches of records of one epoch that were taken one after the other. With the number it orders all records of a source as
   * they were taken, also where two epochs take turns.
   */
  readonly run: number;
  /** The last number applied before: of a gap that begins at or below it, only the part above is new. */
  readonly floor: number;
  /** Numbers that were seen before and are ignored. */
  readonly duplicates: number;
  /** Numbers that came before their turn and are not applied: what is missing before them must be sent again. */
  readonly ahead: number;
  /** `after-loss`: the gateway no longer has all that came before this epoch, and nobody knows what that was. */
  readonly begun: false | 'in-turn' | 'after-loss';
  /** What a person should know of. */
  readonly alarms: readonly AlarmCause[];
  /** What is declared lost of the epoch from this number on comes after all. Absent: nothing does. */
  readonly refutedFrom?: number;
}

export interface SequencerLimits {
  /** For so long the stream can hold a record; an epoch that has a successor is remembered at least as long. */
  readonly streamAgeMax: DurationMs;
  /** Epochs that are remembered whatever their age, so that an old copy of a gateway's disk is recognised. */
  readonly epochsPerSourceMin: number;
  readonly epochsPerSourceMax: number;
}

interface EpochState {
  floor: number;
  highest: number;
  succeeded: boolean;
  heardAt: number;
  lostFrom: number;
  digest: number;
}

interface Source {
  readonly name: SourceName;
  readonly epochs: Map<string, EpochState>;
  current: string | null;
  waiting: boolean;
  run: number;
  takenFrom: string | null;
  readonly runs: RunSnapshot[];
  /** Runs that processors before have counted, of records that may come again. */
  remembered: readonly StoredRun[];
  /** No run above it is in the store but those counted here. */
  runsTo: number;
  /** The last snapshot, while nothing has changed since: most sources are quiet between two checkpoints. */
  saved: SourceSnapshot | undefined;
}

/** How an epoch begins, or `waits`: what must come before it is missing. */
type Beginning = 'waits' | Pick<Judgement, 'begun' | 'alarms'>;

/** Runs that are remembered per source: as many as starts of one agent. Epochs that take turns make one with every turn. */
const RUNS_MAX = 1_000;

const NONE: readonly AlarmCause[] = [];
const IN_TURN: Beginning = { begun: 'in-turn', alarms: NONE };
const AFTER_LOSS: Beginning = { begun: 'after-loss', alarms: NONE };
const NOT_CONTRADICTED = { alarms: NONE };

const isTooFar = (number: number, floor: number): boolean => number - floor > contractLimits.numbersAheadMax;

/**
 * Lets every number of a source through exactly once and in order. Each epoch has a floor of its own, and a record is judged by it alone,
 * never by the order of epochs: at or below the floor it is a duplicate, the next one is applied, and what comes further on is not: it
 * tells of a hole, which {@link floor} reports, and the gateway sends everything from there again. Only gateways declare numbers lost (a
 * gap). What looks as if two gateways were one raises an alarm and is applied all the same.
 *
 * A gateway sends every number, as a record or in a gap, so it contradicts whatever somebody else has sent in its name. A record that a gap had
 * declared lost refutes the gap: as long as nothing behind it was applied, the floor goes back before it, and everything is taken. The record
 * at the floor is known by its content: another one with its number raises an alarm.
 *
 * An epoch begins with a start record, or a gap that stands in its place, when all of the epoch that it follows has been applied.
 *
 * Invariant: `floor <= highest`; of `lostFrom` and `digest` at most one is set; the current epoch is known and has no successor.
 */
export class Sequencer {
  readonly #limits: SequencerLimits;
  readonly #sources = new Map<string, Source>();
  /** By telemetry lane, see {@link remember}. */
  #remembered: ReadonlyMap<string, readonly StoredRun[]> = new Map();
  #runsTo = 0;
  /** Epochs no longer remembered: the stream can't hold their records any more. */
  forgottenOld = 0;
  /** Epochs given up at the limit: what of them comes again can't be recognised. */
  forgottenAtLimit = 0;

  constructor(limits: SequencerLimits, from: readonly SourceSnapshot[] = []) {
    this.#limits = limits;
    for (const snapshot of from) {
      const { site, gateway, lane, current, waiting, run, takenFrom, runs, epochs } = snapshot;
      const states = epochs.map(
        ([epoch, floor, highest, succeeded, heardAt, lostFrom, digest]) =>
          [epoch, { floor, highest, succeeded, heardAt, lostFrom, digest }] as const,
      );
      const name = { site, gateway, lane };
      this.#sources.set(keyOf(name), {
        name,
        epochs: new Map(states),
        current,
        waiting,
        run,
        takenFrom,
        runs: [...runs],
        remembered: [],
        runsTo: 0,
        saved: undefined,
      });
    }
  }

  /** Whether `source` would be one gateway more than `gatewaysMax`, each with two lanes. */
  isFull(source: SourceName, gatewaysMax: number): boolean {
    return this.#sources.size >= 2 * gatewaysMax && !this.#sources.has(keyOf(source));
  }

  /** Whether anything of `source` was ever accepted. */
  knows(source: SourceName): boolean {
    return this.#sources.has(keyOf(source));
  }

  /**
   * Why a batch can't be the gateway's: its numbers lie further ahead of what was applied than a gateway ever gets, and to believe that they
   * exist would be to wait for them. Undefined: it may be. To be asked before {@link accept}.
   *
   * Nobody waits for the numbers of a batch that is next in turn, or of an unknown epoch: a processor that has lost its checkpoint meets
   * agents that have run for months, and gaps that say so.
   */
  impossibleNumber(name: SourceName, epoch: string, records: readonly FloorRecord[]): string | undefined {
    const epochs = this.#sources.get(keyOf(name))?.epochs;
    const known = epochs?.get(epoch);
    if (known !== undefined) {
      const last = lastNumber(records.at(-1)!);
      if (records[0]!.number <= known.floor + 1 || !isTooFar(last, known.floor)) return undefined;
      return `number ${last} of ${epoch} lies more than ${contractLimits.numbersAheadMax} behind ${known.floor}, the last one applied`;
    }
    const before = predecessorOf(records[0]!);
    const end = epochs?.get(before?.epoch ?? '')?.floor;
    if (!before || end === undefined || !isTooFar(before.last, end)) return undefined;
    return `${epoch} follows number ${before.last} of ${before.epoch}, of which ${end} was applied last`;
  }

  /** Sources that wait for numbers to be sent again. */
  get sourcesWaiting(): number {
    let waiting = 0;
    for (const source of this.#sources.values()) {
      const { floor, highest } = floorOf(source);
      if (highest > floor) waiting++;
    }
    return waiting;
  }

  /**
   * What the store and the claim tell of the runs that processors before have counted: records that come again get the run that they had, so
   * that windows which hold them already know them, and all others come behind every run.
   */
  remember({ gateways, runsTo }: { readonly gateways: readonly StoredRuns[]; readonly runsTo: number }): void {
    this.#remembered = new Map(gateways.map((name) => [keyOf({ ...name, lane: 'telemetry' }), name.runs] as const));
    this.#runsTo = gateways.reduce((most, { runs }) => Math.max(most, ...runs.map(([run]) => run)), runsTo);
    for (const [key, source] of this.#sources) {
      source.remembered = this.#remembered.get(key) ?? [];
      source.runsTo = this.#runsTo;
    }
  }

  /** The run in which a number was taken; undefined: it is not known any more. */
  placeOf(name: SourceName, epoch: string, number: number): GatewayRow['source'] {
    const runs = this.#sources.get(keyOf(name))?.runs ?? [];
    return placeIn(runs, epoch, number);
  }

  /** The highest run that was counted here or before; 0: there is none. */
  get highestRun(): number {
    let highest = this.#runsTo;
    for (const { run } of this.#sources.values()) highest = Math.max(highest, run);
    return highest;
  }

  /**
   * Judges a batch and moves the floor behind what is to be applied.
   *
   * @param records at least one, with consecutive numbers (the contract checks that).
   * @param at when the stream got the batch.
   */
  accept(name: SourceName, epoch: string, records: readonly FloorRecord[], at: EpochMs): Judgement {
    const source = this.#source(name);
    source.saved = undefined;
    const known = source.epochs.get(epoch);
    if (known !== undefined) return judge(source, epoch, known, records, at);
    const beginning = beginningOf(source, records[0]!, at);
    if (beginning === 'waits') {
      source.waiting = true;
      return nothingNew(records, { run: source.run, floor: 0, duplicates: 0, ahead: count(records) });
    }
    const state = { floor: 0, highest: 0, succeeded: false, heardAt: at, lostFrom: 0, digest: 0 };
    source.epochs.set(epoch, state);
    const judgement = judge(source, epoch, state, records, at);
    this.#forget(source, at);
    return { ...judgement, begun: beginning.begun, alarms: [...beginning.alarms, ...judgement.alarms] };
  }

  /** How far a source has come, and what is missing: what its gateway needs to hear. */
  floor(name: SourceName): LaneFloor {
    const source = this.#sources.get(keyOf(name));
    return source === undefined ? { epoch: null, floor: 0, highest: 0 } : floorOf(source);
  }

  snapshot(): readonly SourceSnapshot[] {
    return Array.from(this.#sources.values(), (source) => (source.saved ??= snapshotOf(source)));
  }

  #source(name: SourceName): Source {
    const key = keyOf(name);
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const { site, gateway, lane } = name;
    const source: Source = {
      name: { site, gateway, lane },
      epochs: new Map(),
      current: null,
      waiting: false,
      run: 0,
      takenFrom: null,
      runs: [],
      remembered: this.#remembered.get(key) ?? [],
      runsTo: this.#runsTo,
      saved: undefined,
    };
    this.#sources.set(key, source);
    return source;
  }

  /** To be called when an epoch was added: only then there can be one too many. */
  #forget({ epochs, current, runs }: Source, at: EpochMs): void {
    const { streamAgeMax, epochsPerSourceMin, epochsPerSourceMax } = this.#limits;
    const byAge = [...epochs].sort(([, a], [, b]) => a.heardAt - b.heardAt);
    for (const [epoch, { succeeded, heardAt }] of byAge) {
      if (epochs.size <= epochsPerSourceMin) break;
      if (!succeeded || at - heardAt <= streamAgeMax) continue;
      epochs.delete(epoch);
      this.forgottenOld++;
    }
    for (const [epoch] of byAge) {
      if (epochs.size <= epochsPerSourceMax) break;
      if (epoch !== current && epochs.delete(epoch)) this.forgottenAtLimit++;
    }
    while (runs[0] !== undefined && !epochs.has(runs[0][1])) runs.shift();
  }
}

function snapshotOf({ name, epochs, current, waiting, run, takenFrom, runs }: Source): SourceSnapshot {
  const saved = Array.from(epochs, ([epoch, state]): EpochSnapshot => {
    return [epoch, state.floor, state.highest, state.succeeded, state.heardAt, state.lostFrom, state.digest];
  });
  return { ...name, current, waiting, run, takenFrom, runs: runs.slice(), epochs: saved };
}

/** What the gateway of a saved source is told. */
export function floorOfSnapshot({ current, waiting, epochs }: SourceSnapshot): LaneFloor {
  const [, floor, highest] = epochs.find(([epoch]) => epoch === current) ?? [null, 0, 0];
  const told = laneFloor(current, floor, highest, waiting);
  const others = epochs
    .filter(([epoch]) => epoch !== current)
    .sort(([, , , , a], [, , , , b]) => b - a)
    .slice(0, contractLimits.otherEpochsMax)
    .map(([epoch, safe]) => ({ epoch, floor: safe }));
  return others.length === 0 ? told : { ...told, others };
}

function floorOf({ current, waiting, epochs }: Source): LaneFloor {
  const { floor, highest } = epochs.get(current ?? '') ?? { floor: 0, highest: 0 };
  return laneFloor(current, floor, highest, waiting);
}

/** What could not be applied lies, as far as the gateway is concerned, behind the floor that it is told. */
const laneFloor = (epoch: string | null, floor: number, highest: number, waiting: boolean): LaneFloor => ({
  epoch,
  floor,
  highest: waiting ? Math.max(highest, floor + 1) : highest,
});

/** Judges a batch of an epoch that has begun. */
function judge(
  source: Source,
  epoch: string,
  state: EpochState,
  records: readonly FloorRecord[],
  at: EpochMs,
): Judgement {
  state.heardAt = at;
  if (!state.succeeded) source.current = epoch;
  const suspicion = contradicted(state, records);
  const { floor } = state;
  const first = records[0]!.number;
  const last = lastNumber(records.at(-1)!);
  state.highest = Math.max(state.highest, last);
  if (first > floor + 1) {
    if (state.succeeded) source.waiting = true;
    const counts = { run: source.run, floor, duplicates: 0, ahead: count(records) };
    return { ...nothingNew(records, counts), ...suspicion };
  }
  const duplicates = Math.min(last, floor) - first + 1;
  if (last <= floor) {
    return { ...nothingNew(records, { run: source.run, floor, duplicates, ahead: 0 }), ...suspicion };
  }
  take(state, records);
  const run = runOf(source, epoch, floor + 1);
  if (source.takenFrom !== epoch || source.run !== run) {
    source.run = run;
    source.runs.push([run, epoch, floor + 1]);
    if (source.runs.length > RUNS_MAX) source.runs.shift();
  }
  source.takenFrom = epoch;
  source.waiting = false;
  const from = records.findIndex((record) => lastNumber(record) > floor);
  const alarms: AlarmCause[] = state.succeeded ? [...suspicion.alarms, 'not-current'] : [...suspicion.alarms];
  if (records.some((record) => record.kind === 'gap' && record.reason === 'trimmed' && record.to > floor)) {
    alarms.push('trimmed');
  }
  return { from, run: source.run, floor, duplicates, ahead: 0, begun: false, ...suspicion, alarms };
}

/**
 * Whether a batch contradicts what was applied: it has a record that was declared lost, and then the floor goes back before the gap; or it has
 * another record than was applied at the floor.
 */
function contradicted(state: EpochState, records: readonly FloorRecord[]): Pick<Judgement, 'alarms' | 'refutedFrom'> {
  const { floor, lostFrom, digest } = state;
  if (records[0]!.number > floor) return NOT_CONTRADICTED;
  const known = records.findLast(
    (record) => record.kind !== 'gap' && record.number <= floor && record.number >= (lostFrom || floor),
  );
  if (known === undefined || known.kind === 'gap') return NOT_CONTRADICTED;
  if (lostFrom > 0) {
    Object.assign(state, { floor: lostFrom - 1, highest: lostFrom - 1, lostFrom: 0 });
    return { alarms: ['gap-refuted'], refutedFrom: lostFrom };
  }
  return digest === 0 || recordDigest(known) === digest ? NOT_CONTRADICTED : { alarms: ['other-content'] };
}

/** Moves the floor behind records that begin at or below it. */
function take(state: EpochState, records: readonly FloorRecord[]): void {
  const before = state.floor;
  const newest = records.at(-1)!;
  state.floor = lastNumber(newest);
  state.digest = newest.kind === 'gap' ? 0 : recordDigest(newest);
  const kept = records.findLast((record) => record.kind !== 'gap' && record.number > before);
  // Gaps that follow one another count as one.
  if (newest.kind !== 'gap') state.lostFrom = 0;
  else if (kept !== undefined) state.lostFrom = kept.number + 1;
  else if (state.lostFrom === 0) state.lostFrom = before + 1;
}

/** The run of the next record to be taken. */
function runOf({ run, takenFrom, remembered, runsTo }: Source, epoch: string, number: number): number {
  // The last of an epoch may reach beyond what the store tells, as long as no other has begun since.
  const known = remembered.findLast(
    ([last, name, from, to]) => name === epoch && from <= number && (number <= to || run <= last),
  );
  if (known !== undefined) return known[0];
  return takenFrom === epoch ? run : Math.max(run, runsTo) + 1;
}

/** The place of a record, by the runs that it may be in. */
export function placeIn(runs: readonly RunSnapshot[], epoch: string, number: number): GatewayRow['source'] {
  const found = runs.findLast(([, name, from]) => name === epoch && from <= number);
  return found === undefined ? undefined : { epoch, run: found[0], from: found[2], number };
}

const nothingNew = (
  records: readonly FloorRecord[],
  counts: Pick<Judgement, 'run' | 'floor' | 'duplicates' | 'ahead'>,
): Judgement => ({ from: records.length, ...counts, begun: false, alarms: NONE });

/** Whether and how an unknown epoch begins with `first`, the first record of a batch of it. */
function beginningOf(source: Source, first: FloorRecord, at: EpochMs): Beginning {
  if (first.number !== 1) return 'waits';
  const predecessor = predecessorOf(first);
  // Agents before the start record begin with any record. That says nothing about what came before, so there is nothing to wait for or to
  // suspect; today's agents always begin with a start record or a gap, so nothing of theirs can pass here.
  if (predecessor === undefined) return IN_TURN;
  if (predecessor === null) {
    return source.epochs.size > 0 ? { begun: 'in-turn', alarms: ['no-predecessor'] } : IN_TURN;
  }
  const before = source.epochs.get(predecessor.epoch);
  // A gateway that trimmed the beginning of an epoch has nothing older to send; to wait would be to wait for ever.
  const isLost = first.kind === 'gap' && first.reason === 'trimmed' && (before?.floor ?? 0) < predecessor.last;
  if (before === undefined) return isLost ? AFTER_LOSS : 'waits';
  if (before.floor < predecessor.last) {
    before.highest = Math.max(before.highest, predecessor.last);
    if (!isLost) return 'waits';
  }
  const alarms: AlarmCause[] = before.succeeded
    ? ['second-successor']
    : before.floor > predecessor.last
      ? ['shorter']
      : [];
  if (before.floor < predecessor.last) {
    if (before.lostFrom === 0) before.lostFrom = before.floor + 1;
    before.floor = predecessor.last;
    before.digest = 0;
  }
  before.succeeded = true;
  before.heardAt = at;
  return { begun: isLost ? 'after-loss' : 'in-turn', alarms };
}

/** What a first record says of the epoch before; null: there was none, undefined: nothing. */
const predecessorOf = (first: FloorRecord): Predecessor | undefined =>
  first.kind === 'start' || first.kind === 'gap' ? first.predecessor : undefined;

/** Numbers that consecutive records stand for. */
const count = (records: readonly FloorRecord[]): number => lastNumber(records.at(-1)!) - records[0]!.number + 1;

/** Names hold no slash, so the key is one to one. */
const keyOf = ({ site, gateway, lane }: SourceName): string => `${site}/${gateway}/${lane}`;
