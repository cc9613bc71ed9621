import { LANES, type Lane, type Source } from '@floorwatch/contracts';
import type { Logger } from '@floorwatch/runtime';

import { statusFacts } from './agent-views.ts';
import type { AgentConfig } from './config.ts';
import { GatewayClock } from './gateway-clock.ts';
import type { BrokerState } from './ingest/broker-state.ts';
import { Intake } from './ingest/intake.ts';
import type { RawMessage } from './ingest/raw-message.ts';
import { inFlightMax } from './ingest/readings-config.ts';
import { overlapsOf } from './ingest/topic-template.ts';
import { InputLoop } from './input-loop.ts';
import { ItemProcessor } from './item-processor.ts';
import { limits } from './limits.ts';
import { ProcessingQueue } from './processing-queue.ts';
import { RecordWriter } from './record-writer.ts';
import { Recovery } from './recovery.ts';
import { Refusals } from './refusals.ts';
import { restore, type Restored } from './restore.ts';
import type { SensorEngine } from './sensor-engine.ts';
import { Snapshots } from './snapshots.ts';
import { CommitTimes } from './status/commit-times.ts';
import { type DiskSurroundings, journalSegmentBytes, openStorage, type Storage } from './storage.ts';
import { statsLimits } from './stats/limits.ts';
import { FloorListener } from './uplink/floor-listener.ts';
import { NatsLink } from './uplink/nats-link.ts';
import { SpoolSender } from './uplink/spool-sender.ts';

export type Broker = Source<RawMessage> & {
  state(): BrokerState;
  /** Hands a message on as if it had arrived; resolves when it is safe. */
  submit(message: RawMessage): Promise<void>;
};

/** What an agent finds outside of its process. Whatever is not named is what the configuration and this machine say. */
export interface Surroundings extends DiskSurroundings {
  readonly clock?: Offered<GatewayClock>;
  readonly broker?: Broker;
  readonly link?: Offered<NatsLink>;
}

/** What a class offers, without what is its own business. */
type Offered<T> = Pick<T, keyof T>;

/** Everything that an agent consists of, ready to be started. */
export interface AgentParts {
  readonly config: AgentConfig;
  readonly logger: Logger;
  readonly clock: Offered<GatewayClock>;
  readonly commitTimes: CommitTimes;
  readonly storage: Storage;
  readonly refusals: Refusals;
  readonly intake: Intake;
  readonly engine: SensorEngine;
  readonly writer: RecordWriter;
  readonly recovery: Recovery;
  readonly queue: ProcessingQueue;
  readonly input: InputLoop;
  readonly snapshots: Snapshots;
  readonly broker: Broker;
  readonly link: Offered<NatsLink>;
  readonly floors: FloorListener;
  readonly senders: Readonly<Record<Lane, SpoolSender>>;
}

/**
 * Opens the data folder and puts the parts together, with the state of the last snapshot.
 *
 * @throws StartError if the folder is in use or can't be used.
 */
export async function assembleAgent(
  config: AgentConfig,
  logger: Logger,
  surroundings: Surroundings = {},
): Promise<AgentParts> {
  const commitTimes = new CommitTimes();
  const storage = await openStorage(config, logger, commitTimes, surroundings);
  try {
    const perMessageMax = Math.min(
      config.readings.perMessageMax,
      Math.floor(journalSegmentBytes(config.storage.journalBytesMax) / limits.journaledReadingBytesMax),
    );
    const duplicatesShared = config.broker.kind === 'external' ? limits.duplicatesShared : 0;
    const readings = { ...config.readings, perMessageMax, duplicatesShared };
    const intake = new Intake({ ...config, readings, valueAbsMax: statsLimits.valueAbsMax }, storage.quarantine);
    const writer = await RecordWriter.open(storage.lanes);
    const restored = await restore(config, { storage, writer, intake, logger });
    const broker = surroundings.broker ?? (await createBroker(config, intake.filters, logger));
    const { site, gateway } = config;
    const link = surroundings.link ?? new NatsLink(config.nats, { site, gateway }, logger);
    const clock = surroundings.clock ?? new GatewayClock();
    return assemble({ config, logger, commitTimes, storage, intake, writer, broker, link, clock }, restored);
  } catch (error) {
    await storage.close();
    throw error;
  }
}

