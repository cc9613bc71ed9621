import type { AnomalyRow } from '@floorwatch/contracts';

import type { FaultTypeName } from '../inject/fault.ts';
import type { TruthLine } from '../inject/truth.ts';

/** An episode may begin so long after its fault has ended: values that return are a jump too, and a silence shows late. */
export const AFTER_MS = 30_000;
/** What an agent adds to a metric of which readings come in another unit: `temperature (°F)`. No sensor of the floor is called so. */
const OTHER_UNIT = / \([^()]*\)$/;
const WEEK_MS = 7 * 86_400_000;

/** An episode as far as the comparison needs it. */
export type FoundEpisode = Pick<AnomalyRow, 'sensor' | 'openedAt' | 'anomalyKind' | 'severity' | 'detector'>;

/** How faults of one type were found. */
export interface TypeScore {
  readonly injected: number;
  readonly found: number;
  /** Share of the faults that were found. */
  readonly recall: number;
  /** Milliseconds from the beginning of a fault to its first episode, the median of those found; null: none was. */
  readonly delayMs: number | null;
  /** Kinds of the first episodes, and how many of each. */
  readonly kinds: Readonly<Record<string, number>>;
}

/** How many episodes of one kind there were, and how many of them belong to a fault. */
export interface KindScore {
  readonly episodes: number;
  readonly explained: number;
  readonly precision: number;
}

/** What the comparison of a ground truth with stored episodes gives. */
export interface TruthScore {
  readonly faults: number;
  readonly found: number;
  readonly recall: number;
  readonly episodes: number;
  /** Episodes that belong to no fault. */
  readonly falseAlarms: number;
  /** Share of the episodes that belong to a fault. */
  readonly precision: number;
  readonly falseAlarmsPerSensorWeek: number;
  readonly criticalFalseAlarmsPerSensorWeek: number;
  readonly byType: Readonly<Partial<Record<FaultTypeName, TypeScore>>>;
  readonly byKind: Readonly<Record<string, KindScore>>;
}

/** What was watched: how many sensors, for how long. */
export interface Watched {
  readonly sensors: number;
  readonly ms: number;
}

/** An episode belongs to a fault of its sensor if it opens between the fault's beginning and {@link AFTER_MS} after its end. */
export function matchTruth(
  truth: readonly TruthLine[],
  episodes: readonly FoundEpisode[],
  { sensors, ms }: Watched,
): TruthScore {
  const bySensor = new Map<string, FoundEpisode[]>();
  for (const episode of [...episodes].sort((a, b) => a.openedAt - b.openedAt)) {
    const { device, metric } = episode.sensor;
    const key = keyOf({ device, metric: metric.replace(OTHER_UNIT, '') });
    const own = bySensor.get(key);
    if (own === undefined) bySensor.set(key, [episode]);
    else own.push(episode);
  }
  const explained = new Set<FoundEpisode>();
  const byType = new Map<FaultTypeName, { injected: number; delays: number[]; kinds: Record<string, number> }>();
  for (const fault of truth) {
    const own = bySensor.get(keyOf(fault))?.filter((episode) => belongs(episode, fault)) ?? [];
    for (const episode of own) explained.add(episode);
    const type = byType.get(fault.type) ?? { injected: 0, delays: [], kinds: {} };
    byType.set(fault.type, type);
    type.injected += 1;
    const [first] = own;
    if (first === undefined) continue;
    type.delays.push(first.openedAt - fault.from);
    type.kinds[first.anomalyKind] = (type.kinds[first.anomalyKind] ?? 0) + 1;
  }
  const wrong = episodes.filter((episode) => !explained.has(episode));
  const found = [...byType.values()].reduce((sum, { delays }) => sum + delays.length, 0);
  const perSensorWeek = (count: number): number => (sensors > 0 && ms > 0 ? count / sensors / (ms / WEEK_MS) : 0);
  return {
    faults: truth.length,
    found,
    recall: share(found, truth.length),
    episodes: episodes.length,
    falseAlarms: wrong.length,
    precision: share(explained.size, episodes.length),
    falseAlarmsPerSensorWeek: perSensorWeek(wrong.length),
    criticalFalseAlarmsPerSensorWeek: perSensorWeek(wrong.filter(({ severity }) => severity === 'critical').length),
    byType: Object.fromEntries(
      [...byType].map(([type, { injected, delays, kinds }]): [FaultTypeName, TypeScore] => [
        type,
        { injected, found: delays.length, recall: share(delays.length, injected), delayMs: median(delays), kinds },
      ]),
    ),
    byKind: scoreKinds(episodes, explained),
  };
}

function scoreKinds(
  episodes: readonly FoundEpisode[],
  explained: ReadonlySet<FoundEpisode>,
): Readonly<Record<string, KindScore>> {
  const kinds = [...new Set(episodes.map(({ anomalyKind }) => anomalyKind))].sort();
  return Object.fromEntries(
    kinds.map((kind): [string, KindScore] => {
      const own = episodes.filter(({ anomalyKind }) => anomalyKind === kind);
      const right = own.filter((episode) => explained.has(episode)).length;
      return [kind, { episodes: own.length, explained: right, precision: share(right, own.length) }];
    }),
  );
}

const keyOf = ({ device, metric }: { readonly device: string; readonly metric: string }): string =>
  JSON.stringify([device, metric]);

const belongs = ({ openedAt }: FoundEpisode, { from, to }: TruthLine): boolean =>
  openedAt >= from && openedAt < to + AFTER_MS;

/** Nothing expected and nothing done is no failure. */
const share = (part: number, whole: number): number => (whole === 0 ? 1 : part / whole);

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
