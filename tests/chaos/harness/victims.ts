import { watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { INGEST_STREAM } from '@floorwatch/contracts';

import { waitFor } from '../../support/index.ts';
import { AgentKills, reviveAgent } from './agent-kills.ts';
import type { ChaosFloor } from './chaos-floor.ts';
import { DuckdbFile, InfluxServer } from './chaos-store.ts';
import type { ProcessorProcess } from './processor-process.ts';

/** How long the moment of a kill is waited for. */
const AIM_MS_MAX = 2_000;
/** A file that was changed so long before the end of its writer was being written. */
const JUST_NOW_MS = 5;
const LOOK = { timeoutMs: 60_000, intervalMs: 20 } as const;

/** A part of the path that is killed, and started again. */
export interface Victim {
  readonly name: string;
  /** How often a kill hit what, in words that follow “killed”. */
  readonly hits: ReadonlyMap<string, number>;
  /** Before a kill, and when there are no more: counts what shows of the kill before, and remembers what it compares with. */
  look(): Promise<void>;
  /** Waits, for a moment, until something is under way that a kill should hit. */
  aim(): Promise<void>;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again. Resolves when it does its work again. */
  revive(): Promise<void>;
}

/** What kills have hit. */
class Hits extends Map<string, number> {
  count(what: string, isHit: boolean): void {
    this.set(what, (this.get(what) ?? 0) + (isHit ? 1 : 0));
  }
}

/** Works again when a device hears a PUBACK. */
export class AgentVictim implements Victim {
  readonly name = 'agent';
  readonly #floor: ChaosFloor;
  readonly #kills = new AgentKills();

  constructor(floor: ChaosFloor) {
    this.#floor = floor;
  }

  get hits(): ReadonlyMap<string, number> {
    const { inFlight, midCommit } = this.#kills;
    return new Map([
      ['with readings in flight', inFlight],
      ['in the middle of a commit', midCommit],
    ]);
  }

  async look(): Promise<void> {
    await this.#kills.look(this.#floor.agent);
  }

  /** Readings are always on their way. */
  async aim(): Promise<void> {}

  async kill(): Promise<void> {
    await this.#floor.agent.kill9();
    await this.#kills.count(this.#floor.agent, this.#floor.load.pending);
  }

  async revive(): Promise<void> {
    await reviveAgent(this.#floor);
  }
}

/** Works again when it has applied a batch, and the store has confirmed rows. */
export class ProcessorVictim implements Victim {
  readonly name = 'processor';
  readonly hits = new Hits();
  readonly #processor: ProcessorProcess;
  #aims = 0;

  constructor(processor: ProcessorProcess) {
    this.#processor = processor;
  }

  async look(): Promise<void> {}

  /** In turn: a checkpoint is being written; it has just taken its name, so that what waited for it is sent; rows are being written. */
  async aim(): Promise<void> {
    const { dataDir, store } = this.#processor;
    const aim = this.#aims++ % 3;
    if (aim === 0) await untilTouched(dataDir, (file) => file.endsWith('.new.ndjson'));
    else if (aim === 1) await untilTouched(dataDir, (file) => /^partition-\d+\.ndjson$/.test(file));
    else if (store instanceof InfluxServer) await Promise.race([store.relay.writes(), pauseMs(AIM_MS_MAX)]);
    else if (store instanceof DuckdbFile)
      await untilTouched(path.dirname(store.file), (file) => file === path.basename(logOf(store)));
  }

  async kill(): Promise<void> {
    const { dataDir, store } = this.#processor;
    const isWriting = store instanceof InfluxServer && store.relay.isWriting;
    const killedAt = Date.now();
    await this.#processor.kill9();
    if (store instanceof InfluxServer) this.hits.count('with a request to the store under way', isWriting);
    if (store instanceof DuckdbFile) {
      const touchedAt = (await stat(logOf(store)).catch(() => undefined))?.mtimeMs ?? 0;
      this.hits.count(
        `with the database's log written in the last ${JUST_NOW_MS} ms`,
        touchedAt >= killedAt - JUST_NOW_MS,
      );
    }
    const files = await readdir(dataDir);
    this.hits.count(
      'in the middle of a checkpoint',
      files.some((file) => file.endsWith('.new.ndjson')),
    );
  }

  async revive(): Promise<void> {
    this.#processor.spawn();
    const { program } = this.#processor;
    await waitFor(
      'the processor applies batches and the store takes rows, or it has ended',
      async () => {
        if (!program.isRunning) return true;
        const { batches, written } = await this.#processor.progress();
        return batches > 0 && written > 0;
      },
      LOOK,
    );
    if (!program.isRunning) throw new Error(`the processor has ended:\n${program.output()}`);
    const unsent = [...program.stdout.matchAll(/"unsent":(\d+),"msg":"checkpoint loaded"/g)].map(([, rows]) =>
      Number(rows),
    );
    this.hits.count(
      'with rows in its checkpoint that the store had not confirmed',
      unsent.some((rows) => rows > 0),
    );
  }
}

/** Works again when the processor has applied a message that was stored after the start. */
export class NatsVictim implements Victim {
  readonly name = 'nats-server';
  readonly hits = new Hits();
  readonly #floor: ChaosFloor;
  readonly #processor: ProcessorProcess;
  #before: NatsCounts = { epoch: undefined, failures: 0, batches: 0, duplicates: 0 };

  constructor(floor: ChaosFloor, processor: ProcessorProcess) {
    this.#floor = floor;
    this.#processor = processor;
  }

  async look(): Promise<void> {
    this.#before = await this.#counts();
  }

  /** The server writes a message, which it has not acknowledged yet. */
  async aim(): Promise<void> {
    const folder = path.join(this.#floor.nats.directory, 'jetstream/jetstream/$G/streams', INGEST_STREAM.name, 'msgs');
    await untilTouched(folder, (file) => file.endsWith('.blk'));
  }

  async kill(): Promise<void> {
    await this.#floor.nats.kill9();
  }

  async revive(): Promise<void> {
    const { nats, reader } = this.#floor;
    await nats.start();
    const end = await waitFor(
      'NATS tells where the stream ends',
      async () => (await reader.look()).state.last_seq,
      LOOK,
    );
    await waitFor(
      'the processor applies what is stored now',
      async () => (await this.#processor.progress()).position > end,
      LOOK,
    );
    const { epoch, failures, batches, duplicates } = await this.#counts();
    // Who was killed too counts from the beginning, and an agent sends again what it does not know to be sent.
    const isSame = epoch !== undefined && epoch === this.#before.epoch && batches >= this.#before.batches;
    this.hits.count('with a batch that was not acknowledged', isSame && failures > this.#before.failures);
    this.hits.count(
      'with a batch stored whose acknowledgement was lost',
      isSame && duplicates > this.#before.duplicates,
    );
  }

  async #counts(): Promise<NatsCounts> {
    const status = await this.#floor.agent.status().catch(() => undefined);
    const progress = await this.#processor.progress().catch(() => undefined);
    return {
      epoch: status?.epoch,
      failures: Object.values(status?.lanes ?? {}).reduce((sum, { failures }) => sum + Number(failures), 0),
      batches: progress?.batches ?? 0,
      duplicates: progress?.duplicates ?? 0,
    };
  }
}

/** What the agent and the processor have counted since their starts; of one that does not answer nothing is known. */
interface NatsCounts {
  readonly epoch: string | undefined;
  readonly failures: number;
  readonly batches: number;
  readonly duplicates: number;
}

/** Works again when it has confirmed rows. */
export class InfluxVictim implements Victim {
  readonly name = 'influxd';
  readonly hits = new Hits();
  readonly #store: InfluxServer;
  readonly #processor: ProcessorProcess;

  constructor(store: InfluxServer, processor: ProcessorProcess) {
    this.#store = store;
    this.#processor = processor;
  }

  async look(): Promise<void> {}

  async aim(): Promise<void> {
    await Promise.race([this.#store.relay.writes(), pauseMs(AIM_MS_MAX)]);
  }

  async kill(): Promise<void> {
    this.hits.count('with a request that writes under way', this.#store.relay.isWriting);
    await this.#store.server.kill9();
  }

  async revive(): Promise<void> {
    // Of a processor that was killed too nothing is left to count from.
    const before = await this.#processor.progress().catch(() => ({ written: 0 }));
    await this.#store.server.start();
    await waitFor(
      'the store confirms rows',
      async () => (await this.#processor.progress()).written > before.written,
      LOOK,
    );
  }
}

const logOf = (store: DuckdbFile): string => `${store.file}.wal`;

/** Resolves when a file of the folder is made or changed, or after a while. */
async function untilTouched(folder: string, isMeant: (file: string) => boolean): Promise<void> {
  const watching = new AbortController();
  await Promise.race([
    new Promise<void>((resolve) => {
      const watcher = watch(folder, { signal: watching.signal }, (_, file) => {
        if (file !== null && isMeant(file)) resolve();
      });
      watcher.on('error', () => resolve());
    }),
    pauseMs(AIM_MS_MAX),
  ]);
  watching.abort();
}
