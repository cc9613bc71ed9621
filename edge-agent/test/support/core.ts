import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import {
  type ClockQuality,
  type Delivery,
  epochMs,
  LANES,
  type Lane,
  rollupAggregate,
  rollupHashes,
  rollupMoving,
  rollupStart,
  textHash,
} from '@floorwatch/contracts';
import { PROCESS_LOCK_NAME, systemCodeOf } from '@floorwatch/runtime';
import { SegmentLog } from '@floorwatch/segment-log';
import type { z } from 'zod';

import { type Resources, waitFor } from '../../../tests/support/index.ts';
import { type AgentParts, assembleAgent } from '../../src/agent-parts.ts';
import { type AgentConfig, agentConfigSchema } from '../../src/config.ts';
import { limits } from '../../src/limits.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';
import type { TickItem } from '../../src/journal/journal-item.ts';
import { Journal } from '../../src/journal/journal.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { decodeSpooled, type SpooledRecord } from '../../src/spooled-record.ts';
import type { AgentFileSystem } from '../../src/storage.ts';
import { silentLogger } from './devices.ts';

/** What happens at a gateway, in order. */
export type Event = { readonly messages: readonly RawMessage[] } | { readonly tick: TickItem };

export type CoreOptions = Partial<z.input<typeof agentConfigSchema>>;

export function coreConfig(dataDir: string, options: CoreOptions = {}): AgentConfig {
  return agentConfigSchema.parse({
    site: 'Leipzig',
    gateway: 'hall 1',
    broker: { port: 0 },
    nats: { servers: ['nats://127.0.0.1:9'] },
    http: { port: 0 },
    ...options,
    // The times of tests are fixed, and fall further behind the clock every day.
    readings: { pastMsMax: limits.pastMsMax, ...options.readings },
    storage: { durability: 'process', commitMs: 0, ...options.storage, dataDir },
  });
}

/** A delivery and whether it was settled. */
interface Handed {
  readonly messages: readonly RawMessage[];
  answer: 'acked' | 'nacked' | undefined;
}

/** An agent from the input loop to the lanes: without a broker, NATS and a clock of its own. */
export class Core {
  readonly config: AgentConfig;
  readonly parts: AgentParts;
  readonly handed: Handed[] = [];
  readonly #stop = new AbortController();
  #processed: Promise<boolean> = Promise.resolve(false);

  private constructor(config: AgentConfig, parts: AgentParts) {
    this.config = config;
    this.parts = parts;
  }

  /** Starts with a clock that shows `at`. */
  static async start(config: AgentConfig, at: number, fileSystem?: AgentFileSystem): Promise<Core> {
    const core = await Core.assemble(config, fileSystem);
    await core.begin(at);
    return core;
  }

  /** Opens everything, and processes nothing yet. */
  static async assemble(config: AgentConfig, fileSystem?: AgentFileSystem): Promise<Core> {
    return new Core(config, await assembleAgent(config, silentLogger, fileSystem === undefined ? {} : { fileSystem }));
  }

