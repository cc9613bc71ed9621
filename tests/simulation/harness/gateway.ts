import { type Delivery, epochMs, LANES } from '@floorwatch/contracts';
import { Condition } from '@floorwatch/runtime';

import type { Broker, Surroundings } from '../../../edge-agent/src/agent-parts.ts';
import { type AgentConfig, agentConfigSchema } from '../../../edge-agent/src/config.ts';
import type { RawMessage } from '../../../edge-agent/src/ingest/raw-message.ts';
import { Pipeline } from '../../../edge-agent/src/pipeline.ts';
import type { DiskView, SimDisk } from './sim-disk.ts';
import type { StreamModel } from './stream-model.ts';
import { never, type World } from './world.ts';

const KIB = 1024;
/** What lies above it opens an episode. */
export const LIMIT = 1_000;
/** Messages of one delivery. */
export const IN_FLIGHT = 16;

const CONFIG: AgentConfig = agentConfigSchema.parse({
  site: 'plant',
  gateway: 'any',
  broker: { port: 0 },
  nats: { servers: ['nats://127.0.0.1:9'] },
  http: { port: 0 },
  // Only the rules that a simulation needs: those that learn cost time and find nothing in whole numbers.
  engine: {
    limits: { closeAfterReadings: 2, rules: [{ device: '*', metric: '*', high: LIMIT }] },
    zScore: { watch: 'never' },
    adaptive: { enabled: false },
    stuck: { enabled: false },
    silent: { enabled: false },
    noise: { enabled: false },
    clock: { enabled: false },
    watermark: { outOfOrderMs: 5_000, idleMs: 20_000 },
  },
  readings: { futureMsMax: 86_400_000 },
  storage: { dataDir: '/data', trimGraceMs: 0 },
});

/**
 * A segment has room for three appends, and a small lane for two to four segments besides its reserve. Those of which anything was sent can't
 * be dropped: the smallest soon refuses what comes, a larger one drops.
 */
const SEGMENT_BYTES = 16 * KIB;
const SMALL_LANE_SEGMENTS = [3, 4, 5] as const;

/** Logs are smaller than a configuration may make them, so that they fill and are trimmed within a minute. */
function configOf(world: World, gateway: string): AgentConfig {
  const smallLane = world.pick(SMALL_LANE_SEGMENTS) * SEGMENT_BYTES;
  return {
    ...CONFIG,
    gateway,
    storage: {
      ...CONFIG.storage,
      snapshotMs: world.pick([1_000, 5_000, 20_000]),
      journalBytesMax: 1024 * KIB,
      telemetry: { bytesMax: world.faults.has('small-disk') ? smallLane : 1024 * KIB, whenFull: 'drop-unsent' },
      anomaly: { bytesMax: 1024 * KIB, whenFull: 'refuse' },
    },
  };
}

/** The agent's own connection to the devices, without a network: what they send, and whether they may. */
class BrokerModel implements Broker {
  readonly #fed = new Condition();
  readonly #feed: Delivery<RawMessage>[] = [];
  #closed = false;
  isOpen = false;

  async connect(): Promise<void> {
    this.isOpen = !this.#closed;
  }

  async *deliveries(signal: AbortSignal): AsyncGenerator<Delivery<RawMessage>> {
    for (;;) {
      await this.#fed.until(() => this.#feed.length > 0 || this.#closed, signal);
      const next = this.#feed.shift();
      if (next === undefined) return;
      yield next;
    }
  }

  push(delivery: Delivery<RawMessage>): void {
    this.#feed.push(delivery);
    this.#fed.notify();
  }

  async submit(): Promise<void> {
    throw new Error('nothing is released from quarantine here');
  }

  async close(): Promise<void> {
    this.isOpen = false;
    this.#closed = true;
    this.#fed.notify();
  }

  state(): ReturnType<Broker['state']> {
    const [pending, held] = [this.#feed.length, false];
    return { kind: 'embedded', address: 'simulated', ready: this.isOpen, since: epochMs(0), pending, held };
  }
}

/** One life of an agent's process: the real agent on a simulated disk, between simulated devices and a simulated stream. */
export class GatewayLife {
  readonly #world: World;
  readonly #name: string;
  readonly #view: DiskView;
  readonly #stream: StreamModel;
  readonly #clock: () => number;
  readonly #tickMs: number;
  readonly #broker = new BrokerModel();
  #pipeline: Pipeline | undefined;
  #dead = false;
  #isEnding = false;

