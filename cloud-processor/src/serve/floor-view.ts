import {
  type Aggregate,
  type AnomalyRow,
  BROKER_AWAY,
  type DurationMs,
  type EpochMs,
  epochMs,
  type GatewayAlarm,
  type GatewayName,
  type GatewayRow,
  gatewayKey,
  type GatewayView,
  type MovingStatistics,
  NO_STATISTICS,
  type RollupPoint,
  type RollupSensor,
  rollupStart,
  type RollupsRecord,
  sensorId,
  type SensorRef,
  type SensorState,
  type SensorView,
  type Severity,
  type SiteView,
  type SparklineView,
} from '@floorwatch/contracts';

import type { FloorObserver } from '../floor-observer.ts';
import { type AlarmSnapshot, alarmView } from '../sequence/alarms.ts';
import type { Store } from '../write/store.ts';
import { serveLimits } from './limits.ts';
import { SensorPlaces } from './sensor-places.ts';
import { isStale, usualInterval } from './stale.ts';
import { SensorHistory } from './sensor-history.ts';

/** What a page may want to hear at once. Called within the pipeline's call, so it returns at once and never throws. */
export interface FloorListener {
  anomaly(row: AnomalyRow): void;
  /** Whether {@link rollup} should be called for this sensor. */
  wants(id: string): boolean;
  rollup(id: string, point: RollupPoint): void;
}

/** Which sensors to list, in the order of their ids. */
export interface SensorFilter {
  readonly ids?: ReadonlySet<string>;
  readonly site?: string;
  readonly gateway?: string;
  readonly device?: string;
  readonly state?: SensorState;
  /** Part of an id, in any case. */
  readonly search?: string;
  /** Only sensors whose id sorts behind this one. */
  readonly after?: string;
}

export interface FloorViewOptions {
  /** A gateway from which nothing came for so long makes its sensors `unknown`. At least three of its ticks. */
  readonly silentAfterMs: DurationMs;
  /** The processor's clock; Date.now unless a test says otherwise. */
  readonly now?: () => number;
}

/** How much the view holds, and what it had to leave out since the start. */
export interface FloorViewCounts {
  readonly sensors: number;
  readonly gateways: number;
  readonly openAnomalies: number;
  /** Rollups, reports and episodes of sensors and gateways beyond the limits. */
  readonly leftOut: number;
  /** Gateways some of whose sensors found no place. */
  readonly gatewaysCut: number;
}

interface GatewayEntry {
  readonly name: GatewayName;
  readonly sensors: SensorEntry[];
  /** By the object that names a sensor in batches, which is mostly the same one: spares joining names and hashing them. */
  readonly named: WeakMap<RollupSensor, SensorEntry>;
  /** The same for a whole list of them. */
  readonly listed: WeakMap<readonly RollupSensor[], readonly SensorEntry[]>;
  heardAt: EpochMs | null;
  watermark: EpochMs | null;
  report: GatewayRow | null;
  /** By lane and cause. */
  readonly alarms: Map<string, AlarmSnapshot>;
  /** As last told to pages. */
  silent: boolean;
}

interface SensorEntry {
  readonly id: string;
  readonly ref: SensorRef;
  readonly gateway: GatewayEntry;
  readonly history: SensorHistory;
  readonly open: Map<string, Severity>;
  unit: string | null;
  /** Null: it was never heard. */
  last: number | null;
  lastAt: EpochMs;
  /** Usual milliseconds between values; 0: not known. */
  everyMs: number;
  /** As the store knew them; newer ones are in the history. */
  moving: MovingStatistics;
  /** Whether it is among the changed ones, and whether its value was too old when pages were last told. */
  isChanged: boolean;
  wasStale: boolean;
}

/**
 * The floor as it is now: the newest value, the open episodes and the last half hour of every sensor. It lives in memory only, inside
 * {@link serveLimits}; after a restart {@link restore} brings back what the store knows, and live records the rest.
 */
