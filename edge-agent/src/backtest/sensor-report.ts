import type { EpochMs, Reading, Severity } from '@floorwatch/contracts';

import type { EpisodeEvent } from '../sensor-engine.ts';

const WEEK_MS = 7 * 86_400_000;

/** What a recording would have made an agent say of one sensor. */
export interface SensorReport {
  readonly device: string;
  readonly metric: string;
  readonly readings: number;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly episodes: number;
  readonly critical: number;
  /** How many episodes of each kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** When the first episode opened; null: there was none. */
  readonly firstAt: EpochMs | null;
  /** The sentence of the critical episode with the highest score, or else of the warning with it; null: there was none. */
  readonly worst: string | null;
  readonly worstAt: EpochMs | null;
  /** Episodes per week of the recording; of less than a day, no rate is told. */
  readonly perWeek: number | null;
  /** Episodes that only the other configuration has, and that only this one has; absent without `--compare`. */
  readonly appear?: readonly EpochMs[];
  readonly disappear?: readonly EpochMs[];
}

/** Gathers what concerns each sensor of one recording. */
export class SensorReports {
  readonly #sensors = new Map<
    string,
    { device: string; metric: string; readings: number; from: EpochMs; to: EpochMs }
  >();

  count({ device, metric, eventTime }: Reading): void {
    const key = keyOf(device, metric);
    const known = this.#sensors.get(key);
    if (known === undefined) this.#sensors.set(key, { device, metric, readings: 1, from: eventTime, to: eventTime });
    else {
      known.readings += 1;
      if (eventTime < known.from) known.from = eventTime;
      if (eventTime > known.to) known.to = eventTime;
    }
  }

  /** @param compared the episodes of the other configuration, if there is one. */
  reports(episodes: Iterable<EpisodeEvent>, compared?: Iterable<EpisodeEvent>): SensorReport[] {
    const own = bySensor(episodes);
    const other = compared === undefined ? undefined : bySensor(compared);
    const reports: SensorReport[] = [];
    for (const [key, sensor] of this.#sensors) {
      const found = own.get(key) ?? [];
      const elsewhere = other?.get(key) ?? [];
      const changes = other && { appear: openingsBut(elsewhere, found), disappear: openingsBut(found, elsewhere) };
      reports.push({ ...sensor, ...summarise(found, sensor.to - sensor.from), ...changes });
    }
    return reports;
  }
}

type Summary = Pick<SensorReport, 'episodes' | 'critical' | 'kinds' | 'firstAt' | 'worst' | 'worstAt' | 'perWeek'>;

function summarise(found: readonly EpisodeEvent[], ms: number): Summary {
  const kinds: Record<string, number> = {};
  let worst: EpisodeEvent | undefined;
  for (const episode of found) {
    kinds[episode.anomalyKind] = (kinds[episode.anomalyKind] ?? 0) + 1;
    if (isWorse(episode, worst)) worst = episode;
  }
  return {
    episodes: found.length,
    critical: found.filter(({ severity }) => severity === 'critical').length,
    kinds,
    firstAt: found[0]?.openedAt ?? null,
    worst: worst?.explanation ?? null,
    worstAt: worst?.worst.at ?? null,
    perWeek: ms < WEEK_MS / 7 ? null : found.length / (ms / WEEK_MS),
  };
}

const keyOf = (device: string, metric: string): string => JSON.stringify([device, metric]);

function bySensor(episodes: Iterable<EpisodeEvent>): Map<string, EpisodeEvent[]> {
  const sensors = new Map<string, EpisodeEvent[]>();
  for (const episode of episodes) {
    const key = keyOf(episode.device, episode.metric);
    const own = sensors.get(key);
    if (own === undefined) sensors.set(key, [episode]);
    else own.push(episode);
  }
  for (const own of sensors.values()) own.sort((a, b) => a.openedAt - b.openedAt);
  return sensors;
}

/** When the episodes of `some` opened that are not among `others`; the id tells which are the same. */
function openingsBut(some: readonly EpisodeEvent[], others: readonly EpisodeEvent[]): EpochMs[] {
  const ids = new Set(others.map(({ id }) => id));
  return some.filter(({ id }) => !ids.has(id)).map(({ openedAt }) => openedAt);
}

const RANK: Readonly<Record<Severity, number>> = { warning: 0, critical: 1 };

const isWorse = (one: EpisodeEvent, most: EpisodeEvent | undefined): boolean =>
  most === undefined ||
  RANK[one.severity] > RANK[most.severity] ||
  (one.severity === most.severity && one.worst.score > most.worst.score);
