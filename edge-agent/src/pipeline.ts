import { type ClockQuality, epochMs, LANES, type Lane, type Source } from '@floorwatch/contracts';
import { type HttpServer, httpToken, type Logger, messageOf, serveHttp } from '@floorwatch/runtime';
import type { FileSystem } from '@floorwatch/segment-log';

import { statusFacts, viewAgent, type ViewedParts } from './agent-views.ts';
import type { AgentConfig } from './config.ts';
import type { BrokerState } from './ingest/broker-state.ts';
import { EmbeddedBroker } from './ingest/embedded-broker.ts';
import { ExternalBroker } from './ingest/external-broker.ts';
import { Intake } from './ingest/intake.ts';
import type { RawMessage } from './ingest/raw-message.ts';
import { inFlightMax } from './ingest/readings-config.ts';
import type { RejectView } from './ingest/reject-log.ts';
import { InputLoop } from './input-loop.ts';
import { ItemProcessor } from './item-processor.ts';
import { limits } from './limits.ts';
import { outputHash } from './output-hash.ts';
import { ProcessingQueue } from './processing-queue.ts';
import { RecordWriter } from './record-writer.ts';
import { Recovery } from './recovery.ts';
import { Refusals } from './refusals.ts';
import { SensorEngine, type SensorState } from './sensor-engine.ts';
import type { AgentSource, AgentView } from './status/agent-view.ts';
import { readClockQuality } from './status/clock-quality.ts';
import { CommitTimes } from './status/commit-times.ts';
import { createStatusApp } from './status/status-app.ts';
import { openStorage, type Storage } from './storage.ts';
import { statsLimits } from './stats/limits.ts';
import { FloorListener } from './uplink/floor-listener.ts';
import { NatsLink } from './uplink/nats-link.ts';
import { SpoolSender } from './uplink/spool-sender.ts';

/** What a stop could not bring to its end. */
export interface Leftover {
  /** Records that NATS does not have yet. They wait on the disk. */
  readonly records: number;
  /** Messages that were received and not taken. Devices that use QoS 1 or 2 send them again. */
  readonly messages: number;
}

/** What tests put something else in the place of. */
export interface PipelineSurroundings {
  /** Milliseconds between two ticks. */
  readonly tickMs?: number;
  readonly fileSystem?: FileSystem;
}

interface Opened {
  readonly storage: Storage;
  readonly writer: RecordWriter;
  readonly commitTimes: CommitTimes;
  readonly tickMs: number;
}

type Broker = Source<RawMessage> & { state(): BrokerState };

/** ingest → journal → stats → score → spool → uplink, from one start to one stop. */
export class Pipeline implements AgentSource {
  readonly #config: AgentConfig;
  readonly #logger: Logger;
  readonly #startedAt = epochMs(Date.now());
  readonly #startedMs = performance.now();
  readonly #storage: Storage;
  readonly #intake: Intake;
  readonly #engine: SensorEngine;
  readonly #recovery: Recovery;
  readonly #input: InputLoop;
  readonly #queue: ProcessingQueue;
  readonly #broker: Broker;
  readonly #link: NatsLink;
  readonly #floors: FloorListener;
  readonly #senders: Readonly<Record<Lane, SpoolSender>>;
  readonly #parts: ViewedParts;
  readonly commitTimes: CommitTimes;
  readonly #tickMs: number;
  /** Ends what waits for room, for the disk and for NATS; the stop aborts one after the other. */
  readonly #taking = new AbortController();
  readonly #processing = new AbortController();
  readonly #sending = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #clock: ClockQuality = 'unknown';
  #http: HttpServer | undefined;
  #started: Promise<void> = Promise.resolve();
  #taken: Promise<void> = Promise.resolve();
  #processed: Promise<void> = Promise.resolve();
  #sent: Promise<unknown> = Promise.resolve();
  #stopped: Promise<Leftover> | undefined;
  #reportFailure: (error: unknown) => void = () => undefined;
  /** Rejects if a part breaks that the agent can't do without. */
  readonly failed: Promise<never>;

