import { setMaxListeners } from 'node:events';

import { type Batch, days, durationMs, epochMs, seconds } from '@floorwatch/contracts';

import {
  type CheckpointState,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../../cloud-processor/src/checkpoint/format.ts';
import type { LoadedCheckpoint } from '../../../cloud-processor/src/checkpoint/checkpoint-file.ts';
import { PartitionReader } from '../../../cloud-processor/src/consume/partition-reader.ts';
import type { DeadLetters } from '../../../cloud-processor/src/dead-letters/dead-letters.ts';
import { FloorPublisher } from '../../../cloud-processor/src/floors/floor-publisher.ts';
import type { Sequencer } from '../../../cloud-processor/src/sequence/sequencer.ts';
import { assemblePartition, writeOut } from '../../../cloud-processor/src/partition-parts.ts';
import type { PartitionRunner } from '../../../cloud-processor/src/partition-runner.ts';
import type { Partition } from '../../../cloud-processor/src/partition.ts';
import type { WindowConfig } from '../../../cloud-processor/src/window/window-config.ts';
import type { Store } from '../../../cloud-processor/src/write/store.ts';
import { deaf, heldRight, windowConfig } from '../../../cloud-processor/test/support/floor.ts';
import type { StoreModel } from './store-model.ts';
import { type BeforeClaim, Recovery } from '../../../cloud-processor/src/recovery/recovery.ts';
import { Reprocessor } from '../../../cloud-processor/src/reprocess/reprocessor.ts';
import { gapsIn, type StreamModel } from './stream-model.ts';
import { BASE } from './virtual-time.ts';
import { never, type World } from './world.ts';

export const WINDOWS: WindowConfig = windowConfig({
  sizes: [seconds(20), seconds(60)],
  allowedLateness: seconds(5),
  // So few that the oldest are often sealed early.
  openWindowsMax: 6,
});
/** Checkpoints far apart with floors close together show what a floor must not tell, and the other way round what must wait. */
const CHECKPOINT_MS = [2_000, 5_000, 15_000] as const;
const FLOOR_MS = [2_000, 8_000].map(durationMs);
const DRAIN_MS = 2_500;
const DAY_MS = 86_400_000;

/** The two checkpoints of a partition on the processor's disk, as `CheckpointFile` keeps them. */
class CheckpointDisk {
  newest: string | undefined;
  previous: string | undefined;

  /** A bit flips in the newest one, or it was half written and said to be synced. */
  damage(): boolean {
    if (this.previous === undefined || this.newest === undefined) return false;
    this.newest = 'damaged';
    return true;
  }

  load(): LoadedCheckpoint {
    if (this.newest === 'damaged') {
      this.newest = undefined;
      return { kind: 'fallback', state: decode(this.previous!), problem: 'damaged' };
    }
    const text = this.newest ?? this.previous;
    return text === undefined ? { kind: 'none' } : { kind: 'newest', state: decode(text) };
  }

  put(text: string): void {
    this.previous = this.newest ?? this.previous;
    this.newest = text;
  }
}

const decode = (text: string): CheckpointState => decodeCheckpoint(text.split('\n').slice(0, -1));

/** What the claim on the partition says, as NATS keeps it. */
interface ClaimModel {
  last: BeforeClaim | undefined;
}

/** One life of the processor's process: wired as `Pipeline` does, without connections of its own. */
class ProcessorLife {
  readonly runner: PartitionRunner;
  readonly reprocessor: Reprocessor;
  readonly #world: World;
  readonly #sources = new AbortController();
  readonly #sinks = new AbortController();
  #dead = false;
  #opsLeft = Infinity;
  #crashesAfterSave = false;
  #onCrash: () => void = () => undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(
    world: World,
    disk: CheckpointDisk,
    claim: ClaimModel,
    stream: StreamModel,
    storeModel: StoreModel,
    name: string,
  ) {
    this.#world = world;
    setMaxListeners(0, this.#sources.signal, this.#sinks.signal);
    const logger = world.logger(name);
    const [checkpointMs, floorMs] = [world.pick(CHECKPOINT_MS), world.pick(FLOOR_MS)];
    const store = storeModel.connect(() => this.#survives()) as Store;
    const deadLetters = {
      addBatch: ({ reason, message }: { reason: string; message: string }) =>
        world.fail(`a batch became a dead letter: ${reason}, ${message}`),
      addRows: async () => world.fail('rows became dead letters'),
      flush: async () => undefined,
      hasRoom: true,
    } as unknown as DeadLetters;
    const save = async (state: CheckpointState): Promise<number> => {
      const text = [...encodeCheckpoint(state, 'simulated')].join('');
      await world.time.sleep(world.int(1, world.strikes('slow-disk', 0.2) ? 2_000 : 20));
      if (!this.#survives()) return never();
      disk.put(text);
      const { series, ordinal } = state;
      claim.last = { checkpoint: { series, ordinal }, run: this.runner.partition.sequence.highestRun };
      if (this.#crashesAfterSave) this.#opsLeft = Math.min(this.#opsLeft, world.int(1, 25));
      return this.#survives() ? text.length : never();
    };
    const lane = assemblePartition({
      number: 0,
      windows: WINDOWS,
      streamAgeMax: days(7),
      file: { path: 'checkpoint', save },
      loaded: disk.load(),
      store,
      deadLetters,
      observer: deaf,
      logger,
      right: heldRight,
    });
    this.runner = lane.runner;
    this.reprocessor = new Reprocessor({
      lanes: [lane],
      store,
      stream: () => (this.#dead || stream.down ? undefined : stream.pass),
      logger,
    });
    const reader = new PartitionReader({
      client: stream.client,
      manager: stream.manager,
      limits: { bytesMax: 0, ageMax: durationMs(0), replicas: 1 },
      target: this.#watched(name),
      logger,
    });
    lane.reader = reader;
    const floors = new FloorPublisher({
      interval: floorMs,
      partitions: [this.runner.floors],
      connection: () => (this.#dead || stream.down ? undefined : (subject, data) => this.#tell(stream, subject, data)),
      logger,
    });
    const [sources, sinks] = [this.#sources.signal, this.#sinks.signal];
    const recovery = new Recovery({
      store,
      streamAgeMax: days(7),
      storeConnected: async () => undefined,
      logger,
      isOf: () => () => true,
    });
    const begun = recovery.begin(lane, claim.last, sources);
    const work = async (): Promise<void> => {
      await begun;
      if (this.runner.begun) await Promise.all([reader.run(sources), writeOut(lane, sinks)]);
    };
    this.#running = Promise.all([work(), this.#saveRegularly(checkpointMs, sources), floors.run(sources)]).catch(
      (error: unknown) => {
        if (!this.#dead) world.fail(`the processor died: ${String(error)}`);
      },
    );
  }

  /** The reader's target, each of whose messages is a moment at which the process may die. */
  #watched(name: string): PartitionRunner['target'] {
    const { target, partition } = this.runner;
    const apply: typeof target.apply = (message) => {
      if (!this.#survives()) return;
      const { counts } = partition;
      const before = counts.gaps;
      const lost = lostNumbers(message.data);
      const floor = lost === undefined ? 0 : floorOf(partition, lost);
      target.apply(message);
      if (lost === undefined) return;
      const reached = floorOf(partition, lost);
      const newlyLost = lost.numbers.filter((number) => number > floor && number <= reached).length;
      if (newlyLost > 0) this.#world.note(`${name}: ${newlyLost} numbers are lost, at ${message.seq}`);
      if (counts.gaps !== before + newlyLost) {
        this.#world.fail(`${name} counts ${counts.gaps - before} lost numbers where ${newlyLost} are`);
      }
    };
    return {
      number: target.number,
      get cursor() {
        return target.cursor;
      },
      moveTo: (cursor) => target.moveTo(cursor),
      hasRoom: () => target.hasRoom(),
      roomAgain: async (signal) => target.roomAgain(signal),
      apply,
    };
  }

  #tell(stream: StreamModel, subject: string, data: Uint8Array): void {
    const world = this.#world;
    const deliver = (): void => stream.listeners.forEach((hear) => hear(subject, data));
    if (world.strikes('lost-messages', 0.2)) return;
    world.time.after(world.int(1, world.strikes('lost-messages', 0.2) ? 20_000 : 20), deliver);
  }

  async #saveRegularly(ms: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#world.time.sleep(ms);
      if (!signal.aborted) await this.runner.checkpoint();
    }
  }

  /** Whether it lives on beyond this moment. */
  #survives(): boolean {
    if (this.#dead) return false;
    if (this.#opsLeft-- > 0) return true;
    this.#onCrash();
    return false;
  }

  /** @param operations undefined: soon after the next checkpoint. */
  crashAfter(operations: number | undefined, onCrash: () => void): void {
    this.#crashesAfterSave = operations === undefined;
    this.#opsLeft = operations ?? Infinity;
    this.#onCrash = onCrash;
  }

  kill(): void {
    this.#dead = true;
    void this.reprocessor.stop();
    this.#sources.abort();
    this.#sinks.abort();
  }

  /** A clean stop, as `Pipeline.run` does it. */
  async stop(): Promise<void> {
    const { time } = this.#world;
    await this.reprocessor.stop();
    this.#sources.abort();
    await time.sleep(50);
    await this.runner.checkpoint();
    const deadline = time.now + DRAIN_MS;
    while (this.runner.partition.outbox.size > 0 && time.now < deadline) await time.sleep(50);
    this.#sinks.abort();
    await this.#running;
    await this.runner.checkpoint(true);
    this.#dead = true;
  }
}

/** The numbers that the gaps of a message name, and whose they are; undefined if it has no gap. */
function lostNumbers(data: Uint8Array): (Batch & { readonly numbers: readonly number[] }) | undefined {
  const gaps = gapsIn(data);
  if (gaps.length === 0) return undefined;
  const numbers = gaps.flatMap(({ number, to }) => Array.from({ length: to - number + 1 }, (_, i) => number + i));
  return { ...(JSON.parse(Buffer.from(data).toString()) as Batch), numbers };
}

/** The last number of an epoch that a partition has applied. */
function floorOf({ sequence }: Partition, { gateway, lane, epoch }: Batch): number {
  const source = (sequence as Sequencer).snapshot().find((one) => one.gateway === gateway && one.lane === lane);
  return source?.epochs.find(([name]) => name === epoch)?.[1] ?? 0;
}

/** The processor's machine: a disk with two checkpoints, and a process now and then. */
export class Processor {
  readonly #world: World;
  readonly #stream: StreamModel;
  readonly #store: StoreModel;
  readonly #disk = new CheckpointDisk();
  readonly #claim: ClaimModel = { last: undefined };
  #life: ProcessorLife | undefined;
  #lives = 0;
  #stopping = false;

  constructor(world: World, stream: StreamModel, store: StoreModel) {
    this.#world = world;
    this.#stream = stream;
    this.#store = store;
  }

  get partition(): Partition | undefined {
    return this.#life?.runner.partition;
  }

  /** Whether it reads: after a start from an earlier checkpoint it looks at the store first. */
  get hasBegun(): boolean {
    return this.#life?.runner.begun === true;
  }

  start(): void {
    const name = `processor ${++this.#lives}`;
    this.#world.note(`${name} starts`);
    this.#stopping = false;
    this.#life = new ProcessorLife(this.#world, this.#disk, this.#claim, this.#stream, this.#store, name);
  }

  /** Dies at one of its next steps, and starts again some time later. */
  crashSoon(damage: boolean): void {
    const world = this.#world;
    // What a damaged checkpoint knew can have left only after it was saved.
    this.#life?.crashAfter(damage ? undefined : world.int(0, 30), () => {
      this.#life?.kill();
      this.#life = undefined;
      const damaged = damage && this.#disk.damage();
      world.note(`the processor is killed${damaged ? ', and its newest checkpoint is damaged' : ''}`);
      world.time.after(world.int(100, 40_000), () => {
        // What the damaged one knew is not heard again before something of it can be sent.
        if (damaged && world.chance(0.5)) this.#stream.goDown(world.int(30_000, 120_000));
        this.start();
      });
    });
  }

  stopSoon(): void {
    const world = this.#world;
    const life = this.#life;
    if (life === undefined || this.#stopping) return;
    this.#stopping = true;
    world.note('the processor is stopped');
    void this.#stop(life);
  }

  async #stop(life: ProcessorLife): Promise<void> {
    const world = this.#world;
    await life.stop();
    if (this.#life !== life) return;
    world.note('the processor has stopped');
    this.#life = undefined;
    world.time.after(world.int(100, 20_000), () => this.start());
  }

  kill(): void {
    this.#life?.kill();
  }

  /** Makes everything again that the stream holds. Returns who does it, if anybody does. */
  reprocess(): Reprocessor | undefined {
    const range = { from: epochMs(BASE - 30 * DAY_MS), to: epochMs(BASE + DAY_MS) };
    const begun = this.#life?.reprocessor.start({ ...range, dryRun: false }) ?? 'not running';
    this.#world.note(`windows are to be made again: ${begun}`);
    return begun === 'started' ? this.reprocessor : undefined;
  }

  /** Of the process that runs. */
  get reprocessor(): Reprocessor | undefined {
    return this.#life?.reprocessor;
  }

  /** Whether windows are being made again. */
  get isReprocessing(): boolean {
    return this.#life?.reprocessor.status?.state === 'running';
  }

  /** Whether it has nothing left to do. */
  get idle(): boolean {
    const partition = this.#stopping || this.isReprocessing ? undefined : this.partition;
    return (
      partition !== undefined &&
      // Gateways go by what it says of the stream.
      partition.cursor.created === this.#stream.created &&
      partition.cursor.position === this.#stream.last &&
      partition.outbox.size === 0 &&
      partition.windows.openWindows === 0 &&
      partition.windows.lateWindows.rollups === 0 &&
      partition.windows.losses().length === 0
    );
  }

  /** What it waits for, in words. */
  get waitsFor(): string {
    const partition = this.partition;
    if (partition === undefined) return 'the processor does not run';
    const { outbox, windows, cursor } = partition;
    return `position ${cursor.position} of ${this.#stream.last} in the stream ${cursor.created} of ${this.#stream.created}, ${outbox.size} rows unsent, ${outbox.unchecked.length} unchecked, ${windows.openWindows} windows open, ${windows.lateWindows.rollups} late rollups, ${windows.losses().length} stretches to mark`;
  }
}
