import { epochMs, type GatewayName } from '@floorwatch/contracts';
import { loadConfig } from '@floorwatch/runtime';

import { agentConfigSchema } from '../config.ts';
import { type EngineConfig, engineConfigSchema } from '../sensor-engine-config.ts';
import { type EngineOutput, type EpisodeEvent, SensorEngine } from '../sensor-engine.ts';
import { type RecordingCounts, readRecording } from './read-recording.ts';
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

/** What came of one recording. */
export interface BacktestReport extends RecordingCounts {
  readonly file: string;
  readonly sensors: readonly SensorReport[];
}

/**
 * Runs the engine over recordings, each by itself, by the code and with the configuration that an agent would run.
 *
 * @param progress hears now and then how many readings of the file have been judged.
 */
export async function backtest(
  files: readonly string[],
  { config, compare }: BacktestOptions,
  progress: (file: string, readings: number) => void,
): Promise<BacktestReport[]> {
  const own = await readEngineConfig(config);
  const other = compare === undefined ? undefined : await readEngineConfig(compare);
  const reports: BacktestReport[] = [];
  for (const file of files) {
    const counts: RecordingCounts = { readings: 0, skipped: 0 };
    const sensors = new SensorReports();
    const runs = [new Run(own), ...(other === undefined ? [] : [new Run(other)])];
    for await (const reading of readRecording(file, counts)) {
      sensors.count(reading);
      for (const run of runs) run.engine.accept(reading, run);
      if (counts.readings % PROGRESS_READINGS === 0) progress(file, counts.readings);
    }
    const [found, compared] = runs.map((run) => run.end());
    reports.push({ file, ...counts, sensors: sensors.reports(found ?? [], compared) });
  }
  return reports;
}

/** One engine and the newest word of every episode that it found. */
class Run {
  readonly engine: SensorEngine;
  readonly #episodes = new Map<string, EpisodeEvent>();

  constructor(config: EngineConfig) {
    this.engine = new SensorEngine(config, UNNAMED);
    this.engine.advance({ now: END_OF_TIME, synchronised: false, sinceStartMs: 0 }, this);
  }

  emit(output: EngineOutput): void {
    if (output.kind === 'episode') this.#episodes.set(output.episode.id, output.episode);
  }

  end(): EpisodeEvent[] {
    this.engine.close(this);
    return [...this.#episodes.values()];
  }
}

async function readEngineConfig(file: string | undefined): Promise<EngineConfig> {
  if (file === undefined) return engineConfigSchema.parse({});
  const { engine } = await loadConfig(file, agentConfigSchema);
  return engine;
}
