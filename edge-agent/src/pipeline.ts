import { LANES } from '@floorwatch/contracts';
import { type HttpServer, httpToken, type Logger, messageOf, serveHttp } from '@floorwatch/runtime';

import { type AgentParts, assembleAgent, type Surroundings } from './agent-parts.ts';
import { viewAgent } from './agent-views.ts';
import type { AgentConfig } from './config.ts';
import { EmbeddedBroker } from './ingest/embedded-broker.ts';
import type { RejectView } from './ingest/reject-log.ts';
import { limits } from './limits.ts';
import type { SensorState } from './sensor-engine.ts';
import type { AgentSource, AgentView } from './status/agent-view.ts';
import type { CommitTimes } from './status/commit-times.ts';
import { createStatusApp } from './status/status-app.ts';

/** What a stop could not bring to its end. */
export interface Leftover {
  /** Records that NATS does not have yet. They wait on the disk. */
  readonly records: number;
  /** Messages that were received and not taken. Devices that use QoS 1 or 2 send them again. */
  readonly messages: number;
}

/** What tests put something else in the place of. */
export interface PipelineSurroundings extends Surroundings {
  /** Milliseconds between two ticks. */
  readonly tickMs?: number;
  /** Whether it listens for HTTP requests; true by default. */
  readonly listens?: boolean;
}

/** ingest → journal → stats → score → spool → uplink, from one start to one stop. */
export class Pipeline implements AgentSource {
  readonly #parts: AgentParts;
  readonly #tickMs: number;
  readonly #listens: boolean;
  /** End what waits for room, for the disk, and for NATS. */
  readonly #taking = new AbortController();
  readonly #processing = new AbortController();
  readonly #sending = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #http: HttpServer | undefined;
  #started: Promise<void> = Promise.resolve();
  /** Whether this start has an epoch of its own, so that readings may be taken. */
  #begun = false;
  #taken: Promise<void> = Promise.resolve();
  /** Whether every output of what was taken is safe. */
  #processed: Promise<boolean> = Promise.resolve(false);
  #sent: Promise<unknown> = Promise.resolve();
  #stopped: Promise<Leftover> | undefined;
  #reportFailure: (error: unknown) => void = () => undefined;
  /** Rejects if a part breaks that the agent can't do without. */
  readonly failed: Promise<never>;

  private constructor(parts: AgentParts, tickMs: number, listens: boolean) {
    this.#parts = parts;
    this.#tickMs = tickMs;
    this.#listens = listens;
    this.failed = new Promise((_resolve, reject) => (this.#reportFailure = reject));
    this.failed.catch(() => undefined);
  }

  /** Opens the data folder. @throws StartError if it is in use, or can't be used. */
  static async open(
    config: AgentConfig,
    logger: Logger,
    { tickMs = limits.tickMs, listens = true, ...outside }: PipelineSurroundings = {},
  ): Promise<Pipeline> {
    return new Pipeline(await assembleAgent(config, logger, outside), tickMs, listens);
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
    const { config, clock, intake, recovery, queue, link, floors, senders, broker, input, storage, snapshots } =
      this.#parts;
    await clock.look();
    const token = await httpToken(config.http);
    const { quarantine } = storage;
    const submit = broker.submit.bind(broker);
    const latest = (): number => intake.latest(clock);
    if (this.#listens) {
      this.#http = await serveHttp(createStatusApp(this, token, { quarantine, latest, submit }), config.http);
    }
    // Before the lanes are written to: one that is full gets room only from what is sent.
    await link.connect();
    floors.start(link);
    this.#sent = this.#guard(Promise.all(LANES.map(async (lane) => senders[lane].run(this.#sending.signal))), []);
    const { signal } = this.#processing;
    if (!(await recovery.replay(signal)) || !(await recovery.begin(clock.startedAt, clock.quality, signal))) return;
    this.#begun = true;
    // What ended here must not be looked at again by every start.
    if (recovery.upgraded) snapshots.hurry();
    this.#processed = this.#guard(queue.run(signal), false);
    await this.#tick();
    if (this.#stopped !== undefined) return;
    this.#timer = setInterval(() => void this.#guard(this.#tick(), undefined), this.#tickMs);
    await broker.connect(this.#taking.signal);
    this.#taken = this.#guard(input.run(broker.deliveries(this.#taking.signal), this.#taking.signal), undefined);
    void this.#guard(quarantine.finishReleases(submit), undefined);
  }

  /**
   * Stops the source first, processes what it received, saves the state, and lets go of everything. Open episodes and rollups go on after
   * the next start, and what NATS does not have yet waits on the disk.
   */
  async stop(): Promise<Leftover> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<Leftover> {
    const { broker, queue, link, senders, storage, input, snapshots } = this.#parts;
    // A replay need not end: the next start begins it anew.
    if (!this.#begun) this.#processing.abort();
    await this.#started.catch(() => undefined);
    clearInterval(this.#timer);
    await broker.close();
    const { pending } = broker.state();
    this.#taking.abort();
    await this.#taken;
    await input.settled().catch(() => undefined);
    queue.end();
    // What a lane does not take now is made again by the next start.
    const patience = setTimeout(() => this.#processing.abort(), limits.drainMsMax);
    if (await this.#processed) await snapshots.takeLast();
    clearTimeout(patience);
    this.#processing.abort();
    await snapshots.settled();
    this.#sending.abort();
    await this.#sent;
    await link.close();
    await this.#http?.close();
    const records = LANES.reduce((sum, lane) => sum + senders[lane].state().recordsUnsent, 0);
    await storage.close();
    return { records, messages: pending + input.turnedAway };
  }

  /** Ports in use, also where any free ones were asked for. Undefined: not listening. */
  get ports(): { readonly http: number | undefined; readonly mqtt: number | undefined } {
    const { broker } = this.#parts;
    return { http: this.#http?.port, mqtt: broker instanceof EmbeddedBroker ? broker.port : undefined };
  }

  view(): AgentView {
    return viewAgent(this.#parts);
  }

  lastRejects(): readonly RejectView[] {
    return this.#parts.intake.lastRejects();
  }

  sensors(): Iterable<SensorState> {
    return this.#parts.engine.sensors();
  }

  get commitTimes(): CommitTimes {
    return this.#parts.commitTimes;
  }

  /** Takes the time into the journal. */
  async #tick(): Promise<void> {
    const { clock, input, broker } = this.#parts;
    await clock.look();
    const { kind, ready } = broker.state();
    // The embedded broker is where devices come to; nothing lies between.
    const isDeaf = kind === 'external' && !ready;
    input.tick(isDeaf ? { ...clock.tick(), deaf: true } : clock.tick());
  }

  /** Waits for a part that runs beside the others; its failure is the agent's. */
  async #guard<T>(running: Promise<T>, otherwise: T): Promise<T> {
    try {
      return await running;
    } catch (error) {
      this.#parts.logger.error({ error: messageOf(error) }, 'a part of the agent broke');
      this.#reportFailure(error);
      return otherwise;
    }
  }
}
