import { setMaxListeners } from 'node:events';

import { type Delivery, epochMs, LANES, type Lane } from '@floorwatch/contracts';
import { Condition } from '@floorwatch/runtime';

import { type AgentConfig, agentConfigSchema } from '../../../edge-agent/src/config.ts';
import { Intake } from '../../../edge-agent/src/ingest/intake.ts';
import type { RawMessage } from '../../../edge-agent/src/ingest/raw-message.ts';
import { InputLoop } from '../../../edge-agent/src/input-loop.ts';
import { ItemProcessor } from '../../../edge-agent/src/item-processor.ts';
import { Journal } from '../../../edge-agent/src/journal/journal.ts';
import { ProcessingQueue } from '../../../edge-agent/src/processing-queue.ts';
import { RecordWriter } from '../../../edge-agent/src/record-writer.ts';
import { Recovery } from '../../../edge-agent/src/recovery.ts';
import { Refusals } from '../../../edge-agent/src/refusals.ts';
import { restore } from '../../../edge-agent/src/restore.ts';
import { SnapshotFile } from '../../../edge-agent/src/snapshot/snapshot-file.ts';
import { Snapshots } from '../../../edge-agent/src/snapshots.ts';
import { DiskLaneSpool } from '../../../edge-agent/src/spool/disk-lane-spool.ts';
import type { Storage } from '../../../edge-agent/src/storage.ts';
import { FloorListener } from '../../../edge-agent/src/uplink/floor-listener.ts';
import { SpoolSender } from '../../../edge-agent/src/uplink/spool-sender.ts';
import type { DiskView, SimDisk } from './sim-disk.ts';
import type { StreamModel } from './stream-model.ts';
import { never, type World } from './world.ts';

const KIB = 1024;
const DIRECTORY = '/data';
/** What lies above it opens an episode. */
export const LIMIT = 1_000;
/** Messages of one delivery. */
export const IN_FLIGHT = 16;

/** Only the rules that a simulation needs: those that learn cost time and find nothing in whole numbers. */
const ENGINE = {
  limits: { closeAfterReadings: 2, rules: [{ device: '*', metric: '*', high: LIMIT }] },
  zScore: { watch: 'never' },
  adaptive: { enabled: false },
  stuck: { enabled: false },
  silent: { enabled: false },
  noise: { enabled: false },
  clock: { enabled: false },
  watermark: { outOfOrderMs: 5_000, idleMs: 20_000 },
} as const;

/** One life of an agent's process: the real parts from the intake to the senders, on a simulated disk and a simulated link. */
export class GatewayLife {
  readonly #world: World;
  readonly #name: string;
  readonly #view: DiskView;
  readonly #stop = new AbortController();
  readonly #sinks = new AbortController();
  readonly #fed = new Condition();
  readonly #feed: Delivery<RawMessage>[] = [];
  readonly #stream: StreamModel;
  readonly #clock: () => number;
  #ended = false;
  #dead = false;
  #since = 0;
  #running: Promise<unknown> = Promise.resolve();
  #parts: Awaited<ReturnType<GatewayLife['assemble']>> | undefined;
  /** Set while it takes readings. */
  isUp = false;

  constructor(options: {
    readonly world: World;
    readonly name: string;
    readonly disk: SimDisk;
    readonly stream: StreamModel;
    /** The gateway's clock. */
    readonly clock: () => number;
  }) {
    this.#world = options.world;
    this.#name = options.name;
    this.#view = options.disk.mount();
    this.#stream = options.stream;
    this.#clock = options.clock;
    setMaxListeners(0, this.#stop.signal, this.#sinks.signal);
  }

  /** Opens everything, replays, begins an epoch and works until it is killed. */
  start(): void {
    void this.#live().catch((error: unknown) => {
      if (!this.#dead) this.#world.fail(`${this.#name} died: ${error instanceof Error ? error.stack : String(error)}`);
    });
  }

