import {
  type ClockQuality,
  type Delivery,
  durationMs,
  epochMs,
  LANES,
  type Lane,
  type Source,
} from '@floorwatch/contracts';
import { type HttpServer, httpToken, type Logger, messageOf, pause, serveHttp, VERSION } from '@floorwatch/runtime';

import { type AgentConfig, configHash } from './config.ts';
import type { BrokerState } from './ingest/broker-state.ts';
import { EmbeddedBroker } from './ingest/embedded-broker.ts';
import { ExternalBroker } from './ingest/external-broker.ts';
import { Intake } from './ingest/intake.ts';
import type { RawMessage } from './ingest/raw-message.ts';
import { inFlightMax } from './ingest/readings-config.ts';
import type { RejectView } from './ingest/reject-log.ts';
import { limits } from './limits.ts';
import { RecordWriter } from './record-writer.ts';
import { SensorEngine, type SensorState } from './sensor-engine.ts';
import { newEpoch } from './spool/epoch.ts';
import { MemoryLaneLog } from './spool/memory-lane-log.ts';
import type { AgentSource, AgentView, LaneView, ReadingCounts } from './status/agent-view.ts';
import { readClockQuality } from './status/clock-quality.ts';
import { createStatusApp } from './status/status-app.ts';
import { findTroubles } from './status/troubles.ts';
import { statsLimits } from './stats/limits.ts';
import { LaneSender } from './uplink/lane-sender.ts';
import { NatsLink } from './uplink/nats-link.ts';

/** What a stop could not bring to its end. */
export interface Leftover {
  /** Records that NATS did not take in time. They lived in memory, and are lost. */
  readonly records: number;
  /** Messages that were received and did not pass the pipeline. Devices that use QoS 1 or 2 send them again. */
  readonly messages: number;
}

type Broker = Source<RawMessage> & { state(): BrokerState };

/** ingest → stats → score → spool → uplink, from one start to one stop. */
export class Pipeline implements AgentSource {
  readonly #config: AgentConfig;
  readonly #logger: Logger;
  readonly #startedAt = epochMs(Date.now());
  readonly #startedMs = performance.now();
  readonly #epoch = newEpoch(this.#startedAt);
  readonly #intake: Intake;
  readonly #engine: SensorEngine;
  readonly #logs: Readonly<Record<Lane, MemoryLaneLog>>;
  readonly #writer: RecordWriter;
  readonly #broker: Broker;
  readonly #link: NatsLink;
  readonly #senders: Readonly<Record<Lane, LaneSender>>;
  /** Messages of the delivery that found no room before the stop. */
  #refused = 0;
  /** Ends what waits for room; the stop aborts it when waiting is over. */
  readonly #input = new AbortController();
  readonly #output = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  #clock: ClockQuality = 'unknown';
  #http: HttpServer | undefined;
  #consuming: Promise<void> = Promise.resolve();
  #sending: Promise<unknown> = Promise.resolve();
  /** The step in hand: deliveries, ticks and the stop take turns, so that records are numbered in the order of their causes. */
  #turn: Promise<void> = Promise.resolve();
  #stopped: Promise<Leftover> | undefined;
  #reportFailure: (error: unknown) => void = () => undefined;
  /** Rejects if a part breaks that the agent can't do without. */
  readonly failed: Promise<never>;

