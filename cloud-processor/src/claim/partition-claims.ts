import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

import { limits } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, StartError } from '@floorwatch/runtime';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { KV, KvEntry } from '@nats-io/kv';
import { z } from 'zod';

import { processorLimits } from '../limits.ts';
import type { Tenure } from './tenure.ts';

/** The bucket of claims, one key per partition. */
export const CLAIMS_BUCKET = 'floorwatch-processors';

const claimSchema = z.object({
  /** The data folder that its checkpoints are in. */
  folder: z.string(),
  /** One run of a processor. */
  instance: z.string(),
  host: z.string(),
  pid: z.number(),
  /** When it started, by its own clock; for people. */
  since: z.string(),
  /** How far it has come, see `ClaimProgress`. */
  checkpoint: z.object({ series: z.string(), ordinal: z.number() }).nullable(),
  run: z.number(),
  /** It was given back: what it says is still true, but nobody works on the partition. */
  released: z.boolean(),
});

type Claim = z.infer<typeof claimSchema>;

/** How far the holder of a claim has come, for whoever takes the partition after it. */
export interface ClaimProgress {
  /** The newest checkpoint that is known to have been saved for the partition; null: none is. */
  readonly checkpoint: { readonly series: string; readonly ordinal: number } | null;
  /** The highest run of any gateway of the partition, see `RecordPlace`. */
  readonly run: number;
}

/** Another processor has taken a partition over, so this one must stop. */
class ClaimLostError extends Error {
  override readonly name = 'ClaimLostError';
}

/**
 * Keeps two processors from working on one partition, wherever they run. Each has a key in NATS that is only ever written by
 * compare-and-set: whoever wrote last holds the partition, and writes again every few seconds to show that it works. It holds it for no longer
 * than its {@link Tenure} says, whether or not somebody else wants it.
 *
 * A claim that is not written for a while has lost its holder, and may be taken. No clock is compared: who wants it watches for that long
 * whether it changes. A holder on the same host with the same data folder can't be alive, because the folder's lock is ours, so a restart
 * after a crash does not wait.
 */
export class PartitionClaims {
  readonly #open: () => Promise<KV>;
  readonly #partitions: readonly number[];
  readonly #logger: Logger;
  readonly #mine: Pick<Claim, 'folder' | 'instance' | 'host' | 'pid' | 'since'>;
  readonly #tenure: Tenure;
  readonly #progress: (partition: number) => ClaimProgress;
  /** What each claim said when it was taken. */
  readonly #before = new Map<number, ClaimProgress>();
  /** What was written last. */
  readonly #revisions = new Map<number, number>();
  #bucket: KV | undefined;
  #failing = false;
  #problem: string | undefined;

