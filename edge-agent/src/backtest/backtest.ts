import { stat } from 'node:fs/promises';

import { type EpochMs, epochMs, type GatewayName } from '@floorwatch/contracts';
import { loadConfig, StartError } from '@floorwatch/runtime';

import { type AgentConfig, agentConfigSchema } from '../config.ts';
import { unitsConfigSchema } from '../ingest/units-config.ts';
import { type EngineConfig, engineConfigSchema, forRecordings } from '../sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../sensor-engine.ts';
import { StateError } from '../state-section.ts';
import type { BacktestInput, BacktestItem, RecordingCounts } from './backtest-input.ts';
import { openJournal } from './read-journal.ts';
import { openRecording } from './read-recording.ts';
import { type SensorReport, SensorReports } from './sensor-report.ts';

/** A clock behind which every recording lies, so that event time alone moves the watermark. */
const END_OF_TIME = epochMs(8_640_000_000_000_000);
/** Readings between two signs of life. */
const PROGRESS_READINGS = 100_000;
const UNNAMED: GatewayName = { site: 'backtest', gateway: 'backtest' };

/** What a person gives `floorwatch-agent backtest`. */
export interface BacktestOptions {
  readonly config?: string;
  readonly compare?: string;
  readonly json?: boolean;
}

/** What came of one recording or journal. */
export interface BacktestReport extends RecordingCounts {
  readonly file: string;
  /** When the state was saved that the sensors were judged from on; null: from nothing, as by a new agent. */
  readonly stateFrom: EpochMs | null;
  /** Readings that were older than their sensor's newest, and so neither judged nor learned from. */
  readonly outOfOrder: number;
  readonly sensors: readonly SensorReport[];
}

/**
 * Runs the engine over recordings and journals, each by itself, by the code and with the configuration that an agent would run.
 *
 * @param files recordings (see `readRecording`), or data folders of agents (see `openJournal`).
 * @param progress hears now and then how many readings of the file have been judged.
 * @throws StartError if one of them can't be read.
 */
export async function backtest(
  files: readonly string[],
  { config, compare }: BacktestOptions,
  progress: (file: string, readings: number) => void,
): Promise<BacktestReport[]> {
  const { engine: own, units } = await readConfig(config);
  const other = compare === undefined ? undefined : (await readConfig(compare)).engine;
  const reports: BacktestReport[] = [];
  for (const file of files) {
    const input = (await isFolder(file)) ? await openJournal(file) : openRecording(file, units);
    const counts: RecordingCounts = { readings: 0, skipped: 0 };
    const sensors = new SensorReports();
    const runs = [own, ...(other === undefined ? [] : [other])].map((each) => begin(file, each, input));
    for await (const item of input.items(counts)) {
      for (const run of runs) run.accept(item);
      if (item.kind !== 'reading') continue;
      sensors.count(item.reading);
      if (counts.readings % PROGRESS_READINGS === 0) progress(file, counts.readings);
    }
    const outOfOrder = runs[0]?.outOfOrder ?? 0;
    const [found, compared] = runs.map((run) => run.end());
    const stateFrom = input.state?.at ?? null;
    reports.push({ file, ...counts, stateFrom, outOfOrder, sensors: sensors.reports(found ?? [], compared) });
  }
  return reports;
}

const isFolder = async (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isDirectory(),
    // Whoever opens it says what is wrong with it.
    () => false,
  );

function begin(file: string, config: EngineConfig, input: BacktestInput): Run {
  try {
    return new Run(config, input);
  } catch (error) {
    if (!(error instanceof StateError || error instanceof TypeError)) throw error;
    throw new StartError('usage', `${file}: its saved state can't be used: ${error.message}`, { cause: error });
  }
}

/** One engine and the newest word of every episode that it found. */
class Run {
  readonly #engine: SensorEngine;
  readonly #episodes = new Map<string, EpisodeEvent>();
  readonly #outOfOrderBefore: number;

  constructor(config: EngineConfig, { state, hasClock }: BacktestInput) {
    this.#engine = new SensorEngine(hasClock ? config : forRecordings(config), UNNAMED);
    // What was open then was found before, and is no finding of this run.
    if (state !== undefined) this.#engine.restore(state.sections, 'closed');
    this.#outOfOrderBefore = this.#engine.outOfOrder;
    if (!hasClock) this.#engine.advance({ now: END_OF_TIME, synchronised: false, sinceStartMs: 0 }, this);
  }

  get outOfOrder(): number {
    return this.#engine.outOfOrder - this.#outOfOrderBefore;
  }

  accept(item: BacktestItem): void {
    switch (item.kind) {
      case 'reading':
        this.#engine.accept(item.reading, this, false, item.arrival);
        break;
      case 'arrival':
        this.#engine.hear(item.sensor, item.receivedAt, this);
        break;
      case 'tick':
        this.#engine.advance({ ...item.tick, synchronised: item.tick.quality !== 'unsynchronised' }, this);
        break;
      case 'start':
        this.#engine.start(item.at);
        break;
    }
  }

  emit(output: EngineOutput): void {
    if (output.kind === 'episode') this.#episodes.set(output.episode.id, output.episode);
    // The counts of a journal have a name, and are kept until somebody takes them.
    if (output.kind === 'tick') output.counts?.take();
  }

  end(): EpisodeEvent[] {
    this.#engine.close(this);
    return [...this.#episodes.values()];
  }
}

/** What decides about recordings; of the units of a journal the agent has decided when it took them in. */
async function readConfig(file: string | undefined): Promise<Pick<AgentConfig, 'engine' | 'units'>> {
  if (file !== undefined) return loadConfig(file, agentConfigSchema);
  return { engine: engineConfigSchema.parse({}), units: unitsConfigSchema.parse({}) };
}