function assemble(
  opened: Pick<
    AgentParts,
    'config' | 'logger' | 'commitTimes' | 'storage' | 'intake' | 'writer' | 'broker' | 'link' | 'clock'
  >,
  restored: Restored,
): AgentParts {
  const { config, logger, storage, intake, writer, link, clock } = opened;
  const { engine } = restored;
  const { journal, quarantine } = storage;
  const refusals = new Refusals(logger);
  const processor = new ItemProcessor(engine, writer, restored.upgrade, () => statusFacts(parts));
  processor.restore(restored.sections, restored.header?.position ?? 0);
  const recovery = new Recovery({ storage, intake, processor, writer, restored, refusals, logger });
  const snapshots = createSnapshots(opened, restored, processor, () => recovery.ordinal);
  const queue = new ProcessingQueue(processor, writer, refusals, () => snapshots.betweenSteps());
  const { site, gateway } = config;
  const { trimGraceMs } = config.storage;
  const sender = (lane: Lane): SpoolSender =>
    new SpoolSender({ site, gateway, trimGraceMs }, storage.lanes[lane], link, logger);
  const senders = { anomaly: sender('anomaly'), telemetry: sender('telemetry') };
  const floors = new FloorListener(config, logger, (message, isOutdated) => {
    for (const lane of LANES) senders[lane].hearFloor(message, isOutdated);
  });
  const input = new InputLoop({ intake, journal, quarantine, queue, refusals, clock });
  const parts = {
    ...opened,
    refusals,
    engine,
    recovery,
    queue,
    input,
    snapshots,
    floors,
    senders,
  };
  return parts;
}

function createSnapshots(
  { config, storage, intake, writer, logger }: Pick<AgentParts, 'config' | 'storage' | 'intake' | 'writer' | 'logger'>,
  { engine, outputHash, header, bytes }: Restored,
  processor: ItemProcessor,
  ordinal: () => number,
): Snapshots {
  const { site, gateway } = config;
  const { journal, lanes } = storage;
  const keepFrom = (of: (lane: Lane) => number): void => {
    for (const lane of LANES) lanes[lane].keepFrom = of(lane);
  };
  keepFrom((lane) => header?.lanes[lane] ?? 1);
  return new Snapshots(
    {
      file: storage.snapshots,
      capture: () => {
        const parts = [engine.capture(), intake.capture()];
        const now = {
          site,
          gateway,
          position: processor.position,
          ordinal: ordinal(),
          outputHash,
          lanes: { anomaly: lanes.anomaly.next, telemetry: lanes.telemetry.next },
          at: Date.now(),
        };
        const others = [writer.told.snapshot(), processor.snapshot()];
        const sections = [...parts.flatMap((part) => part.sections), ...others];
        return { header: now, sections, release: () => parts.forEach(({ release }) => release()) };
      },
      readings: () => processor.readings,
      isPressing: () => journal.bytes > config.storage.journalBytesMax / 2,
      covered: async (before) => {
        keepFrom((lane) => before.lanes[lane]);
        await journal.trim(before.position + 1);
      },
      // A disk that is full must get room.
      failed: () => keepFrom(() => Infinity),
      logger,
    },
    config.storage,
    header === undefined ? undefined : { header, bytes },
  );
}

/** What a configuration does not need is not loaded: each of the two brings a library of several megabytes. */
async function createBroker(config: AgentConfig, filters: readonly string[], logger: Logger): Promise<Broker> {
  const { site, gateway } = config;
  const broker = { ...config.broker, inFlightMax: inFlightMax(config.readings) };
  if (broker.kind === 'embedded') {
    const { EmbeddedBroker } = await import('./ingest/embedded-broker.ts');
    return new EmbeddedBroker({ ...broker, commitMs: config.storage.commitMs }, logger);
  }
  for (const [one, other] of overlapsOf(filters)) {
    logger.warn(
      { topics: [one, other] },
      'templates overlap: some brokers hand over twice what fits both; readings without time and sequence number then count twice',
    );
  }
  const { ExternalBroker } = await import('./ingest/external-broker.ts');
  return new ExternalBroker({ clientId: `floorwatch-${site}-${gateway}`, ...broker }, filters, logger);
}
