import { epochMs, hours } from '@floorwatch/contracts';
import type { LoopbackServer, NatsServerOptions } from '@floorwatch/servers';

import type { Resources } from '../../support/index.ts';
import { AgentProcess, type AgentOverrides } from './agent-process.ts';
import type { ChaosStore } from './chaos-store.ts';
import { Ledger } from './ledger.ts';
import { Load } from './load.ts';
import { ProcessorProcess } from './processor-process.ts';
import { Series, type SeriesForm } from './series.ts';
import { StreamOracle } from './stream-oracle.ts';
import { createIngestStream, StreamReader } from './stream-reader.ts';
import { ENGINE, IGNORED_SENSORS } from './verdict.ts';

export interface ChaosFloorOptions {
  readonly seed: number;
  readonly sensors: number;
  readonly readingsPerSecond: number;
  /** Event time between two readings of a sensor. Default: 1 s. */
  readonly stepMs?: number;
  /** How long ago event time begins, in hours; all that is sent must fit in between. Default: 36. */
  readonly backHours?: number;
  /** Every so many readings of a sensor a fault begins. Default: 80. */
  readonly faultEvery?: number;
  /** Laid over the agent's configuration. */
  readonly agent?: AgentOverrides;
  /** Where the agent keeps its data. Default: a folder of its own. */
  readonly dataDir?: string;
  /** An external broker, which devices and the agent connect to. Default: the agent's own. */
  readonly brokerPort?: number;
  /** How long the processor keeps windows open, in seconds; without it there is none, and the stream is made by hand. */
  readonly processorLatenessSeconds?: number;
  /** Laid over that processor's configuration. */
  readonly processor?: Readonly<Record<string, unknown>>;
  /** What it writes to. Default: a DuckDB file. */
  readonly store?: ChaosStore;
  /** Devices that report much of what they measure minutes later. Default: 0. */
  readonly lateDevices?: number;
  /** Where the NATS server runs and keeps its data. Default: any, in a folder of its own. */
  readonly nats?: Partial<NatsServerOptions>;
  readonly dropsPerSecond?: number;
  /** What tells the readings of a sensor apart. Default: everything. */
  readonly form?: SeriesForm;
  /** `device/metric` of sensors that others send, which no judge of the stream looks at. */
  readonly ignoredSensors?: readonly string[];
}

/** What a gateway does every minute or so happens here within the second or two of a life, so that it is hit as well. */
const OFTEN = { snapshotMs: 1_000, snapshotReadings: 1_000, trimGraceMs: 2_000 } as const;

/** A gateway, what sends to it, and what it sends to, each a process of its own; none has sent anything yet. */
export class ChaosFloor {
  readonly nats: LoopbackServer;
  readonly agent: AgentProcess;
  readonly processor: ProcessorProcess | undefined;
  readonly ledger: Ledger;
  readonly load: Load;
  readonly reader: StreamReader;

  private constructor(parts: Pick<ChaosFloor, keyof ChaosFloor>) {
    this.nats = parts.nats;
    this.agent = parts.agent;
    this.processor = parts.processor;
    this.ledger = parts.ledger;
    this.load = parts.load;
    this.reader = parts.reader;
  }

  /** The agent does not run yet, and the load has not begun. */
  static async create(resources: Resources, options: ChaosFloorOptions): Promise<ChaosFloor> {
    const { seed, sensors, readingsPerSecond, stepMs = 1_000, dropsPerSecond = 0, backHours = 36 } = options;
    const { dataDir, brokerPort } = options;
    const nats = await resources.nats(options.nats);
    const { processorLatenessSeconds: latenessSeconds, store, processor: config } = options;
    const processor =
      latenessSeconds === undefined
        ? undefined
        : await ProcessorProcess.start(resources, nats.url, {
            latenessSeconds,
            ...(store === undefined ? {} : { store }),
            ...(config === undefined ? {} : { config }),
          });
    if (processor === undefined) await createIngestStream(nats.url);
    const latenessMs = latenessSeconds === undefined ? Infinity : 1_000 * latenessSeconds;
    const reader = await StreamReader.connect(
      nats.url,
      new StreamOracle([...IGNORED_SENSORS, ...(options.ignoredSensors ?? [])], latenessMs),
    );
    resources.defer(async () => reader.close());
    const agent = await AgentProcess.create(resources, nats.url, {
      config: { ...options.agent, engine: ENGINE, storage: { ...OFTEN, ...options.agent?.storage } },
      ...(dataDir === undefined ? {} : { dataDir }),
      ...(brokerPort === undefined ? {} : { brokerPort }),
    });
    const { faultEvery, lateDevices, form = 'full' } = options;
    const from = epochMs(Date.now() - hours(backHours));
    const ledger = new Ledger(
      new Series({
        seed,
        sensors,
        from,
        stepMs,
        form,
        ...(faultEvery === undefined ? {} : { faultEvery }),
        ...(lateDevices === undefined ? {} : { lateDevices }),
      }),
    );
    const load = new Load(ledger, { port: agent.mqttPort, readingsPerSecond, seed, dropsPerSecond });
    resources.defer(() => load.close());
    return new ChaosFloor({ nats, agent, processor, ledger, load, reader });
  }
}