  /** @param options.open makes the bucket, or opens it. `tenure` is told of every renewal. */
  constructor(options: {
    readonly open: () => Promise<KV>;
    readonly partitions: readonly number[];
    readonly folder: string;
    readonly tenure: Tenure;
    readonly progress: (partition: number) => ClaimProgress;
    readonly logger: Logger;
    readonly host?: string;
  }) {
    this.#open = options.open;
    this.#partitions = options.partitions;
    this.#logger = options.logger;
    this.#tenure = options.tenure;
    this.#progress = options.progress;
    this.#mine = {
      folder: options.folder,
      instance: randomBytes(16).toString('hex'),
      host: options.host ?? hostname(),
      pid: process.pid,
      since: new Date().toISOString(),
    };
  }

  /**
   * Takes all partitions, or waits until NATS can be asked. Without effect if `signal` aborts first.
   *
   * @throws StartError if another processor works on one of them.
   */
  async take(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#partitions.map(async (partition) => this.#take(partition, signal)));
  }

  /** Why claims can't be written now; undefined: they can, as far as it was tried. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** What the claim said that was there when the partition was taken; undefined: there was none. */
  before(partition: number): ClaimProgress | undefined {
    return this.#before.get(partition);
  }

  async #take(partition: number, signal: AbortSignal): Promise<void> {
    let seen: { readonly revision: number; readonly at: number } | undefined;
    while (!signal.aborted) {
      try {
        const entry = await this.#entry(partition);
        const claim = claimOf(entry);
        const isStale = seen !== undefined && performance.now() - seen.at >= processorLimits.claimStaleMs;
        // Of a claim that was there and is gone with its bucket, the holder may not know yet.
        const isFree = claim === undefined ? seen === undefined || isStale : claim.released;
        const isGone =
          isFree ||
          (claim?.folder === this.#mine.folder && claim.host === this.#mine.host) ||
          (isStale && seen?.revision === entry?.revision);
        if (isGone) {
          if (claim !== undefined) this.#before.set(partition, claim);
          await this.#put(partition, entry);
          this.#problem = undefined;
          return;
        }
        if (seen === undefined) {
          seen = { revision: entry!.revision, at: performance.now() };
          this.#logger.info({ partition, ...claim }, 'another processor had the partition; looking whether it works');
        } else if (claim !== undefined && entry!.revision !== seen.revision) throw inUse(partition, claim);
        await pause(processorLimits.claimRenewMs / 5, signal);
      } catch (error) {
        if (error instanceof StartError) throw error;
        if (!isConflict(error)) this.#tell(error);
        await pause(processorLimits.retryPauseMs, signal);
      }
    }
  }

  /**
   * Shows from time to time that this processor works, until `signal` aborts. While NATS is away it goes on trying.
   *
   * @throws ClaimLostError if another processor has taken a partition over.
   */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(processorLimits.claimRenewMs, signal);
      if (!signal.aborted) await Promise.all(this.#partitions.map(async (partition) => this.#renew(partition)));
    }
  }

  async #renew(partition: number): Promise<void> {
    try {
      const bucket = await this.#opened();
      const before = this.#revisions.get(partition)!;
      try {
        const sentAt = this.#tenure.now();
        this.#revisions.set(partition, await bucket.update(keyOf(partition), this.#valueOf(partition), before));
        this.#tenure.renewed(partition, sentAt);
      } catch (error) {
        if (!isConflict(error)) throw error;
        await this.#recover(partition, before);
      }
      this.#failing = false;
      this.#problem = undefined;
    } catch (error) {
      if (error instanceof ClaimLostError) throw error;
      if (!isConflict(error)) this.#tell(error);
    }
  }

  /** Another value stands there than the one that was written last. */
  async #recover(partition: number, before: number): Promise<void> {
    const entry = await this.#entry(partition);
    const claim = claimOf(entry);
    // What is older than ours came back with an older copy of NATS' store. Our own may be the one whose answer was lost. Once our claim had
    // ended, though, whoever took it may have worked, also if it has gone since.
    const isOlderCopy = this.#tenure.msLeft > 0 && (entry?.revision ?? 0) < before;
    const isOurs = claim === undefined || claim.instance === this.#mine.instance || isOlderCopy;
    if (!isOurs) {
      this.#tenure.ended(partition);
      throw new ClaimLostError(
        `partition ${partition} was taken over by the processor on host ${claim.host} (process ${claim.pid}); this one stops`,
      );
    }
    await this.#put(partition, entry);
  }

  /** Gives the partitions back, so that the next processor need not wait. Tries once. */
  async release(): Promise<void> {
    const bucket = this.#bucket;
    if (bucket === undefined) return;
    const released = [...this.#revisions].map(async ([partition, before]) => {
      this.#tenure.ended(partition);
      return bucket.update(keyOf(partition), this.#valueOf(partition, true), before);
    });
    this.#revisions.clear();
    await Promise.allSettled(released);
  }

  async #put(partition: number, entry: KvEntry | null): Promise<void> {
    const bucket = await this.#opened();
    const isThere = entry?.operation === 'PUT';
    const sentAt = this.#tenure.now();
    const value = this.#valueOf(partition);
    const revision = isThere
      ? await bucket.update(keyOf(partition), value, entry.revision)
      : await bucket.create(keyOf(partition), value);
    this.#revisions.set(partition, revision);
    this.#tenure.renewed(partition, sentAt);
  }

  #valueOf(partition: number, released = false): string {
    const { checkpoint, run } = this.#progress(partition);
    // What is known of an earlier holder stays known until this one has saved a checkpoint that follows from it.
    const before = this.#before.get(partition);
    const claim: Claim = {
      ...this.#mine,
      checkpoint: checkpoint ?? before?.checkpoint ?? null,
      run: Math.max(run, before?.run ?? 0),
      released,
    };
    return JSON.stringify(claim);
  }

  async #entry(partition: number): Promise<KvEntry | null> {
    return (await this.#opened()).get(keyOf(partition));
  }

  async #opened(): Promise<KV> {
    this.#bucket ??= await this.#open();
    return this.#bucket;
  }

  #tell(error: unknown): void {
    // The bucket may be gone with the server's store; it is made again.
    this.#bucket = undefined;
    if (!this.#failing)
      this.#logger.warn({ error: messageOf(error) }, 'claims of partitions can not be written; trying again');
    this.#failing = true;
    this.#problem = messageOf(error);
  }
}

const keyOf = (partition: number): string => `partition.${partition}`;

/** Undefined where nobody holds the partition, or something that is no claim stands in its place. */
function claimOf(entry: KvEntry | null): Claim | undefined {
  if (entry?.operation !== 'PUT') return undefined;
  try {
    return claimSchema.safeParse(entry.json()).data;
  } catch {
    return undefined;
  }
}

const CONFLICTS: ReadonlySet<number> = new Set([
  JetStreamApiCodes.StreamWrongLastSequence,
  JetStreamApiCodes.StreamWrongLastSequenceUnknown,
]);

const isConflict = (error: unknown): boolean => error instanceof JetStreamApiError && CONFLICTS.has(error.code);

const inUse = (partition: number, { host, pid, since }: Claim): StartError =>
  new StartError(
    'locked',
    `partitions: ${partition} is worked on by the processor on host ${host} (process ${pid}, since ${since}); ` +
      `stop that one first, or give this one other partitions of 0 to ${limits.partitions - 1}`,
  );