export class FloorView implements FloorObserver {
  /** Hears changes as they come; one at a time (the live feed). */
  listener: FloorListener | undefined;
  readonly silentAfterMs: DurationMs;
  readonly #now: () => number;
  readonly #sensors = new Map<string, SensorEntry>();
  readonly #gateways = new Map<string, GatewayEntry>();
  /** Ids in order, until a sensor is added. */
  #sorted: string[] | undefined;
  readonly #changed = new Set<SensorEntry>();
  #pointsLeft: number = serveLimits.pointsMax;
  #openAnomalies = 0;
  #leftOut = 0;
  /** Somebody was the one gateway too many. */
  #isCrowded = false;
  readonly #places = new SensorPlaces(serveLimits.sensorsMax);
  /** Episodes that closed before {@link restore} was done, so that the store's older word does not open them again. */
  #closedMeanwhile: Set<string> | undefined = new Set();

  constructor({ silentAfterMs, now = Date.now }: FloorViewOptions) {
    this.silentAfterMs = silentAfterMs;
    this.#now = now;
  }

  /**
   * Fills the view with what the store knows. What the pipeline has told meanwhile is newer and stays.
   *
   * @throws StoreError if the store cannot be asked; the view is usable all the same, and this can be tried again.
   */
  async restore(store: Pick<Store, 'newestWindows' | 'anomalies' | 'gateways'>): Promise<void> {
    const recent = this.#now() - serveLimits.restoreMs;
    let since = recent;
    let windows = await store.newestWindows(since, serveLimits.sensorsMax);
    if (windows.length === 0) {
      // A floor that only ever played back old recordings has nothing recent, but it has something to show.
      since = 0;
      windows = await store.newestWindows(since, serveLimits.sensorsMax);
    }
    for (const report of await store.gateways(recent)) {
      const gateway = this.#gateway(report);
      if (gateway === undefined) continue;
      gateway.report ??= report;
      gateway.heardAt ??= report.at;
    }
    for (const { sensor, unit, aggregate, moving } of windows) {
      const entry = this.#sensor(sensor, aggregate.last, epochMs(aggregate.lastAt));
      if (entry !== undefined) this.#take(entry, unit, aggregate, moving);
    }
    await this.#restoreOpenEpisodes(store, since);
    this.#closedMeanwhile = undefined;
  }

  async #restoreOpenEpisodes(store: Pick<Store, 'anomalies'>, since: number): Promise<void> {
    const query = { from: epochMs(since), to: epochMs(8.64e15), openOnly: true, limit: serveLimits.restorePageRows };
    let after: string | null = null;
    let rows = 0;
    do {
      const page: Awaited<ReturnType<Store['anomalies']>> = await store.anomalies(
        after === null ? query : { ...query, after },
      );
      for (const row of page.items) {
        if (row.phase === 'closed' || this.#closedMeanwhile?.has(row.id) === true) continue;
        const entry = this.#sensor(row.sensor, lastIn(row), row.openedAt);
        if (entry !== undefined && !entry.open.has(row.id)) this.#openEpisode(entry, row);
      }
      rows += page.items.length;
      after = page.next;
    } while (after !== null && rows < serveLimits.openEpisodesMax);
  }

  heard(name: GatewayName, heardAt: EpochMs): void {
    const gateway = this.#gateway(name);
    if (gateway !== undefined) gateway.heardAt = heardAt;
  }

  watermark(name: GatewayName, watermark: EpochMs): void {
    const gateway = this.#gateway(name);
    if (gateway !== undefined) gateway.watermark = watermark;
  }

