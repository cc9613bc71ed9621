import type { FloorMessage, LaneFloor, Predecessor } from '@floorwatch/contracts';

import type { ModelPart } from './model-lane.ts';

/** A message of the stream: a batch of the lane, or something of another gateway. */
export type ModelMessage = { readonly batch: ModelPart | undefined };

/** The stream: acknowledges what it has not synced yet, and can lose its end, its beginning or itself. */
export class ModelStream {
  created = 0;
  /** Sequence of the first message. */
  #first = 1;
  #messages: ModelMessage[] = [];

  get first(): number {
    return this.#first;
  }
  get last(): number {
    return this.#first + this.#messages.length - 1;
  }
  at(seq: number): ModelMessage | undefined {
    return this.#messages[seq - this.#first];
  }
  add(batch: ModelPart | undefined): number {
    this.#messages.push({ batch });
    return this.last;
  }
  loseEnd(count: number): void {
    this.#messages.splice(Math.max(0, this.#messages.length - count));
  }
  discardOld(count: number): void {
    this.#first += this.#messages.splice(0, count).length;
  }
  recreate(): void {
    this.created += 1;
    this.#first = 1;
    this.#messages = [];
  }
}

interface Epoch {
  readonly floor: number;
  readonly highest: number;
  readonly predecessor: Predecessor;
}

/** A checkpoint; never changed once made. */
interface State {
  readonly ordinal: number;
  readonly created: number | null;
  readonly position: number;
  /** The message at `position`, by which an overwritten stream is known. */
  readonly remembered: ModelMessage | undefined;
  /** The epoch heard last is the last one here. */
  readonly epochs: ReadonlyMap<string, Epoch>;
  /** Something was heard that could not begin, and nothing has begun. */
  readonly unbegun: boolean;
  /** Of every number: how often it was applied, and by what. */
  readonly applied: ReadonlyMap<string, readonly ('record' | 'trimmed' | 'cap' | 'damage')[]>;
}

/** The rules of the design for one lane, written down again: epochs, floors, holes, gaps, two checkpoints. */
export class ModelProcessor {
  #series = 0;
  #state: State = fresh;
  /** The older first. */
  #kept: readonly State[] = [];

  get state(): State {
    return this.#state;
  }
  /** What a floor message may speak of. */
  get safe(): State | undefined {
    return this.#kept.length === 2 ? this.#kept[0] : undefined;
  }

  /** Reads up to `count` messages. */
  read(stream: ModelStream, count: number): void {
    const { created, position, remembered } = this.#state;
    const goneBack =
      position > 0 && (stream.last < position || (position >= stream.first && stream.at(position) !== remembered));
    if (created !== stream.created || goneBack) {
      this.#state = { ...this.#state, created: stream.created, position: 0, remembered: undefined };
    }
    for (let left = count; left > 0 && this.#state.position < stream.last; left--) {
      const seq = Math.max(this.#state.position + 1, stream.first);
      const message = stream.at(seq);
      this.#state = { ...this.#state, position: seq, remembered: message };
      if (message?.batch !== undefined) this.#take(message.batch);
    }
  }

  checkpoint(): void {
    this.#state = { ...this.#state, ordinal: this.#state.ordinal + 1 };
    this.#kept = [...this.#kept.slice(-1), this.#state];
  }

  /** Dies, and goes on from a checkpoint: the newest, the one before if there is one, or as one that never was. */
  crash(which: 'newest' | 'previous' | 'none'): void {
    const found =
      which === 'newest'
        ? this.#kept.at(-1)
        : which === 'previous'
          ? (this.#kept.at(-2) ?? this.#kept.at(-1))
          : undefined;
    if (found === undefined) {
      this.#series += 1;
      this.#state = fresh;
      this.#kept = [];
    } else {
      this.#state = found;
      this.#kept = this.#kept.slice(0, this.#kept.indexOf(found) + 1);
    }
  }

  message(): FloorMessage | undefined {
    const { safe } = this;
    if (safe === undefined) return undefined;
    const lane = laneFloor(safe);
    return {
      schema: 1,
      site: 'Leipzig',
      gateway: 'hall 1',
      checkpoints: this.#series.toString(16).padStart(16, '0'),
      ordinal: safe.ordinal,
      stream: { created: safe.created === null ? null : `${safe.created}`, position: safe.position },
      lanes: { anomaly: lane, telemetry: lane },
    };
  }

  #take(batch: ModelPart): void {
    const { epoch, number, last, reason, predecessor } = batch;
    const known = this.#state.epochs.get(epoch);
    if (known === undefined) {
      if (predecessor === undefined) return this.#lacks(undefined, 0);
      if (predecessor !== null) {
        const before = this.#state.epochs.get(predecessor.epoch);
        if (before === undefined && reason !== 'trimmed') return this.#lacks(undefined, 0);
        if (before !== undefined && before.floor < predecessor.last)
          return this.#lacks(predecessor.epoch, predecessor.last);
      }
      this.#set(epoch, { floor: 0, highest: 0, predecessor });
    }
    const {
      floor,
      highest,
      predecessor: named,
    } = this.#state.epochs.get(epoch) ?? { floor: 0, highest: 0, predecessor: null };
    const applies = last > floor && number <= floor + 1;
    this.#set(epoch, { floor: applies ? last : floor, highest: Math.max(highest, last), predecessor: named });
    if (!applies) return undefined;
    const applied = new Map(this.#state.applied);
    for (let n = floor + 1; n <= last; n++)
      applied.set(`${epoch}:${n}`, [...(applied.get(`${epoch}:${n}`) ?? []), reason ?? 'record']);
    this.#state = { ...this.#state, applied };
    return undefined;
  }

  /** Something can't be taken before `highest` of `epoch`; of the epoch heard last, if it is not known which it lacks. */
  #lacks(epoch: string | undefined, highest: number): void {
    const name = epoch ?? told(this.#state);
    const known = name === undefined ? undefined : this.#state.epochs.get(name);
    if (name === undefined || known === undefined) this.#state = { ...this.#state, unbegun: true };
    else this.#set(name, { ...known, highest: Math.max(known.highest, highest, known.floor + 1) }, epoch !== undefined);
  }

  #set(name: string, epoch: Epoch, heard = true): void {
    const epochs = new Map(this.#state.epochs);
    if (heard) epochs.delete(name);
    epochs.set(name, epoch);
    this.#state = { ...this.#state, epochs };
  }
}

const fresh: State = {
  ordinal: 0,
  created: null,
  position: 0,
  remembered: undefined,
  epochs: new Map(),
  unbegun: false,
  applied: new Map(),
};

/** The epoch heard last among those that no other one names. */
function told({ epochs }: State): string | undefined {
  const succeeded = new Set([...epochs.values()].map(({ predecessor }) => predecessor?.epoch));
  return [...epochs.keys()].findLast((name) => !succeeded.has(name));
}

function laneFloor(state: State): LaneFloor {
  const epoch = told(state);
  const known = epoch === undefined ? undefined : state.epochs.get(epoch);
  if (epoch === undefined || known === undefined) return { epoch: null, floor: 0, highest: state.unbegun ? 1 : 0 };
  return { epoch, floor: known.floor, highest: known.highest };
}