  private constructor(config: AgentConfig, logger: Logger, opened: Opened) {
    const { storage, writer, commitTimes, tickMs } = opened;
    this.#config = config;
    this.#logger = logger;
    this.#storage = storage;
    this.#tickMs = tickMs;
    this.commitTimes = commitTimes;
    const quarantine = { has: () => false, append: async () => undefined };
    const refusals = new Refusals(logger);
    const clock = (): ClockQuality => this.#clock;
    this.#intake = new Intake({ ...config, valueAbsMax: statsLimits.valueAbsMax }, quarantine);
    this.#engine = new SensorEngine(config.engine, config);
    const processor = new ItemProcessor(this.#engine, writer, () => statusFacts(this.#parts));
    this.#queue = new ProcessingQueue(processor, writer, refusals, () => undefined);
    this.#input = new InputLoop({
      intake: this.#intake,
      journal: storage.journal,
      quarantine,
      queue: this.#queue,
      refusals,
      clock,
    });
    this.#recovery = new Recovery({ storage, intake: this.#intake, processor, writer, refusals, logger });
    this.#broker = createBroker(config, this.#intake.filters, logger);
    this.#link = new NatsLink(config.nats, `floorwatch-agent ${config.site}/${config.gateway}`, logger);
    const { site, gateway } = config;
    const { trimGraceMs } = config.storage;
    const sender = (lane: Lane): SpoolSender =>
      new SpoolSender({ site, gateway, trimGraceMs }, storage.lanes[lane], this.#link, logger);
    this.#senders = { anomaly: sender('anomaly'), telemetry: sender('telemetry') };
    this.#floors = new FloorListener(config, logger, (message) => {
      for (const lane of LANES) this.#senders[lane].hearFloor(message);
    });
    this.#parts = {
      config,
      startedAt: this.#startedAt,
      clock,
      storage,
      intake: this.#intake,
      engine: this.#engine,
      writer,
      recovery: this.#recovery,
      refusals,
      senders: this.#senders,
      broker: this.#broker,
      link: this.#link,
    };
    this.failed = new Promise((_resolve, reject) => (this.#reportFailure = reject));
    this.failed.catch(() => undefined);
  }

  /** Opens the data folder. @throws StartError if it is in use, or can't be used. */
  static async open(
    config: AgentConfig,
    logger: Logger,
    { tickMs = limits.tickMs, fileSystem }: PipelineSurroundings = {},
  ): Promise<Pipeline> {
    const commitTimes = new CommitTimes();
    const storage = await openStorage(config.storage, logger, commitTimes, fileSystem);
    try {
      const writer = await RecordWriter.open(storage.lanes);
      return new Pipeline(config, logger, { storage, writer, commitTimes, tickMs });
    } catch (error) {
      await storage.close().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Goes on where the last start ended, then starts sinks first and the source last. Ends early, and well, if it is stopped meanwhile.
   *
   * @throws StartError if a port is taken, a secret can't be read, or the data folder holds what this release can't read.
   */
  async start(): Promise<void> {
    this.#started = this.#start();
    try {
      await this.#started;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    this.#clock = await readClockQuality();
    const token = await httpToken(this.#config.http);
    this.#http = await serveHttp(createStatusApp(this, token), this.#config.http);
    const { signal } = this.#processing;
    if (!(await this.#recovery.replay(signal))) return;
    const hash = outputHash(this.#config.engine);
    if (!(await this.#recovery.begin(this.#startedAt, this.#clock, hash, signal))) return;
    this.#processed = this.#guard(this.#queue.run(signal));
    await this.#link.connect();
    this.#floors.start(this.#link);
    this.#sent = this.#guard(Promise.all(LANES.map(async (lane) => this.#senders[lane].run(this.#sending.signal))));
    await this.#tick();
    if (this.#stopped !== undefined) return;
    this.#timer = setInterval(() => void this.#guard(this.#tick()), this.#tickMs);
    await this.#broker.connect(this.#taking.signal);
    this.#taken = this.#guard(this.#input.run(this.#broker.deliveries(this.#taking.signal), this.#taking.signal));
  }

  /**
   * Stops the source first, processes what it received, and lets go of everything. Open episodes and rollups go on after the next start, and
   * what NATS does not have yet waits on the disk.
   */
  async stop(): Promise<Leftover> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<Leftover> {
    // A replay need not end: the next start begins it anew.
    if (this.#recovery.view.state === 'running') this.#processing.abort();
    await this.#started.catch(() => undefined);
    clearInterval(this.#timer);
    await this.#broker.close();
    const { pending } = this.#broker.state();
    this.#taking.abort();
    await this.#taken;
    this.#queue.end();
    // What a lane does not take now is made again by the next start.
    const patience = setTimeout(() => this.#processing.abort(), limits.drainMsMax);
    await this.#processed;
    clearTimeout(patience);
    this.#processing.abort();
    this.#sending.abort();
    await this.#sent;
    await this.#link.close();
    await this.#http?.close();
    const records = LANES.reduce((sum, lane) => sum + this.#senders[lane].state().recordsUnsent, 0);
    await this.#storage.close();
    return { records, messages: pending + this.#input.turnedAway };
  }

  /** Ports in use, also where any free ones were asked for. Undefined: not listening. */
  get ports(): { readonly http: number | undefined; readonly mqtt: number | undefined } {
    const mqtt = this.#broker instanceof EmbeddedBroker ? this.#broker.port : undefined;
    return { http: this.#http?.port, mqtt };
  }

  view(): AgentView {
    return viewAgent(this.#parts);
  }

  lastRejects(): readonly RejectView[] {
    return this.#intake.lastRejects();
  }

  sensors(): Iterable<SensorState> {
    return this.#engine.sensors();
  }

  /** Takes the time into the journal. */
  async #tick(): Promise<void> {
    this.#clock = await readClockQuality();
    const sinceStartMs = Math.round(performance.now() - this.#startedMs);
    this.#input.tick({ now: epochMs(Date.now()), quality: this.#clock, sinceStartMs });
  }

  /** Waits for a part that runs beside the others; its failure is the agent's. */
  async #guard(running: Promise<unknown>): Promise<void> {
    try {
      await running;
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'a part of the agent broke');
      this.#reportFailure(error);
    }
  }
}

function createBroker(config: AgentConfig, filters: readonly string[], logger: Logger): Broker {
  const { site, gateway } = config;
  const broker = { ...config.broker, inFlightMax: inFlightMax(config.readings) };
  if (broker.kind === 'embedded') return new EmbeddedBroker(broker, logger);
  return new ExternalBroker({ clientId: `floorwatch-${site}-${gateway}`, ...broker }, filters, logger);
}