  rollups(name: GatewayName, sensors: readonly RollupSensor[], record: RollupsRecord): void {
    const gateway = this.#gateway(name);
    const { columns } = record;
    if (gateway === undefined) {
      this.#leftOut += columns.sensor.length;
      return;
    }
    const listed = gateway.listed.get(sensors) ?? this.#list(gateway, sensors);
    for (let index = 0; index < columns.sensor.length; index++) {
      const place = columns.sensor[index]!;
      const sensor = sensors[place];
      if (sensor === undefined) {
        this.#leftOut += 1;
        continue;
      }
      const last = columns.last[index]!;
      const lastAt = epochMs(rollupStart(record, index) + columns.lastAt[index]!);
      const entry = listed?.[place] ?? this.#named(gateway, sensor, last, lastAt);
      if (entry === undefined) continue;
      if (sensor.unit !== undefined) entry.unit = sensor.unit;
      if (lastAt >= entry.lastAt) {
        if (lastAt > entry.lastAt) entry.everyMs = usualInterval(entry.everyMs, lastAt - entry.lastAt);
        entry.last = last;
        entry.lastAt = lastAt;
      }
      const point = entry.history.add(record, index);
      this.#change(entry);
      if (point === undefined || this.listener?.wants(entry.id) !== true) continue;
      this.listener.rollup(entry.id, entry.history.point(point));
    }
  }

