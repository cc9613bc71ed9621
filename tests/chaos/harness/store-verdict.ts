import { engineConfigSchema } from '@floorwatch/edge-agent';

import { GATEWAY } from './agent-process.ts';
import type { ChaosFloor } from './chaos-floor.ts';
import type { Figures } from './chaos-options.ts';
import { compareEpisodes, expectedEpisodes } from './expected-episodes.ts';
import { compareWindows, type WindowSums } from './ledger.ts';
import type { ProcessorProcess } from './processor-process.ts';
import { ENGINE, IGNORED_SENSORS, type Verdict } from './verdict.ts';

/** What a store holds, compared with what devices had acknowledged. */
export interface StoreVerdict extends Verdict {
  /** Corrections of sealed windows. */
  readonly revisions: number;
  /** What became of every acknowledged reading, for people. `unexplained` is 0 if it adds up. */
  readonly balance: Figures;
}

/**
 * Stops the processor and looks into its store. Everything must have arrived.
 *
 * @param options.inOrder whether the stream never lost anything, so that it tells which readings come late.
 */
export async function judgeStore(
  { ledger, reader }: ChaosFloor,
  processor: ProcessorProcess,
  { inOrder }: { readonly inOrder: boolean },
): Promise<StoreVerdict> {
  const { deadLetters } = await processor.progress();
  const refused = sum(await processor.metric('refused_readings_total'));
  await processor.program.stop();
  const stored = await processor.store.read();
  const windows: WindowSums = new Map(
    [...stored.windows].filter(([key]) => !IGNORED_SENSORS.some((sensor) => key.startsWith(`${sensor} `))),
  );
  const { oracle } = reader;
  const expected = ledger.windows();
  const readings = [...ledger.readings()];
  const late = sum(stored.late);
  const inWindows = [...windows.values()].reduce((total, { n }) => total + n, 0);
  const gaps = oracle.gaps.reduce((total, gap) => total + gap.readings, 0);
  const [rejected, quarantined] = [oracle.counter('readingsRejected'), oracle.counter('readingsQuarantined')];
  const violations = [
    ...(stored.incomplete > 0 ? [`${stored.incomplete} windows are marked incomplete`] : []),
    ...(inOrder ? compareCounts(oracle.late, stored.late) : []),
    ...(deadLetters + refused > 0 ? [`${deadLetters} dead letters, ${refused} readings without a window`] : []),
    ...[...stored.anomalies].flatMap(([id, { opened }]) =>
      opened === 1 ? [] : [`episode ${id} stands there ${opened} times`],
    ),
  ];
  return {
    readings: readings.length,
    windows: expected.size,
    episodes: stored.anomalies.size,
    ...compareWindows(expected, windows),
    violations,
    episodeDifferences: compareEpisodes(
      expectedEpisodes(engineConfigSchema.parse(ENGINE), GATEWAY, readings),
      stored.anomalies,
    ),
    revisions: stored.revisions,
    balance: {
      acknowledged: readings.length,
      '= in windows when they were sealed': inWindows - late,
      '+ by late corrections': late,
      '+ told as lost in gaps': gaps,
      '+ rejected': rejected,
      '+ quarantined': quarantined,
      '+ refused by the windows': refused,
      '+ unexplained': readings.length - inWindows - gaps - rejected - quarantined - refused,
      'dead letters': deadLetters,
    },
  };
}

const EXAMPLES_MAX = 5;

/** How the late readings that a store tells of differ from those that the stream holds, in words. */
function compareCounts(expected: ReadonlyMap<string, number>, found: ReadonlyMap<string, number>): string[] {
  const keys = new Set([...expected.keys(), ...found.keys()]);
  const different = [...keys].filter((key) => expected.get(key) !== found.get(key));
  return different
    .slice(0, EXAMPLES_MAX)
    .map(
      (key) =>
        `${key}: ${found.get(key) ?? 0} late readings instead of ${expected.get(key) ?? 0} (${different.length} differ)`,
    );
}

const sum = (values: ReadonlyMap<string, number>): number =>
  [...values.values()].reduce((total, value) => total + value, 0);