  async begin(at: number, clock: ClockQuality = 'synchronised'): Promise<void> {
    const { recovery, queue } = this.parts;
    await recovery.replay(this.#stop.signal);
    await recovery.begin(epochMs(at), clock, this.#stop.signal);
    this.#processed = queue.run(this.#stop.signal);
  }

  /** Takes events; deliveries overlap. Resolves when all are settled. */
  async take(events: readonly Event[]): Promise<void> {
    const { handed } = this;
    const { input } = this.parts;
    async function* deliveries(): AsyncGenerator<Delivery<RawMessage>> {
      for (const event of events) {
        if ('tick' in event) {
          input.tick(event.tick);
          continue;
        }
        const one: Handed = { messages: event.messages, answer: undefined };
        handed.push(one);
        yield {
          items: event.messages,
          ack: async () => void (one.answer = 'acked'),
          nack: async () => void (one.answer = 'nacked'),
        };
      }
    }
    await input.run(deliveries(), new AbortController().signal);
  }

  /** Resolves when everything that was taken is in the lanes. */
  async processed(): Promise<void> {
    await this.parts.input.settled();
    await waitFor('everything is in the lanes', () => this.parts.queue.length === 0, { intervalMs: 2 });
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    const { input, queue, snapshots, storage } = this.parts;
    await input.settled();
    queue.end();
    if (await this.#processed) await snapshots.takeLast();
    await snapshots.settled();
    await storage.close();
  }

  /** The end of this agent without saving anything, for a copy has gone on. */
  async abandon(): Promise<void> {
    this.#stop.abort();
    await this.#processed;
    await this.parts.input.settled().catch(() => undefined);
    await this.parts.snapshots.settled();
    await this.parts.storage.close();
  }

  /** The data folder as a kill at this moment leaves it. */
  async copyOfFolder(resources: Resources): Promise<string> {
    const { dataDir } = this.config.storage;
    const copy = join(await resources.directory(), 'data');
    for (;;) {
      try {
        // At once: between two files nothing of this process may go on.
        cpSync(dataDir, copy, { recursive: true, filter: (file) => !file.endsWith(PROCESS_LOCK_NAME) });
        return copy;
      } catch (error) {
        // A file got another name meanwhile.
        if (systemCodeOf(error) !== 'ENOENT') throw error;
        rmSync(copy, { recursive: true, force: true });
      }
    }
  }
}

/** The `now` of the newest tick that a journal holds, or `before` if it holds none. */
export async function newestTick(dataDir: string, before: number): Promise<number> {
  const journal = await openJournal(dataDir);
  let newest = before;
  for await (const { items } of journal.read(1)) {
    for (const item of items) if (item.kind === 'tick') newest = item.now;
  }
  await journal.close();
  return newest;
}

export const openJournal = async (dataDir: string): Promise<Journal> =>
  Journal.open({ directory: join(dataDir, 'journal'), durability: 'process', bytesMax: 256 * 1024 * 1024 });

export interface LaneContent {
  readonly epoch: string;
  readonly spooled: SpooledRecord;
}

/** Everything in a lane of a folder that no agent has. @throws Error if numbers are missing, or an epoch does not name the one before. */
export async function readLane(dataDir: string, lane: Lane): Promise<LaneContent[]> {
  const { spool } = await DiskLaneSpool.open({
    lane,
    directory: join(dataDir, lane),
    durability: 'process',
    bytesMax: 256 * 1024 * 1024,
    whenFull: 'refuse',
  });
  const found: LaneContent[] = [];
  let before: { epoch: string; last: number } | null = null;
  for (let next = spool.first; next < spool.next;) {
    const part = await spool.read(next, 1e9, 1e9);
    if (part?.kind !== 'records') throw new Error(`position ${next} of ${lane} is missing`);
    for (const [i, item] of part.items.entries()) {
      const spooled = decodeSpooled(item);
      const { record } = spooled;
      const isNew: boolean = part.epoch !== before?.epoch;
      const number: number = isNew ? 1 : before!.last + 1;
      if (record.number !== number || part.number + i !== number)
        throw new Error(`${lane}: ${record.number}, not ${number}`);
      if (isNew && (record.kind !== 'start' || JSON.stringify(record.predecessor) !== JSON.stringify(before))) {
        throw new Error(
          `${lane}: ${part.epoch} begins with ${JSON.stringify(record)} behind ${JSON.stringify(before)}`,
        );
      }
      before = { epoch: part.epoch, last: number };
      found.push({ epoch: part.epoch, spooled });
    }
    next = part.to + 1;
  }
  await spool.close();
  return found;
}

/** The records of a lane, one list for each frame. */
export async function framesOf(dataDir: string, lane: Lane): Promise<SpooledRecord[][]> {
  const { log } = await SegmentLog.open({
    directory: join(dataDir, lane),
    durability: 'process',
    bytesMax: 256 * 1024 * 1024,
  });
  const frames: SpooledRecord[][] = [];
  for await (const { items } of log.read(1)) frames.push(items.map(decodeSpooled));
  await log.close();
  return frames;
}

/** Puts the lanes of one folder into another. */
export function copyLanes(from: string, to: string): void {
  for (const lane of LANES) {
    rmSync(join(to, lane), { recursive: true });
    cpSync(join(from, lane), join(to, lane), { recursive: true, filter: (file) => !file.endsWith(PROCESS_LOCK_NAME) });
  }
}

/** What came out, as sorted lines that do not depend on how often the agent was started. */
export async function contentOf(dataDir: string): Promise<string[]> {
  const lines: string[] = [];
  for (const lane of LANES) {
    for (const { spooled } of await readLane(dataDir, lane)) lines.push(...linesOf(spooled));
  }
  return lines.sort();
}

function linesOf({ record, sensors }: SpooledRecord): string[] {
  if (record.kind === 'start' || record.kind === 'status') return [];
  // Which episodes are told again after a start, and under which epoch, is not the same; what adds up is another test's business.
  if (record.kind === 'tick') return [JSON.stringify({ ...record, number: 0, counts: record.counts?.hours ?? [] })];
  if (record.kind !== 'rollups') return [JSON.stringify({ ...record, number: 0 })];
  return record.columns.sensor.map((sensor, i) => {
    const aggregate = rollupAggregate(record, i);
    return JSON.stringify(['rollup', sensors[sensor], rollupStart(record, i), aggregate, rollupMoving(record, i)]);
  });
}

/**
 * What ticks tell of accepted readings and of episodes, and what the records of the lanes add up to, by sensor or gateway and event hour:
 * `readings hash` and `opened hash closed hash`. Hours that the last watermark has not passed are left out.
 */
export async function countedIn(
  dataDir: string,
): Promise<{ told: Record<string, string>; summed: Record<string, string> }> {
  const told = new Map<string, [string, bigint[]]>();
  const summed = new Map<string, bigint[]>();
  const add = (into: Map<string, bigint[]>, key: string, ...numbers: bigint[]): void => {
    const known = into.get(key) ?? numbers.map(() => 0n);
    into.set(
      key,
      known.map((number, i) => BigInt.asUintN(64, number + numbers[i]!)),
    );
  };
  const hourOf = (at: number): number => Math.floor(at / 3_600_000) * 3_600_000;
  const hex = (text: string): bigint => BigInt(`0x${text}`);
  let watermark = -Infinity;
  for (const { spooled } of await readLane(dataDir, 'telemetry')) {
    const { record, sensors } = spooled;
    if (record.kind === 'rollups') {
      const hashes = rollupHashes(record)!;
      for (const [i, index] of record.columns.sensor.entries()) {
        const hash = (BigInt(hashes[2 * i + 1]!) << 32n) | BigInt(hashes[2 * i]!);
        const { device, metric } = sensors[index]!;
        add(summed, `${device}/${metric} ${hourOf(rollupStart(record, i))}`, BigInt(record.columns.n[i]!), hash);
      }
    }
    if (record.kind !== 'tick') continue;
    watermark = Math.max(watermark, record.watermark);
    const { counter, hours, episodes } = record.counts ?? { counter: '', hours: [] };
    for (const { device, metric, hour, since, n, hash } of hours) {
      const key = `${device}/${metric} ${hour}`;
      told.set(`${key} ${counter} ${since}`, [key, [BigInt(n), hex(hash)]]);
    }
    for (const { hour, since, opened, openedHash, closed, closedHash } of episodes?.hours ?? []) {
      const numbers = [BigInt(opened), hex(openedHash), BigInt(closed), hex(closedHash)];
      told.set(`${hour} ${counter} ${since}`, [`episodes ${hour}`, numbers]);
    }
  }
  const ids = new Set<string>();
  for (const { spooled } of await readLane(dataDir, 'anomaly')) {
    const { record } = spooled;
    if (record.kind !== 'anomaly') continue;
    const { high, low } = textHash(record.id);
    const hash = (BigInt(high) << 32n) | BigInt(low);
    const [isNew, isClosed] = [!ids.has(record.id), record.phase === 'closed'];
    ids.add(record.id);
    const numbers = [BigInt(isNew), isNew ? hash : 0n, BigInt(isClosed), isClosed ? hash : 0n];
    add(summed, `episodes ${hourOf(record.openedAt)}`, ...numbers);
  }
  const sums = new Map<string, bigint[]>();
  for (const [key, numbers] of told.values()) add(sums, key, ...numbers);
  const isOver = (key: string): boolean =>
    key.startsWith('episodes') || Number(key.split(' ').at(-1)) + 3_600_000 <= watermark;
  const shown = (counts: Map<string, bigint[]>): Record<string, string> =>
    Object.fromEntries(
      [...counts].filter(([key]) => isOver(key)).map(([key, numbers]) => [key, numbers.join(' ')] as const),
    );
  return { told: shown(sums), summed: shown(summed) };
}

/** Readings that the rollups of a lane count, by sensor: how many, and their sum. */
export async function countsOf(dataDir: string): Promise<Map<string, { n: number; sum: number }>> {
  const counts = new Map<string, { n: number; sum: number }>();
  for (const { spooled } of await readLane(dataDir, 'telemetry')) {
    const { record, sensors } = spooled;
    if (record.kind !== 'rollups') continue;
    for (const [i, index] of record.columns.sensor.entries()) {
      const key = `${sensors[index]?.device}/${sensors[index]?.metric}`;
      const { n, mean, reference } = rollupAggregate(record, i);
      const known = counts.get(key) ?? { n: 0, sum: 0 };
      counts.set(key, { n: known.n + n, sum: known.sum + n * (mean + reference) });
    }
  }
  return counts;
}