  #named(gateway: GatewayEntry, sensor: RollupSensor, last: number, lastAt: EpochMs): SensorEntry | undefined {
    const known = gateway.named.get(sensor);
    if (known !== undefined) return known;
    const { device, metric } = sensor;
    const entry = this.#sensor({ ...gateway.name, device, metric }, last, lastAt);
    if (entry !== undefined) gateway.named.set(sensor, entry);
    return entry;
  }

  /** The entries of a list whose sensors all have one; remembered if it is one that comes again. */
  #list(gateway: GatewayEntry, sensors: readonly RollupSensor[]): readonly SensorEntry[] | undefined {
    if (!Object.isFrozen(sensors)) return undefined;
    const entries = sensors.flatMap((sensor) => gateway.named.get(sensor) ?? []);
    if (entries.length < sensors.length) return undefined;
    gateway.listed.set(sensors, entries);
    return entries;
  }

  #change(entry: SensorEntry): void {
    if (entry.isChanged) return;
    entry.isChanged = true;
    this.#changed.add(entry);
  }

  anomaly(row: AnomalyRow): void {
    const entry = this.#sensor(row.sensor, lastIn(row), row.openedAt);
    if (entry !== undefined) {
      if (row.phase === 'closed') this.#closeEpisode(entry, row.id);
      else this.#openEpisode(entry, row);
      entry.unit ??= row.unit ?? null;
      this.#change(entry);
    }
    this.listener?.anomaly(row);
  }

  gateway(row: GatewayRow): void {
    const gateway = this.#gateway(row);
    if (gateway !== undefined) gateway.report = row;
  }

  alarm(alarm: AlarmSnapshot): void {
    this.#gateway(alarm)?.alarms.set(`${alarm.lane}/${alarm.cause}`, alarm);
  }

  /** Sites with their gateways, both in the order of their names. */
  sites(): SiteView[] {
    const sites = new Map<string, GatewayView[]>();
    const entries = [...this.#gateways.entries()].sort(([a], [b]) => compare(a, b));
    for (const [, { name, heardAt, watermark, report, sensors, alarms }] of entries) {
      const views = sites.get(name.site) ?? [];
      const { site, gateway } = name;
      views.push({ site, gateway, heardAt, watermark, report, sensors: sensors.length, alarms: alarmViews(alarms) });
      sites.set(name.site, views);
    }
    return [...sites].map(([site, gateways]) => ({ site, gateways })).sort((a, b) => compare(a.site, b.site));
  }

  /** Up to `limit` sensors that match, in the order of their ids. */
  sensors(filter: SensorFilter, limit: number): SensorView[] {
    this.#sorted ??= [...this.#sensors.keys()].sort(compare);
    const search = filter.search?.toLowerCase();
    const found: SensorView[] = [];
    for (let index = firstBehind(this.#sorted, filter.after); index < this.#sorted.length; index++) {
      if (found.length >= limit) break;
      const entry = this.#sensors.get(this.#sorted[index] ?? '');
      if (entry === undefined || !matches(entry, filter, search)) continue;
      if (filter.state === undefined || this.#stateOf(entry) === filter.state) found.push(this.#view(entry));
    }
    return found;
  }

  /** The points of a sensor with `from` ≤ start < `to`, oldest first; undefined if there is no such sensor. */
  points(id: string, from: number, to: number): RollupPoint[] | undefined {
    return this.#sensors.get(id)?.history.points(from, to);
  }

  /** When and what the newest `count` points of a sensor last read, oldest first: enough for a small chart. */
  sparkline(id: string, count: number): SparklineView {
    return { id, ...(this.#sensors.get(id)?.history.lasts(count) ?? { at: [], last: [] }) };
  }

  /**
   * Takes the sensors whose value or state changed since they were last taken, at most `limit`; the others stay for the next time. A
   * gateway that fell silent or lost its broker, or came back, changes all of its sensors; a value that has become too old changes its own.
   */
  takeChanged(limit: number): SensorView[] {
    for (const gateway of this.#gateways.values()) {
      const silent = this.#isUnheard(gateway);
      const turned = silent !== gateway.silent;
      gateway.silent = silent;
      for (const entry of gateway.sensors) {
        const stale = isStale(entry.lastAt, entry.everyMs, gateway.watermark);
        if (turned || stale !== entry.wasStale) this.#change(entry);
        entry.wasStale = stale;
      }
    }
    const taken: SensorView[] = [];
    for (const entry of this.#changed) {
      if (taken.length >= limit) break;
      this.#changed.delete(entry);
      entry.isChanged = false;
      taken.push(this.#view(entry));
    }
    return taken;
  }

  /** Forgets which sensors changed: a page that begins now reads them all first. */
  forgetChanges(): void {
    this.takeChanged(0);
    for (const entry of this.#changed) entry.isChanged = false;
    this.#changed.clear();
  }

  counts(): FloorViewCounts {
    return {
      sensors: this.#sensors.size,
      gateways: this.#gateways.size,
      openAnomalies: this.#openAnomalies,
      leftOut: this.#leftOut,
      gatewaysCut: this.#places.gatewaysCut,
    };
  }

  /** What is not shown for want of room, for people; undefined: everything is. */
  describeLeftOut(): string | undefined {
    const crowded = `there are more than ${serveLimits.gatewaysMax} gateways; later ones are not shown`;
    return this.#isCrowded ? crowded : this.#places.describe();
  }

  #view(entry: SensorEntry): SensorView {
    return {
      id: entry.id,
      sensor: entry.ref,
      unit: entry.unit,
      state: this.#stateOf(entry),
      last: entry.last,
      lastAt: entry.lastAt,
      moving: entry.history.newestMoving(entry.lastAt) ?? entry.moving,
      openAnomalies: entry.open.size,
    };
  }

  #stateOf(entry: SensorEntry): SensorState {
    if (this.#isUnheard(entry.gateway)) return 'unknown';
    let state: SensorState = isStale(entry.lastAt, entry.everyMs, entry.gateway.watermark) ? 'unknown' : 'normal';
    for (const severity of entry.open.values()) {
      if (severity === 'critical') return severity;
      state = severity;
    }
    return state;
  }

  /** Whether nothing came from the gateway for too long, or nothing can come to it. */
  #isUnheard({ heardAt, report }: GatewayEntry): boolean {
    return heardAt === null || this.#now() - heardAt > this.silentAfterMs || (report?.counters[BROKER_AWAY] ?? 0) > 0;
  }

  #take(entry: SensorEntry, unit: string | undefined, aggregate: Readonly<Aggregate>, moving: MovingStatistics): void {
    if (unit !== undefined) entry.unit = unit;
    if (aggregate.lastAt < entry.lastAt) return;
    entry.last = aggregate.last;
    entry.lastAt = epochMs(aggregate.lastAt);
    entry.moving = moving;
  }

  #openEpisode(entry: SensorEntry, { id, severity }: AnomalyRow): void {
    if (!entry.open.has(id)) {
      if (this.#openAnomalies >= serveLimits.openEpisodesMax) {
        this.#leftOut += 1;
        return;
      }
      this.#openAnomalies += 1;
    }
    entry.open.set(id, severity);
  }

  #closeEpisode(entry: SensorEntry, id: string): void {
    if (entry.open.delete(id)) this.#openAnomalies -= 1;
    const closed = this.#closedMeanwhile;
    if (closed !== undefined && closed.size < serveLimits.openEpisodesMax) closed.add(id);
  }

  #gateway(name: GatewayName): GatewayEntry | undefined {
    const key = gatewayKey(name);
    const known = this.#gateways.get(key);
    if (known !== undefined) return known;
    if (this.#gateways.size >= serveLimits.gatewaysMax) {
      this.#leftOut += 1;
      this.#isCrowded = true;
      return undefined;
    }
    const entry: GatewayEntry = {
      name: { site: name.site, gateway: name.gateway },
      sensors: [],
      named: new WeakMap(),
      listed: new WeakMap(),
      heardAt: null,
      watermark: null,
      report: null,
      alarms: new Map(),
      silent: true,
    };
    this.#gateways.set(key, entry);
    return entry;
  }

  /** The sensor, made with this value if it is new; undefined beyond the limit. */
  #sensor(ref: SensorRef, last: number | null, lastAt: EpochMs): SensorEntry | undefined {
    const id = sensorId(ref);
    const known = this.#sensors.get(id);
    if (known !== undefined) return known;
    const gateway = this.#gateway(ref);
    if (gateway === undefined) return undefined;
    if (!this.#places.take(gatewayKey(ref), gateway.sensors.length)) {
      this.#leftOut += 1;
      return undefined;
    }
    const entry: SensorEntry = {
      id,
      ref: { site: ref.site, gateway: ref.gateway, device: ref.device, metric: ref.metric },
      gateway,
      history: new SensorHistory(this.#budget),
      open: new Map(),
      unit: null,
      last,
      lastAt,
      everyMs: 0,
      moving: NO_STATISTICS,
      isChanged: false,
      wasStale: false,
    };
    this.#sensors.set(id, entry);
    gateway.sensors.push(entry);
    this.#sorted = undefined;
    return entry;
  }

  readonly #budget = {
    take: (points: number): boolean => {
      if (points > this.#pointsLeft) return false;
      this.#pointsLeft -= points;
      return true;
    },
  };
}

const alarmViews = (alarms: ReadonlyMap<string, AlarmSnapshot>): GatewayAlarm[] =>
  [...alarms.values()].sort((a, b) => b.lastAt - a.lastAt).map(alarmView);

function matches({ id, ref }: SensorEntry, filter: SensorFilter, search: string | undefined): boolean {
  return (
    (filter.ids === undefined || filter.ids.has(id)) &&
    (filter.site === undefined || filter.site === ref.site) &&
    (filter.gateway === undefined || filter.gateway === ref.gateway) &&
    (filter.device === undefined || filter.device === ref.device) &&
    (search === undefined || id.toLowerCase().includes(search))
  );
}

/** By code units, which is what `after` relies on: the order of a language could call two ids equal. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The index of the first id that sorts behind `after`. */
function firstBehind(sorted: readonly string[], after: string | undefined): number {
  if (after === undefined) return 0;
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The value of the sensor that an episode tells; null: it is missed, and was never heard. */
const lastIn = ({ anomalyKind, value, before, moving }: AnomalyRow): number | null =>
  anomalyKind === 'silent' && before.length === 0 && moving.countMean === null ? null : value;
