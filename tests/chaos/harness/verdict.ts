import { isDeepStrictEqual } from 'node:util';

import { type AnomalyRow, INGEST_STREAM, type Reading, sensorKey } from '@floorwatch/contracts';
import { engineConfigSchema } from '@floorwatch/edge-agent';
import { connectAsync } from 'mqtt';
import { expect } from 'vitest';

import { waitFor } from '../../support/index.ts';
import { type AgentProcess, GATEWAY } from './agent-process.ts';
import { compareEpisodes, expectedEpisodes } from './expected-episodes.ts';
import { compareWindows, Ledger, type WindowDifference } from './ledger.ts';
import type { ProcessorProcess } from './processor-process.ts';
import { HIGH } from './series.ts';
import type { EpisodeHistory } from './stream-oracle.ts';
import type { StreamReader } from './stream-reader.ts';

/**
 * How the agent judges in these tests: everything that finds the same whatever the clock says, and a limit that the series' faults break.
 * When a sensor counts as silent depends on the clock.
 */
export const ENGINE = {
  silent: { enabled: false },
  clock: { enabled: false },
  limits: { rules: [{ device: 'machine-*', metric: '*', high: HIGH }] },
} as const;

/** A sensor whose only readings are of now: they move the watermark past all that the series sent. */
const CLOCK_SENSOR = { device: 'clock', metric: 'now' } as const;
/** What an oracle leaves out. */
export const IGNORED_SENSORS = [sensorKey(CLOCK_SENSOR)];

/** How long the agent may take to bring everything into the stream after the load has ended. */
const DRAIN_MS_MAX = 180_000;
/** How long what a processor has must stay the same before what is missing counts as lost. */
const QUIET_MS_MAX = 60_000;
/** How long an incomplete stream is watched after its watermark has passed the load. */
const LATE_MS_MAX = 20_000;
/** The agent lets rollups out with every tick; the second one from now is behind the reading that moves the clock, whatever happens. */
const TWO_TICKS_MS = 11_000;
/** Time between two looks at the store. */
const LOOK_MS = 500;

export interface Verdict extends WindowDifference {
  readonly readings: number;
  readonly windows: number;
  readonly episodes: number;
  /** What is wrong with numbers, epochs and gaps. */
  readonly violations: readonly string[];
  readonly episodeDifferences: readonly string[];
}

/**
 * Has the agent let out everything that the ledger holds, reads it and compares. The load must have ended, and everything must be
 * acknowledged.
 *
 * @param options.engine what the undisturbed run judges with; null: episodes are not compared with one.
 */
export async function judge(
  ledger: Ledger,
  agent: AgentProcess,
  reader: StreamReader,
  options: { readonly engine?: unknown } = {},
): Promise<Verdict> {
  await moveClock(agent.mqttPort);
  const expected = ledger.windows();
  const end = lastEventTime(ledger.readings());
  const { oracle } = reader;
  let passedAt: number | undefined;
  await waitFor(
    `the watermark has passed the load in the stream ${INGEST_STREAM.name}`,
    async () => {
      await reader.read();
      const { lost, doubled, changed } = compareWindows(expected, oracle.windows);
      if (lost + doubled + changed === 0) return true;
      if (oracle.watermark > end) passedAt ??= Date.now();
      // What is missing behind the watermark does not come any more; the comparison below says what it is.
      return passedAt !== undefined && Date.now() - passedAt > LATE_MS_MAX;
    },
    { timeoutMs: DRAIN_MS_MAX + LATE_MS_MAX, intervalMs: 200 },
  );
  await reader.read();
  const engine = options.engine === undefined ? ENGINE : options.engine;
  return {
    readings: ledger.acknowledged,
    windows: expected.size,
    episodes: oracle.episodes.size,
    ...compareWindows(expected, oracle.windows),
    violations: oracle.violations(),
    episodeDifferences:
      engine === null
        ? []
        : compareEpisodes(
            expectedEpisodes(engineConfigSchema.parse(engine), GATEWAY, ledger.readings()),
            oracle.episodes,
          ),
  };
}