  async #live(): Promise<void> {
    this.#since = this.#world.time.now;
    const parts = await this.assemble();
    const { recovery, queue, input, senders } = parts;
    const { signal } = this.#stop;
    const hear = (subject: string, data: Uint8Array): void => {
      if (!this.#dead && subject.endsWith(`.${this.#name}`)) parts.floors.hear(data);
    };
    this.#stream.listeners.add(hear);
    // Before the lanes are written to: one that is full gets room only from what is sent.
    const sending = LANES.map(async (lane) => senders[lane].run(this.#sinks.signal));
    await recovery.replay(signal);
    await recovery.begin(epochMs(this.#clock()), 'synchronised', signal);
    if (!this.#dead) {
      this.#parts = parts;
      this.isUp = true;
      this.#running = Promise.all([queue.run(signal), input.run(this.#deliveries(), signal), ...sending]);
      await this.#running;
    }
    this.#stream.listeners.delete(hear);
  }

  /** As `assembleAgent` does, without a broker, NATS, quarantine and files of this machine. */
  async assemble() {
    const world = this.#world;
    const logger = world.logger(this.#name);
    const config: AgentConfig = agentConfigSchema.parse({
      site: 'plant',
      gateway: this.#name,
      broker: { port: 0 },
      nats: { servers: ['nats://127.0.0.1:9'] },
      http: { port: 0 },
      engine: ENGINE,
      readings: { futureMsMax: 86_400_000 },
      storage: { dataDir: DIRECTORY, snapshotMs: world.pick([1_000, 5_000, 20_000]), trimGraceMs: 0 },
    });
    const open = async (lane: Lane): Promise<DiskLaneSpool> => {
      const { spool } = await DiskLaneSpool.open({
        lane,
        directory: `${DIRECTORY}/${lane}`,
        durability: 'power',
        bytesMax: lane === 'telemetry' && world.faults.has('small-disk') ? 64 * KIB : 1024 * KIB,
        segmentBytesMax: 16 * KIB,
        whenFull: lane === 'telemetry' ? 'drop-unsent' : 'refuse',
        fileSystem: this.#view,
      });
      return spool;
    };
    const lanes = { telemetry: await open('telemetry'), anomaly: await open('anomaly') };
    const journal = await Journal.open({
      directory: `${DIRECTORY}/journal`,
      durability: 'power',
      bytesMax: 1024 * KIB,
      segmentBytesMax: 16 * KIB,
      commitDelayMs: 5,
      fileSystem: this.#view,
    });
    const snapshotFile = new SnapshotFile(DIRECTORY, this.#view);
    const quarantine = {
      has: () => false,
      append: async () => world.fail(`${this.#name} put readings in quarantine`),
      probe: async () => undefined,
    };
    const intake = new Intake({ ...config, valueAbsMax: 1e100 }, quarantine);
    const writer = await RecordWriter.open(lanes);
    const storage = { journal, lanes, snapshots: snapshotFile } as unknown as Storage;
    const restored = await restore(config, { storage, writer, intake, logger });
    const { engine, header, outputHash } = restored;
    const refusals = new Refusals(logger);
    const facts = { version: 'simulated', configHash: '00000000', counters: {} };
    const processor = new ItemProcessor(engine, writer, restored.upgrade, () => facts);
    processor.restore(restored.sections, header?.position ?? 0);
    const recovery = new Recovery({ storage, intake, processor, writer, restored, refusals, logger });
    const keepFrom = (of: (lane: Lane) => number): void => {
      for (const lane of LANES) lanes[lane].keepFrom = of(lane);
    };
    keepFrom((lane) => header?.lanes[lane] ?? 1);
    const snapshots = new Snapshots(
      {
        file: snapshotFile,
        prepare: () => engine.prepareSnapshot(),
        capture: () => ({
          header: {
            site: config.site,
            gateway: config.gateway,
            position: processor.position,
            ordinal: recovery.ordinal,
            outputHash,
            lanes: { anomaly: lanes.anomaly.next, telemetry: lanes.telemetry.next },
            at: Date.now(),
          },
          sections: [...engine.snapshot(), ...intake.snapshot(), writer.told.snapshot(), processor.snapshot()],
        }),
        readings: () => processor.readings,
        isPressing: () => false,
        covered: async (before) => {
          keepFrom((lane) => before.lanes[lane]);
          await journal.trim(before.position + 1);
        },
        failed: () => keepFrom(() => Infinity),
        logger,
      },
      config.storage,
      header === undefined ? undefined : { header, bytes: restored.bytes },
    );
    const queue = new ProcessingQueue(processor, writer, refusals, () => snapshots.betweenSteps());
    const clock = { quality: 'synchronised' } as const;
    const now = (): ReturnType<typeof epochMs> => epochMs(this.#clock());
    const inputClock = {
      ...clock,
      get now() {
        return now();
      },
    };
    const input = new InputLoop({ intake, journal, quarantine, queue, refusals, clock: inputClock });
    const sender = (lane: Lane): SpoolSender =>
      new SpoolSender({ site: config.site, gateway: config.gateway, trimGraceMs: 0 }, lanes[lane], this.#link, logger);
    const senders = { anomaly: sender('anomaly'), telemetry: sender('telemetry') };
    const floors = new FloorListener(config, logger, (message) => {
      for (const lane of LANES) senders[lane].hearFloor(message);
    });
    return { lanes, intake, recovery, snapshots, queue, input, senders, floors, journal };
  }

  get #link(): ConstructorParameters<typeof SpoolSender>[2] {
    const stream = this.#stream;
    const world = this.#world;
    return {
      get isConnected() {
        return !stream.down;
      },
      batchBytesMax: 8 * KIB,
      whenConnected: async (signal) => {
        while (stream.down && !signal.aborted) await world.time.sleep(500);
      },
      publish: async (subject, bytes) => {
        if (this.#dead) return never();
        const answer = await stream.publish(subject, bytes);
        return this.#dead ? never() : answer;
      },
    };
  }

  async *#deliveries(): AsyncGenerator<Delivery<RawMessage>> {
    for (;;) {
      await this.#fed.until(() => this.#feed.length > 0 || this.#ended, this.#stop.signal);
      const next = this.#feed.shift();
      if (next === undefined) return;
      yield next;
    }
  }

  /** Messages of devices arrive; `settled` hears what became of them, unless the process dies first. */
  deliver(items: readonly RawMessage[], settled: (acked: boolean) => void): void {
    const tell = async (acked: boolean): Promise<void> => {
      if (!this.#dead) settled(acked);
    };
    this.#feed.push({ items, ack: async () => tell(true), nack: async () => tell(false) });
    this.#fed.notify();
  }

  tick(): void {
    const now = epochMs(this.#clock());
    const sinceStartMs = Math.round(this.#world.time.now - this.#since);
    this.#parts?.input.tick({ now, quality: 'synchronised', sinceStartMs });
  }

  crashAfter(operations: number, onCrash: () => void): void {
    this.#view.crashAfter(operations, onCrash);
  }

  /** It dies, and nothing that it still does reaches anything. */
  kill(): void {
    this.#dead = true;
    this.isUp = false;
    this.#view.fence();
    this.#stop.abort();
    this.#sinks.abort();
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined) return;
    this.isUp = false;
    this.#ended = true;
    this.#fed.notify();
    const { input, queue, snapshots, lanes, journal } = parts;
    await input.settled();
    queue.end();
    this.#sinks.abort();
    await this.#running;
    await snapshots.takeLast();
    for (const part of [journal, lanes.telemetry, lanes.anomaly]) await part.close();
    this.#dead = true;
  }

  /**
   * How far each lane is behind what the processor has; empty if it is not.
   *
   * @param wasTwo the processor may have heard the other gateway of this name last, and then says nothing of this one.
   */
  waitsFor(wasTwo: boolean): readonly string[] {
    const parts = this.#parts;
    if (parts === undefined || !this.isUp) return [`${this.#name} does not run`];
    const { lanes, senders, queue } = parts;
    const behind = LANES.filter((lane) => {
      const { floor, uncommittedBytes, recordsUnsent } = senders[lane].state();
      if (wasTwo && uncommittedBytes + recordsUnsent === 0) return false;
      return floor === null || floor.epoch !== lanes[lane].epoch || floor.floor < lanes[lane].lastNumber;
    });
    return [
      ...behind.map((lane) => {
        const { epoch, lastNumber } = lanes[lane];
        return `${this.#name} ${lane}: ${epoch} to ${lastNumber}, ${JSON.stringify(senders[lane].state())}`;
      }),
      ...(queue.length > 0 ? [`${this.#name}: ${queue.length} items to be processed`] : []),
    ];
  }
}
