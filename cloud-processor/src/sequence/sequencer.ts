import { type FloorRecord, type GatewayName, type Lane, lastNumber } from '@floorwatch/contracts';

/** Where records come from: numbers count per source and epoch. */
export interface SourceName extends GatewayName {
  readonly lane: Lane;
}

/** A source as it is saved. */
export interface SourceSnapshot extends SourceName {
  /** In the order in which the epochs were first heard; the floor is the last number applied or given up, 0 before the first. */
  readonly epochs: readonly (readonly [epoch: string, floor: number])[];
}

/** What to do with a batch. */
export interface Judgement {
  /** Index of the first record to apply; all behind it follow. Equal to the number of records if there is nothing new. */
  readonly from: number;
  /** Numbers that were seen before and are ignored. */
  readonly duplicates: number;
  /** Numbers between the floor and the first record that never came. */
  readonly missing: number;
  /** The epoch was not known before. */
  readonly newEpoch: boolean;
}

interface Source {
  readonly name: SourceName;
  readonly epochs: Map<string, number>;
}

/**
 * Lets every number of a source through once. Each epoch has a floor of its own, and a record is judged by it alone, never by the
 * order of epochs.
 *
 * What this release does not do: numbers that never came are counted as `missing` and given up, because gateways do not yet send
 * again what the stream lost. A missing number that comes later is a duplicate.
 */
export class Sequencer {
  readonly #epochsMax: number;
  readonly #sources = new Map<string, Source>();
  /** Epochs given up at the limit: a resend from one of them would be applied twice. */
  forgottenEpochs = 0;

  constructor(epochsPerSourceMax: number, from: readonly SourceSnapshot[] = []) {
    this.#epochsMax = epochsPerSourceMax;
    for (const { site, gateway, lane, epochs } of from) {
      this.#sources.set(keyOf({ site, gateway, lane }), { name: { site, gateway, lane }, epochs: new Map(epochs) });
    }
  }

  /** Whether `source` would be one gateway more than `gatewaysMax`, each with two lanes. */
  isFull(source: SourceName, gatewaysMax: number): boolean {
    return this.#sources.size >= 2 * gatewaysMax && !this.#sources.has(keyOf(source));
  }

  /**
   * Judges a batch and moves the floor behind it.
   *
   * @param records at least one, with consecutive numbers (the contract checks that).
   */
  accept(source: SourceName, epoch: string, records: readonly FloorRecord[]): Judgement {
    const { epochs } = this.#source(source);
    const known = epochs.get(epoch);
    const floor = known ?? 0;
    let from = 0;
    let duplicates = 0;
    let missing = 0;
    let next = floor + 1;
    for (const record of records) {
      const last = lastNumber(record);
      if (last > floor) {
        // A gap may begin at or below the floor: only its part above it is new.
        missing = Math.max(0, record.number - next);
        break;
      }
      duplicates += last - record.number + 1;
      from++;
    }
    const newest = records.at(-1);
    if (newest !== undefined) next = Math.max(next, lastNumber(newest) + 1);
    epochs.set(epoch, next - 1);
    if (known === undefined && epochs.size > this.#epochsMax) this.#forgetOldest(epochs);
    return { from, duplicates, missing, newEpoch: known === undefined };
  }

  /** The floor of an epoch, or undefined if it was never heard. */
  floor(source: SourceName, epoch: string): number | undefined {
    return this.#sources.get(keyOf(source))?.epochs.get(epoch);
  }

  epochOrder(source: SourceName, epoch: string): number {
    return [...this.#source(source).epochs.keys()].indexOf(epoch) + 1;
  }

  snapshot(): readonly SourceSnapshot[] {
    return [...this.#sources.values()].map(({ name: { site, gateway, lane }, epochs }) => {
      return { site, gateway, lane, epochs: [...epochs] };
    });
  }

  #source(name: SourceName): Source {
    const key = keyOf(name);
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const { site, gateway, lane } = name;
    const source = { name: { site, gateway, lane }, epochs: new Map<string, number>() };
    this.#sources.set(key, source);
    return source;
  }

  #forgetOldest(epochs: Map<string, number>): void {
    const [oldest] = epochs.keys();
    if (oldest !== undefined) epochs.delete(oldest);
    this.forgottenEpochs++;
  }
}

/** Names hold no slash, so the key is one to one. */
const keyOf = ({ site, gateway, lane }: SourceName): string => `${site}/${gateway}/${lane}`;
