import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

import { limits } from '@floorwatch/contracts';
import { type Logger, messageOf, pause, StartError } from '@floorwatch/runtime';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { KV, KvEntry } from '@nats-io/kv';
import { z } from 'zod';

import { processorLimits } from '../limits.ts';

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
});

type Claim = z.infer<typeof claimSchema>;

/** Another processor has taken a partition over, so this one must stop. */
class ClaimLostError extends Error {
  override readonly name = 'ClaimLostError';
}

/**
 * Keeps two processors from working on one partition, wherever they run. Each has a key in NATS that is only ever written by
 * compare-and-set: whoever wrote last holds the partition, and writes again every few seconds to show that it works.
 *
 * A claim that is not written for a while has lost its holder, and may be taken. No clock is compared: who wants it watches for that long
 * whether it changes. A holder on the same host with the same data folder can't be alive, because the folder's lock is ours, so a restart
 * after a crash does not wait.
 */
export class PartitionClaims {
  readonly #open: () => Promise<KV>;
  readonly #partitions: readonly number[];
  readonly #logger: Logger;
  readonly #mine: Claim;
  readonly #value: string;
  /** What was written last. */
  readonly #revisions = new Map<number, number>();
  #bucket: KV | undefined;
  #failing = false;

  /** @param options.open makes the bucket, or opens it. */
  constructor(options: {
    readonly open: () => Promise<KV>;
    readonly partitions: readonly number[];
    readonly folder: string;
    readonly logger: Logger;
    readonly host?: string;
  }) {
    this.#open = options.open;
    this.#partitions = options.partitions;
    this.#logger = options.logger;
    this.#mine = {
      folder: options.folder,
      instance: randomBytes(16).toString('hex'),
      host: options.host ?? hostname(),
      pid: process.pid,
      since: new Date().toISOString(),
    };
    this.#value = JSON.stringify(this.#mine);
  }

  /** Whether all partitions were taken. */
  get held(): boolean {
    return this.#revisions.size === this.#partitions.length;
  }

  /**
   * Takes all partitions, or waits until NATS can be asked. Without effect if `signal` aborts first.
   *
   * @throws StartError if another processor works on one of them.
   */
  async take(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#partitions.map(async (partition) => this.#take(partition, signal)));
  }

  async #take(partition: number, signal: AbortSignal): Promise<void> {
    let seen: { readonly revision: number; readonly at: number } | undefined;
    while (!signal.aborted) {
      try {
        const entry = await this.#entry(partition);
        const claim = claimOf(entry);
        const isGone =
          claim === undefined ||
          (claim.folder === this.#mine.folder && claim.host === this.#mine.host) ||
          (seen?.revision === entry?.revision && performance.now() - seen!.at >= processorLimits.claimStaleMs);
        if (isGone) {
          await this.#put(partition, entry);
          return;
        }
        if (seen === undefined) {
          seen = { revision: entry!.revision, at: performance.now() };
          this.#logger.info({ partition, ...claim }, 'another processor had the partition; looking whether it works');
        } else if (entry!.revision !== seen.revision) throw inUse(partition, claim);
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
        this.#revisions.set(partition, await bucket.update(keyOf(partition), this.#value, before));
      } catch (error) {
        if (!isConflict(error)) throw error;
        await this.#recover(partition, before);
      }
      this.#failing = false;
    } catch (error) {
      if (error instanceof ClaimLostError) throw error;
      if (!isConflict(error)) this.#tell(error);
    }
  }

  /** Another value stands there than the one that was written last. */
  async #recover(partition: number, before: number): Promise<void> {
    const entry = await this.#entry(partition);
    const claim = claimOf(entry);
    // What is older than ours came back with an older copy of NATS' store. Our own may be the one whose answer was lost.
    const isOurs = claim === undefined || claim.instance === this.#mine.instance || entry!.revision < before;
    if (!isOurs) {
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
    const released = [...this.#revisions].map(async ([partition, previousSeq]) =>
      bucket.delete(keyOf(partition), { previousSeq }),
    );
    this.#revisions.clear();
    await Promise.allSettled(released);
  }

  async #put(partition: number, entry: KvEntry | null): Promise<void> {
    const bucket = await this.#opened();
    const isThere = entry?.operation === 'PUT';
    const revision = isThere
      ? await bucket.update(keyOf(partition), this.#value, entry.revision)
      : await bucket.create(keyOf(partition), this.#value);
    this.#revisions.set(partition, revision);
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