  constructor(options: {
    readonly world: World;
    readonly name: string;
    readonly disk: SimDisk;
    readonly stream: StreamModel;
    /** The gateway's clock. */
    readonly clock: () => number;
    readonly tickMs: number;
  }) {
    this.#world = options.world;
    this.#name = options.name;
    this.#view = options.disk.mount();
    this.#stream = options.stream;
    this.#clock = options.clock;
    this.#tickMs = options.tickMs;
  }

  /** Opens everything, replays, begins an epoch and works until it is killed. */
  start(): void {
    void this.#live().catch((error: unknown) => {
      if (!this.#dead) this.#world.fail(`${this.#name} died: ${error instanceof Error ? error.stack : String(error)}`);
    });
  }

  async #live(): Promise<void> {
    const world = this.#world;
    const logger = world.logger(this.#name, () => !this.#dead);
    const pipeline = await Pipeline.open(configOf(world, this.#name), logger, {
      tickMs: this.#tickMs,
      listens: false,
      fileSystem: this.#view,
      segmentBytesMax: SEGMENT_BYTES,
      broker: this.#broker,
      clock: this.#clockModel(),
      link: this.#linkModel(),
    });
    this.#pipeline = pipeline;
    await Promise.race([pipeline.start(), pipeline.failed]);
    await pipeline.failed;
  }

  #clockModel(): NonNullable<Surroundings['clock']> {
    const now = (): ReturnType<typeof epochMs> => epochMs(this.#clock());
    const { time } = this.#world;
    const [startedAt, since] = [now(), time.now];
    const quality = 'synchronised';
    return {
      startedAt,
      quality,
      get now() {
        return now();
      },
      // Every tick looks first.
      look: async () => (this.#isEnding ? never() : undefined),
      tick: () => ({ now: now(), quality, sinceStartMs: Math.round(time.now - since) }),
    };
  }

  /** As `NatsLink`, for this process alone. */
  #linkModel(): NonNullable<Surroundings['link']> {
    const stream = this.#stream;
    const { time } = this.#world;
    const heard: ((subject: string, data: Uint8Array) => void)[] = [];
    return {
      get isConnected() {
        return !stream.down;
      },
      batchBytesMax: 8 * KIB,
      connect: async () => undefined,
      whenConnected: async (signal) => {
        while (stream.down && !signal.aborted) await time.sleep(500);
      },
      publish: async (subject, bytes) => {
        if (this.#dead) return never();
        const answer = await stream.publish(subject, bytes);
        return this.#dead ? never() : answer;
      },
      subscribe: (subject, onMessage) => {
        const hear = (at: string, data: Uint8Array): void => {
          if (!this.#dead && at === subject) onMessage(data);
        };
        heard.push(hear);
        stream.listeners.add(hear);
      },
      state: () => ({ servers: [], connected: !stream.down, since: epochMs(0) }),
      close: async () => {
        for (const hear of heard) stream.listeners.delete(hear);
      },
    };
  }

  /** Whether it takes readings. */
  get isUp(): boolean {
    return !this.#dead && this.#broker.isOpen;
  }

  /** Messages of devices arrive; `settled` hears what became of them, unless the process dies first. */
  deliver(items: readonly RawMessage[], settled: (acked: boolean) => void): void {
    const tell = async (acked: boolean): Promise<void> => {
      if (!this.#dead) settled(acked);
    };
    this.#broker.push({ items, ack: async () => tell(true), nack: async () => tell(false) });
  }

  crashAfter(operations: number, onCrash: () => void): void {
    this.#view.crashAfter(operations, onCrash);
  }

  /** It dies, and nothing that it still does reaches anything. */
  kill(): void {
    this.#dead = true;
    this.#view.fence();
    // What waits for the disk waits for ever; the rest ends.
    void this.#pipeline?.stop();
  }

  /** No more ticks, so that nothing new is made. */
  end(): void {
    this.#isEnding = true;
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    await this.#pipeline?.stop();
    this.#dead = true;
  }

  /**
   * How far each lane is behind what the processor has; empty if it is not.
   *
   * @param wasTwo the processor may have heard the other gateway of this name last, and then says nothing of this one.
   */
  waitsFor(wasTwo: boolean): readonly string[] {
    if (this.#pipeline === undefined || !this.isUp) return [`${this.#name} does not run`];
    const { lanes } = this.#pipeline.view();
    const behind = LANES.filter((lane) => {
      const { epoch, lastNumber, floor, uncommittedBytes, recordsWaiting } = lanes[lane];
      if (wasTwo && uncommittedBytes + recordsWaiting === 0) return false;
      return floor === null || floor.epoch !== epoch || floor.floor < lastNumber;
    });
    return behind.map((lane) => `${this.#name} ${lane}: ${JSON.stringify(lanes[lane])}`);
  }
}