/**
 * The same at the end of the whole path: what the processor has in its store and in its open windows, with the anomalies. Several ledgers
 * must have no sensor in common.
 *
 * @param options.timeoutMs for so long nothing changes before what is missing counts as lost. Default: a minute.
 * @param options.sealed whether to wait until every window is sealed. Default: true.
 */
export async function judgeProcessor(
  ledgers: Ledger | readonly Ledger[],
  agent: AgentProcess,
  processor: ProcessorProcess,
  options: { readonly engine?: unknown; readonly sealed?: boolean; readonly timeoutMs?: number } = {},
): Promise<Verdict> {
  const { engine = ENGINE, sealed: mustSeal = true, timeoutMs = QUIET_MS_MAX } = options;
  await moveClock(agent.mqttPort);
  const all = [ledgers].flat();
  const readings = all.flatMap((ledger) => [...ledger.readings()]);
  const expected = Ledger.windowsOf(all);
  const sensors = new Set(readings.map(sensorKey));
  const episodes = engine === null ? undefined : expectedEpisodes(engineConfigSchema.parse(engine), GATEWAY, readings);
  const look = async (): Promise<Verdict> => {
    const { sums, sealed, incomplete } = await processor.windows(sensors);
    const stored = new Map((await processor.anomalies()).map((row) => [row.id, historyOf(row)]));
    const violations = [
      ...(mustSeal && sealed < expected.size ? [`${expected.size - sealed} windows are not sealed`] : []),
      ...(incomplete > 0 ? [`${incomplete} windows are marked incomplete`] : []),
    ];
    return {
      readings: readings.length,
      windows: expected.size,
      episodes: stored.size,
      ...compareWindows(expected, sums),
      violations,
      episodeDifferences: episodes === undefined ? [] : compareEpisodes(episodes, stored),
    };
  };
  let verdict = await look();
  let deadline = Date.now() + timeoutMs;
  while (!isClean(verdict) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const before = verdict;
    verdict = await look();
    // As long as more comes, it is slow and not wrong.
    if (!isDeepStrictEqual(verdict, before)) deadline = Date.now() + timeoutMs;
  }
  return verdict;
}

const historyOf = ({ phase, closeReason, detector }: AnomalyRow): EpisodeHistory => ({
  opened: 1,
  closed: phase === 'closed' ? 1 : 0,
  closeReason,
  detector,
  openedIn: '',
  lastIn: '',
});

const isClean = ({ lost, doubled, changed, violations, episodeDifferences }: Verdict): boolean =>
  lost + doubled + changed + violations.length + episodeDifferences.length === 0;

/** What is wrong, in words; empty: nothing. */
export const troublesOf = ({ lost, doubled, changed, examples, violations, episodeDifferences }: Verdict): string[] => [
  ...Object.entries({ lost, doubled, changed }).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`])),
  ...examples,
  ...violations,
  ...episodeDifferences,
];

/** Nothing lost, nothing doubled, nothing told wrongly. */
export function expectClean(verdict: Verdict): void {
  const { lost, doubled, changed, examples, violations, episodeDifferences } = verdict;
  expect({ lost, doubled, changed, examples, violations, episodeDifferences }).toEqual({
    lost: 0,
    doubled: 0,
    changed: 0,
    examples: [],
    violations: [],
    episodeDifferences: [],
  });
}

/** Sends one reading of now, which moves the watermark past the series; its event times lie in the past. */
async function moveClock(port: number): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 100 });
  const { device, metric } = CLOCK_SENSOR;
  await client.publishAsync(`sensors/${device}/${metric}`, JSON.stringify({ value: 1, ts: Date.now() }), { qos: 1 });
  await client.endAsync();
}

/** Has the agent let out everything that it holds of a series. */
export async function letOut(agent: AgentProcess): Promise<void> {
  await moveClock(agent.mqttPort);
  await new Promise((resolve) => setTimeout(resolve, TWO_TICKS_MS));
}

function lastEventTime(readings: Iterable<Reading>): number {
  let last = 0;
  for (const { eventTime } of readings) last = Math.max(last, eventTime);
  return last;
}