  constructor(config: AgentConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#intake = new Intake({ ...config, valueAbsMax: statsLimits.valueAbsMax }, { has: () => false });
    this.#engine = new SensorEngine(config.engine, config);
    this.#logs = {
      anomaly: new MemoryLaneLog(config.spool.anomalyBytesMax),
      telemetry: new MemoryLaneLog(config.spool.telemetryBytesMax),
    };
    this.#writer = new RecordWriter(this.#logs, { now: this.#startedAt, quality: 'unknown' });
    this.#broker = createBroker(config, this.#intake.filters, logger);
    this.#link = new NatsLink(config.nats, `floorwatch-agent ${config.site}/${config.gateway}`, logger);
    const { site, gateway } = config;
    const sender = (lane: Lane): LaneSender =>
      new LaneSender({ site, gateway, lane, epoch: this.#epoch }, this.#logs[lane], this.#link, logger);
    this.#senders = { anomaly: sender('anomaly'), telemetry: sender('telemetry') };
    this.failed = new Promise((_resolve, reject) => (this.#reportFailure = reject));
    this.failed.catch(() => undefined);
  }

  /** Starts sinks first and the source last. @throws StartError if a port is taken or a secret can't be read. */
  async start(): Promise<void> {
    try {
      this.#clock = await readClockQuality();
      const token = await httpToken(this.#config.http);
      this.#http = await serveHttp(createStatusApp(this, token), this.#config.http);
      await this.#link.connect();
      this.#sending = this.#guard(Promise.all(LANES.map(async (lane) => this.#senders[lane].run(this.#output.signal))));
      await this.#tick();
      await this.#reportStatus();
      this.#every(limits.tickMs, async () => this.#tick());
      this.#every(limits.statusMs, async () => this.#reportStatus());
      await this.#broker.connect(this.#input.signal);
      this.#consuming = this.#guard(this.#consume());
    } catch (error) {
      await (this.#stopped ??= this.#stop(0));
      throw error;
    }
  }

  /**
   * Stops the source first, lets what it received pass, closes the engine's episodes and rollups, and gives NATS a bounded time to
   * take the rest.
   */
  async stop(): Promise<Leftover> {
    return (this.#stopped ??= this.#stop(limits.flushMsMax));
  }

  async #stop(flushMs: number): Promise<Leftover> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#broker.close();
    const { pending } = this.#broker.state();
    this.#input.abort();
    await this.#consuming;
    await this.#inTurn(async () => {
      this.#beginStep();
      this.#engine.close(this.#writer);
      this.#addStatus();
      await this.#writer.commit();
    });
    const flushed = new AbortController();
    await Promise.race([this.#flushed(flushed.signal), pause(flushMs, flushed.signal)]);
    flushed.abort();
    this.#output.abort();
    await this.#sending;
    await this.#link.close();
    await this.#http?.close();
    const records = LANES.reduce((sum, lane) => sum + this.#laneView(lane).recordsWaiting, 0);
    return { records, messages: pending + this.#refused };
  }

  /** Ports in use, also where any free ones were asked for. Undefined: not listening. */
  get ports(): { readonly http: number | undefined; readonly mqtt: number | undefined } {
    const mqtt = this.#broker instanceof EmbeddedBroker ? this.#broker.port : undefined;
    return { http: this.#http?.port, mqtt };
  }

  view(): AgentView {
    const { site, gateway, sensorsMax } = this.#config;
    const lanes = { anomaly: this.#laneView('anomaly'), telemetry: this.#laneView('telemetry') };
    const [broker, nats] = [this.#broker.state(), this.#link.state()];
    const view = {
      site,
      gateway,
      version: VERSION,
      configHash: configHash(this.#config),
      epoch: this.#epoch,
      startedAt: this.#startedAt,
      at: epochMs(Date.now()),
      clock: this.#clock,
      sensors: this.#intake.sensors,
      sensorsMax,
      episodes: { ...this.#writer.episodes },
      readings: this.#readingCounts(),
      broker,
      nats,
      lanes,
    };
    return { ...view, troubles: findTroubles(view) };
  }

  lastRejects(): readonly RejectView[] {
    return this.#intake.lastRejects();
  }

  sensors(): Iterable<SensorState> {
    return this.#engine.sensors();
  }

  async #consume(): Promise<void> {
    // The queue ends the deliveries once it is empty; the signal only ends waiting for room.
    for await (const delivery of this.#broker.deliveries(this.#input.signal)) {
      // Not in turn: ticks and reports of days without NATS would wait behind it, and all run when there is room.
      await this.#waitForRoom();
      await this.#inTurn(async () => this.#takeDelivery(delivery));
    }
  }

  async #takeDelivery(delivery: Delivery<RawMessage>): Promise<void> {
    if (this.#full && this.#input.signal.aborted) {
      this.#refused += delivery.items.length;
      await delivery.nack(new Error('the spool is full, and the agent is stopping'), durationMs(0));
      return;
    }
    this.#beginStep();
    const taken = this.#intake.take(delivery.items, { now: epochMs(Date.now()), quality: this.#clock });
    for (const { reading } of taken.readings) this.#engine.accept(reading, this.#writer);
    await this.#writer.commit();
    this.#intake.settled(taken, true);
    await delivery.ack();
  }

  /** Tells the engine the time. Not while the spool is full: the watermark waits like the readings do. */
  async #tick(): Promise<void> {
    this.#clock = await readClockQuality();
    await this.#inTurn(async () => {
      if (this.#full) return;
      this.#beginStep();
      const now = epochMs(Date.now());
      const sinceStartMs = performance.now() - this.#startedMs;
      this.#engine.advance({ now, synchronised: this.#clock !== 'unsynchronised', sinceStartMs }, this.#writer);
      await this.#writer.commit();
    });
  }

  async #reportStatus(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#full) return;
      this.#addStatus();
      await this.#writer.commit();
    });
  }

  #addStatus(): void {
    const { version, configHash: hash, startedAt, at, clock, sensors, readings, lanes, episodes } = this.view();
    const { received, accepted, rejected, retainedCopies, outOfOrder, rejectedByReason } = readings;
    const counters: Record<string, number> = {
      readingsReceived: received,
      readingsAccepted: accepted,
      readingsRejected: rejected,
      readingsRetainedCopies: retainedCopies,
      readingsOutOfOrder: outOfOrder,
      episodesOpened: episodes.opened,
      episodesClosed: episodes.closed,
    };
    for (const [reason, count] of Object.entries(rejectedByReason)) {
      if (count > 0) counters[`readingsRejected.${reason}`] = count;
    }
    for (const lane of LANES) {
      counters[`${lane}.recordsSpooled`] = lanes[lane].recordsSpooled;
      counters[`${lane}.recordsAcknowledged`] = lanes[lane].recordsAcknowledged;
      counters[`${lane}.sendFailures`] = lanes[lane].failures;
    }
    this.#writer.addStatus({ at, startedAt, version, configHash: hash, clock, sensors, counters });
  }

  #beginStep(): void {
    this.#writer.begin({ now: epochMs(Date.now()), quality: this.#clock });
  }

  get #full(): boolean {
    return LANES.some((lane) => this.#logs[lane].full);
  }

  async #waitForRoom(): Promise<void> {
    if (!this.#full) return;
    this.#logger.warn({}, 'the spool is full: devices must wait until NATS takes data again');
    while (this.#full && !this.#input.signal.aborted) {
      for (const lane of LANES) await this.#logs[lane].waitForRoom(this.#input.signal);
    }
    if (!this.#full) this.#logger.info({}, 'the spool has room again');
  }

  /** Resolves when both lanes are empty, or `signal` aborts. */
  async #flushed(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && LANES.some((lane) => this.#laneView(lane).recordsWaiting > 0)) await pause(10, signal);
  }

  #laneView(lane: Lane): LaneView {
    const log = this.#logs[lane];
    return {
      ...this.#senders[lane].state(),
      recordsSpooled: log.next - 1,
      recordsWaiting: log.next - log.first,
      bytes: log.bytes,
      bytesMax: log.bytesMax,
    };
  }

  #readingCounts(): ReadingCounts {
    return { ...this.#intake.counts, outOfOrder: this.#engine.outOfOrder };
  }

  async #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(step);
    // Who asked for the step hears of its failure; the next one goes on.
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #every(ms: number, step: () => Promise<void>): void {
    this.#timers.push(setInterval(() => void this.#guard(step()), ms));
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
