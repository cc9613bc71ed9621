import { setMaxListeners } from 'node:events';

import { type DurationMs, epochMs, hours, partitionOf } from '@floorwatch/contracts';
import {
  Condition,
  connectNats,
  type Logger,
  messageOf,
  lockDataFolder,
  pause,
  retryDelay,
  type ProcessLock,
  StartError,
  VERSION,
} from '@floorwatch/runtime';
import { jetstream, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';

import { CheckpointFile, type LoadedCheckpoint } from './checkpoint/checkpoint-file.ts';
import { CheckpointError } from './checkpoint/format.ts';
import { folderId } from './claim/folder-id.ts';
import { CLAIMS_BUCKET, type ClaimProgress, PartitionClaims } from './claim/partition-claims.ts';
import { Tenure } from './claim/tenure.ts';
import type { ProcessorConfig } from './config.ts';
import { ensureIngestStream } from './consume/ingest-stream.ts';
import { StreamWatch } from './consume/stream-watch.ts';
import { PartitionReader } from './consume/partition-reader.ts';
import { DeadLetters } from './dead-letters/dead-letters.ts';
import { type RetryOutcome, retryLetter } from './dead-letters/retry.ts';
import type { FloorObserver, OpenWindows } from './floor-observer.ts';
import { FloorPublisher } from './floors/floor-publisher.ts';
import { describeClaims } from './health-words.ts';
import { processorLimits } from './limits.ts';
import { PROCESSOR_INBOX } from './nats-users/processor-rights.ts';
import { Recovery } from './recovery/recovery.ts';
import { describeHealth, type ProcessorHealth } from './processor-health.ts';
import { assemblePartition, type Lane, refusedReadings, writeOut } from './partition-parts.ts';
import { Reprocessor } from './reprocess/reprocessor.ts';
import { NatsStreamPass, type StreamPass } from './reprocess/stream-pass.ts';
import { Verifier, type VerifyTarget } from './verify/verifier.ts';
import type { AlarmSnapshot } from './sequence/alarms.ts';
import { writesWithin } from './write/bounded-writes.ts';
import { connectStore } from './write/connect-store.ts';
import { LiveWriter } from './write/live-writer.ts';
import type { RetentionClock } from './write/retention-clock.ts';
import type { Store } from './write/store.ts';

/** A checkpoint that took long is followed by a pause of this many times its duration, so that saving never takes most of the time. */
const CHECKPOINT_DUTY = 4;

/**
 * consume → sequence → window → write for all partitions of this processor. `open` takes hold of the checkpoints, `run` works until it
 * is told to stop, `close` lets go.
 */
export class Pipeline implements OpenWindows {
  readonly live: LiveWriter;
  readonly #config: ProcessorConfig;
  readonly #store: Store;
  readonly #observer: FloorObserver;
  readonly #logger: Logger;
  readonly #tellStoreConnected: (() => void) | undefined;
  readonly #holdsReading: boolean;
  readonly #clock: Pick<RetentionClock, 'saw'> | undefined;
  #deadLetters: DeadLetters | undefined;
  #lanes: readonly Lane[] = [];
  #reprocessor: Reprocessor | undefined;
  #verifier: Verifier | undefined;
  #stream: StreamPass | undefined;
  #floors: FloorPublisher | undefined;
  #lock: ProcessLock | undefined;
  #streamWatch: StreamWatch | undefined;
  #claims: PartitionClaims | undefined;
  readonly #tenure: Tenure;
  /** Lets partitions begin once their claims are taken. */
  #recovery: Recovery | undefined;
  /** A partition has begun, or the store can be asked. */
  readonly #progress = new Condition();
  #connection: NatsConnection | undefined;
  #connected = false;
  #storeConnected = false;
  #storeProblem: string | undefined;

  constructor(options: {
    readonly config: ProcessorConfig;
    readonly store: Store;
    readonly observer: FloorObserver;
    readonly logger: Logger;
    /** Called when the store can be asked for the first time. */
    readonly storeConnected?: () => void;
    /** Nothing is read from the stream but by `reprocess`. Default false. */
    readonly holdsReading?: boolean;
    /** Is told the times that the NATS server puts on messages. */
    readonly clock?: Pick<RetentionClock, 'saw'>;
  }) {
    this.#config = options.config;
    this.#store = options.store;
    this.#observer = options.observer;
    this.#logger = options.logger;
    this.#tellStoreConnected = options.storeConnected;
    this.#holdsReading = options.holdsReading ?? false;
    this.#clock = options.clock;
    this.#tenure = new Tenure(options.config.partitions.length);
    this.live = new LiveWriter(writesWithin(options.store, this.#tenure), options.logger);
  }

  /** Floor messages sent, and attempts that failed. */
  get floorMessages(): { readonly published: number; readonly failed: number } {
    return this.#floors ?? { published: 0, failed: 0 };
  }

  /** Undefined before `open`. */
  get deadLetters(): DeadLetters | undefined {
    return this.#deadLetters;
  }

  /** Undefined where the server of the store deletes old rows. */
  get retention(): Store['retention'] {
    return this.#store.retention;
  }

  /** Undefined where the store has no clock of its own, or it is not known. */
  get storeClockAheadMs(): number | undefined {
    return this.#store.clockAheadMs;
  }

  /** Undefined before `open`. */
  get verifier(): Verifier | undefined {
    return this.#verifier;
  }

  get reprocessor(): Reprocessor | undefined {
    return this.#reprocessor;
  }

  get lanes(): readonly Readonly<Lane>[] {
    return this.#lanes;
  }

  /**
   * Locks the data folder and loads the checkpoints.
   *
   * @throws StartError if another processor owns the folder, or a checkpoint and the one before it are damaged.
   */
  async open(): Promise<void> {
    this.#lock = await lockDataFolder(this.#config.dataDir, 'dataDir', 'processor');
    const deadLetters = await DeadLetters.open(this.#config.dataDir, this.#config.deadLetterBytesMax).catch(cannotOpen);
    this.#deadLetters = deadLetters;
    const lanes: Lane[] = [];
    for (const number of this.#config.partitions) lanes.push(await this.#openLane(number, deadLetters));
    this.#lanes = lanes;
    if (this.#holdsReading) for (const { runner } of lanes) runner.hold();
    this.#reprocessor = new Reprocessor({
      lanes,
      store: this.#store,
      stream: () => (this.#connected && this.#storeConnected && this.#tenure.mayAct ? this.#stream : undefined),
      logger: this.#logger,
    });
    this.#recovery = new Recovery({
      store: this.#store,
      streamAgeMax: this.#config.stream.ageMax,
      storeConnected: async (signal) => this.#progress.until(() => this.#storeConnected, signal),
      logger: this.#logger,
    });
    this.#verifier = new Verifier(this.#verifyTarget(deadLetters), this.#logger);
    this.#floors = new FloorPublisher({
      interval: this.#config.floorInterval,
      partitions: lanes.map(({ runner }) => runner.floors),
      connection: () => {
        const connection = this.#connected && this.#tenure.mayAct ? this.#connection : undefined;
        return connection === undefined ? undefined : (subject, data) => connection.publish(subject, data);
      },
      logger: this.#logger,
    });
  }

  #verifyTarget(deadLetters: DeadLetters): VerifyTarget {
    const { windows } = this.#config;
    return {
      store: this.#store,
      sizes: windows.sizes,
      now: () => epochMs(Date.now()),
      // What is about to be dropped may be gone already.
      keptFrom: () => this.#store.mayLackBefore + hours(1),
      ready: () => this.#storeConnected && this.#tenure.taken,
      cut: async (signal) => {
        // Every partition listens to it.
        setMaxListeners(0, signal);
        return Promise.all(this.#lanes.map(async ({ runner }) => runner.cut(signal)));
      },
      figures: () => ({
        deadLetters: deadLetters.open,
        expired: this.#lanes.reduce((sum, { writer }) => sum + writer.expired, 0),
        refusedReadings: refusedReadings(this.#lanes),
      }),
    };
  }

  async #openLane(number: number, deadLetters: DeadLetters): Promise<Lane> {
    const file = new CheckpointFile(this.#config.dataDir, number, VERSION);
    const loaded = await this.#load(file, number);
    const { windows, stream } = this.#config;
    return assemblePartition({
      number,
      windows,
      streamAgeMax: stream.ageMax,
      file,
      loaded,
      store: this.#store,
      deadLetters,
      observer: this.#observer,
      logger: this.#logger,
      right: this.#tenure,
      ...(this.#clock !== undefined && { clock: this.#clock }),
    });
  }

  async #load(file: CheckpointFile, partition: number): Promise<LoadedCheckpoint> {
    try {
      const loaded = await file.load();
      if (loaded.kind === 'none') return loaded;
      if (loaded.kind === 'fallback') {
        this.#logger.error(
          { partition, problem: loaded.problem },
          'the newest checkpoint is damaged; going on from the one before, which reads the last seconds again',
        );
      }
      const { ordinal, cursor, unsent } = loaded.state;
      this.#logger.info({ partition, ordinal, position: cursor.position, unsent: unsent.length }, 'checkpoint loaded');
      return loaded;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      const remedy =
        error.code === 'foreign'
          ? 'start the release that wrote it'
          : 'the checkpoint before it is damaged or missing too; move both out of the folder to begin at the first message of the stream';
      throw new StartError('config-invalid', `dataDir: checkpoint ${error.message}; ${remedy}`, { cause: error });
    }
  }

  /**
   * Works until `signal` aborts, then stops reading, saves, and gives the store a moment to take what is unsent.
   *
   * @throws StartError if the store or the stream can't be used as configured.
   */
  async run(signal: AbortSignal): Promise<void> {
    // Readers stop at `sources`; writers go on until `sinks`, so that the output of what was read can still leave.
    const sources = new AbortController();
    const sinks = new AbortController();
    // Every partition listens to them.
    setMaxListeners(0, sources.signal, sinks.signal);
    const stop = (): void => sources.abort();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    const failed = (error: unknown): never => {
      sources.abort();
      throw error;
    };
    const reading = this.#read(sources.signal).catch(failed);
    const saving = this.#saveRegularly(sources.signal);
    const showing = this.#showLive(sources.signal);
    const telling = this.#floors?.run(sources.signal);
    const writing = this.#write(sinks.signal).catch(failed);
    writing.catch(() => undefined);
    try {
      await Promise.all([reading, saving, showing, telling]);
      await Promise.all([this.#reprocessor?.stop(), this.#verifier?.stop()]);
      await this.#checkpointAll();
      await this.#drain();
    } finally {
      signal.removeEventListener('abort', stop);
      sources.abort();
      sinks.abort();
      await Promise.allSettled([reading, saving, showing, telling, writing, this.#reprocessor?.stop()]);
      await this.#checkpointAll(true);
    }
    await writing;
  }

  async #read(signal: AbortSignal): Promise<void> {
    let connection: NatsConnection;
    try {
      connection = await connectNats(this.#config.nats, 'floorwatch-processor', PROCESSOR_INBOX, this.#logger, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    this.#connection = connection;
    this.#connected = true;
    const manager = await jetstreamManager(connection, { checkAPI: false });
    if (!(await this.#makeStream(manager, signal))) return;
    const client = jetstream(connection);
    this.#stream = new NatsStreamPass(client, manager);
    for (const lane of this.#lanes) {
      const { target } = lane.runner;
      lane.reader = new PartitionReader({ client, manager, limits: this.#config.stream, target, logger: this.#logger });
    }
    void this.#watchConnection(connection);
    const watch = new StreamWatch({ client, manager, limits: this.#config.stream, logger: this.#logger });
    this.#streamWatch = watch;
    const claims = await this.#claim(connection, signal);
    await Promise.all([
      claims.keep(signal),
      watch.run(signal),
      ...this.#lanes.map(async (lane) => this.#readLane(lane, claims, signal)),
    ]);
  }

  async #readLane(lane: Lane, claims: PartitionClaims, signal: AbortSignal): Promise<void> {
    await this.#recovery?.begin(lane, claims.before(lane.runner.partition.number), signal);
    this.#progress.notify();
    if (lane.runner.begun) await lane.reader?.run(signal);
  }

  async #claim(connection: NatsConnection, signal: AbortSignal): Promise<PartitionClaims> {
    const { dataDir, partitions, stream } = this.#config;
    const claims = new PartitionClaims({
      open: async () => new Kvm(connection).create(CLAIMS_BUCKET, { replicas: stream.replicas }),
      partitions,
      folder: await folderId(dataDir),
      tenure: this.#tenure,
      progress: (partition) => this.#progressOf(partition),
      logger: this.#logger,
    });
    this.#claims = claims;
    await claims.take(signal);
    return claims;
  }

  /** What this process has come to, for whoever takes the partition after it. */
  #progressOf(partition: number): ClaimProgress {
    const runner = this.#lanes.find((lane) => lane.runner.partition.number === partition)?.runner;
    return { checkpoint: runner?.saved ?? null, run: runner?.partition.sequence.highestRun ?? 0 };
  }

  /** Returns false if `signal` aborted first. */
  async #makeStream(manager: JetStreamManager, signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const { config, state } = await ensureIngestStream(manager, this.#config.stream);
        this.#clock?.saw(Date.parse(state.last_ts));
        this.#logger.info(
          { stream: config.name, messages: state.messages, bytes: state.bytes },
          'the ingest stream is ready',
        );
        return true;
      } catch (error) {
        if (error instanceof StartError) throw error;
        this.#logger.warn(
          { error: messageOf(error), attempt },
          'JetStream does not answer; trying again (is it enabled? nats-server needs -js)',
        );
        const { retryPauseMs, retryPauseMsMax } = processorLimits;
        await pause(retryDelay({ firstMs: retryPauseMs, maxMs: retryPauseMsMax / 6 }, attempt), signal);
      }
    }
    return false;
  }

  async #watchConnection(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') this.#connected = false;
      if (type !== 'reconnect') continue;
      this.#connected = true;
      for (const { reader } of this.#lanes) reader?.lookAgain();
    }
  }

  async #write(signal: AbortSignal): Promise<void> {
    await this.#connectStore(signal);
    // A processor that may not work on these partitions must not write what it remembers of them, either.
    await Promise.all(
      this.#lanes.map(async (lane) => {
        await this.#progress.until(() => lane.runner.begun, signal);
        await writeOut(lane, signal);
      }),
    );
  }

  async #connectStore(signal: AbortSignal): Promise<void> {
    const onProblem = (message: string): void => void (this.#storeProblem = message);
    if (!(await connectStore(this.#store, this.#logger, onProblem, signal))) return;
    this.#storeConnected = true;
    this.#progress.notify();
    this.#tellStoreConnected?.();
  }

  async #saveRegularly(signal: AbortSignal): Promise<void> {
    let wait: number = this.#config.checkpointInterval;
    while (!signal.aborted) {
      await pause(wait, signal);
      const begun = performance.now();
      await this.#checkpointAll();
      wait = Math.max(this.#config.checkpointInterval, CHECKPOINT_DUTY * (performance.now() - begun));
    }
  }

  /** One partition after the other: their files are on the same disk. */
  async #checkpointAll(last = false): Promise<void> {
    for (const { runner } of this.#lanes) await runner.checkpoint(last);
  }

  async #showLive(signal: AbortSignal): Promise<void> {
    const interval = this.#config.liveInterval;
    if (interval === 0) return;
    while (!signal.aborted) {
      await pause(interval, signal);
      if (signal.aborted || !this.#storeConnected) continue;
      const slow = (lane: Lane): boolean =>
        lane.writer.trouble !== undefined || lane.runner.partition.outbox.readySize > processorLimits.writeRowsMax;
      const sources = this.#lanes.filter((lane) => !slow(lane)).map((lane) => lane.runner.partition.windows);
      // Not awaited: a slow store leaves rounds out, and must not hold up a stop.
      void this.live.round(sources, signal);
    }
  }

  async #drain(): Promise<void> {
    const unsent = (): number => this.#lanes.reduce((sum, { runner }) => sum + runner.partition.outbox.size, 0);
    if (unsent() === 0 || !this.#storeConnected) return;
    const deadline = AbortSignal.timeout(processorLimits.drainMsMax);
    setMaxListeners(0, deadline);
    await Promise.all(
      this.#lanes.map(async ({ runner: { partition } }) => {
        while (partition.outbox.size > 0 && !deadline.aborted) await partition.outbox.changed(deadline);
      }),
    );
    if (unsent() > 0)
      this.#logger.warn(
        { rows: unsent() },
        'stopping with rows that the store did not take; the checkpoint keeps them',
      );
  }

  /** Lets go of everything. To be called after `run` has ended, in any state. */
  async close(): Promise<void> {
    if (this.#connected && this.#claims !== undefined) {
      await Promise.race([this.#claims.release(), pause(processorLimits.releaseMsMax, new AbortController().signal)]);
    }
    await this.#connection?.close();
    this.#connected = false;
    if (this.#storeConnected) await this.#store.close();
    this.#storeConnected = false;
    try {
      await this.#deadLetters?.close();
    } finally {
      await this.#lock?.release();
      this.#lock = undefined;
    }
  }

  /** The windows of one sensor that are still open, oldest first. */
  openWindows(
    sensor: Parameters<OpenWindows['openWindows']>[0],
    size: DurationMs,
  ): ReturnType<OpenWindows['openWindows']> {
    const partition = partitionOf(sensor);
    const lane = this.#lanes.find(({ runner }) => runner.partition.number === partition);
    return lane?.runner.partition.windows.open(sensor, size) ?? [];
  }

  /** Tries a dead letter again. */
  async retryDeadLetter(id: string): Promise<RetryOutcome> {
    if (this.#deadLetters === undefined) return { kind: 'not-now', message: 'the processor is starting' };
    const connection = this.#connected ? this.#connection : undefined;
    const publish =
      connection === undefined
        ? undefined
        : async (subject: string, data: Uint8Array) => jetstream(connection).publish(subject, data);
    const runners = this.#lanes.map(({ runner }) => runner);
    return retryLetter(this.#deadLetters, id, runners, publish, this.#store);
  }

  /** How each part is, in a few words; `ok` while everything works. */
  health(): ProcessorHealth {
    return describeHealth({
      lanes: this.#lanes,
      connected: this.#connected,
      claims: describeClaims(this.#tenure, this.#claims?.problem),
      streamProblem: this.#streamWatch?.problem,
      storeProblem: this.#storeConnected ? undefined : (this.#storeProblem ?? 'not connected'),
      recovering: [...(this.#recovery?.waiting ?? [])],
      reprocessing: this.#reprocessor?.status?.now ?? undefined,
      concerns: this.#store.concerns?.() ?? {},
      alarms: this.alarms(),
    });
  }

  /** The alarms of all partitions, the newest first. */
  alarms(): readonly AlarmSnapshot[] {
    return this.#lanes.flatMap(({ runner }) => runner.partition.alarms.all()).sort((a, b) => b.lastAt - a.lastAt);
  }
}

function cannotOpen(error: unknown): never {
  throw new StartError('config-invalid', `dataDir: the dead letters can't be opened: ${messageOf(error)}`, {
    cause: error,
  });
}
