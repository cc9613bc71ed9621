import {
  type AnomalyPhase,
  type AnomalyRecord,
  type CloseReason,
  type EpochMs,
  epochMs,
  type GatewayName,
  limits,
  type MovingStatistics,
  type Reading,
  type RollupSensor,
  seconds,
  type Severity,
} from '@floorwatch/contracts';

import type { CapturedSection, StateSection } from '../state-section.ts';
import { capacityFor, growUint8 } from '../stats/grow.ts';
import { learnedSection, restoreLearned } from '../stats/learned-state.ts';
import type { RowsCut } from '../stats/rows-cut.ts';
import { type Detector, type Judgement, JUDGEMENTS, type Verdict } from './detector.ts';
import { durationInWords } from './duration-words.ts';
import { episodeId } from './episode-id.ts';
import { isAt, type Level, levelOf, standingOf } from './level-hold.ts';
import { clip, nameOf } from './wording.ts';

/** An anomaly record without what only the pipeline knows: its number, the clock and how live it is. */
export type EpisodeEvent = Omit<AnomalyRecord, 'kind' | 'number' | 'detectedAt' | 'clock' | 'provenance'>;

/** The array of a detector's section that holds what it made of each sensor's newest reading, by its place among the judgements. */
const JUDGED = 'judgements';

/** The bit of a sensor's state that says whether it has an open episode. */
const OPEN = 0x80;

/** The place of a judgement in {@link JUDGEMENTS}; comparisons, because this is asked with every reading. */
function placeOf(judgement: Judgement): number {
  if (judgement === 'normal') return 3;
  if (judgement === 'undecided') return 2;
  return JUDGEMENTS.indexOf(judgement);
}

/** Event time between two updates of an episode. */
const UPDATE_MS = seconds(10);

/** What an episode tells of its sensor at the opening. Asked for only when one opens. */
export interface SensorContext {
  sensor(slot: number): RollupSensor;
  moving(slot: number): MovingStatistics;
  before(slot: number): AnomalyRecord['before'];
}

/** An open episode: the record that opened it, what has changed since, and what decides when a record is due. */
export interface OpenEpisode {
  readonly opened: EpisodeEvent;
  severity: Severity;
  explanation: string;
  readings: number;
  worstValue: number;
  worstAt: EpochMs;
  worstScore: number;
  /** Event time of the last record. */
  sentAt: EpochMs;
  /** Something happened that no record has told yet. */
  unsent: boolean;
  normalInARow: number;
  /** Normal readings in a row that close it. */
  readonly closeAfter: number;
  /** Ids of episodes that opened together with it. */
  related: readonly string[];
}

/** What is kept of a sensor's last episode, to tell whether the next one is the same fault again. */
interface Past {
  readonly openedAt: EpochMs;
  readonly closedAt: EpochMs;
  /** Times in a row that an episode opened soon after the one before. */
  readonly flaps: number;
  /** Where its values lay when it closed, which is no news; absent: not known. */
  readonly level?: Level;
}

/** An episode that opens as soon after the last one as that lasted, but at least so soon, is the same fault flapping. */
const FLAP_MS = seconds(60);
/** With every flap an episode needs twice as many normal readings to close, up to 2^4 times as many. */
const FLAPS_MAX = 4;

/** So long after an episode what happens belongs to it. */
const soonMs = ({ openedAt, closedAt }: Past): number => Math.max(FLAP_MS, closedAt - openedAt);

/**
 * Makes one detector's judgements into episodes, at most one open per sensor. An episode is `opened` by an anomalous reading, `updated`
 * at most every 10 s of event time and once more when its severity rises, and `closed` by enough normal readings in a row: more of them
 * every time that it opens again soon after, so that a fault which comes and goes is few episodes.
 */
export class EpisodeTracker<D extends Detector = Detector> {
  readonly detector: D;
  readonly #gateway: GatewayName;
  readonly #context: SensorContext;
  readonly #mayOpen: (slot: number, reading: Reading) => boolean;
  readonly #past = new Map<number, Past>();
  readonly #open = new Map<number, OpenEpisode>();
  /**
   * By slot: what the detector made of the newest reading, as its place in {@link JUDGEMENTS}, and {@link OPEN}. Nearly every reading needs
   * nothing else.
   */
  #states = new Uint8Array();
  #sensors = 0;

  /** @param mayOpen whether an episode of the sensor may open now; asked when a reading is anomalous and none is open. */
  constructor(
    detector: D,
    gateway: GatewayName,
    context: SensorContext,
    mayOpen: (slot: number, reading: Reading) => boolean = () => true,
  ) {
    this.detector = detector;
    this.#gateway = gateway;
    this.#context = context;
    this.#mayOpen = mayOpen;
  }

  addSensor(slot: number, sensor: RollupSensor): void {
    this.#sensors = Math.max(this.#sensors, slot + 1);
    if (slot >= this.#states.length) this.#states = growUint8(this.#states, capacityFor(slot + 1, slot));
    this.#states[slot] = placeOf(this.detector.judgementAtFirst ?? 'warming-up');
    this.detector.addSensor(slot, sensor);
  }

  isOpen(slot: number): boolean {
    return (this.#states[slot]! & OPEN) !== 0;
  }

  /** What the detector made of the sensor's newest reading. */
  judgement(slot: number): Judgement {
    return JUDGEMENTS[this.#states[slot]! & ~OPEN]!;
  }

  /** Takes what the detector makes of a reading; whether {@link observe} has anything to do with it, which nearly never is so. */
  note(slot: number, judgement: Judgement): boolean {
    const open = this.#states[slot]! & OPEN;
    this.#states[slot] = placeOf(judgement) | open;
    return open !== 0 || judgement === 'anomalous';
  }

  /** Takes the detector's verdict on a reading and returns the record that is due, if any. The detector has not learned it yet. */
  observe(slot: number, reading: Reading, verdict: Readonly<Verdict>): EpisodeEvent | undefined {
    this.note(slot, verdict.judgement);
    const episode = this.#open.get(slot);
    if (episode !== undefined) return this.#follow(episode, slot, reading, verdict);
    return verdict.judgement === 'anomalous' && this.#mayOpen(slot, reading)
      ? this.open(slot, reading.eventTime, reading.value, verdict)
      : undefined;
  }

  /** Opens an episode. For what is found without a reading: `value` then is the sensor's newest. None may be open. */
  open(slot: number, eventTime: EpochMs, value: number, verdict: Readonly<Verdict>): EpisodeEvent {
    const { score, severity, anomalyKind, low, high } = verdict;
    const sensor = this.#context.sensor(slot);
    const { device, metric } = sensor;
    const opened: EpisodeEvent = {
      phase: 'opened',
      id: episodeId(
        { site: this.#gateway.site, gateway: this.#gateway.gateway, device, metric },
        this.detector.name,
        eventTime,
        value,
      ),
      ...sensor,
      detector: this.detector.name,
      detectorVersion: this.detector.version,
      anomalyKind,
      severity,
      openedAt: eventTime,
      eventTime,
      value,
      worst: { value, at: eventTime, score },
      expected: { low, high },
      score,
      moving: this.#context.moving(slot),
      readings: 1,
      before: this.#context.before(slot),
      explanation: clip(this.detector.explain(sensor, slot, value, verdict)),
    };
    this.#keepOpen(slot, {
      opened,
      severity,
      explanation: opened.explanation,
      readings: 1,
      worstValue: value,
      worstAt: eventTime,
      worstScore: score,
      sentAt: eventTime,
      unsent: false,
      normalInARow: 0,
      closeAfter: this.detector.closeAfterReadings * 2 ** this.#flaps(slot, eventTime),
      related: [],
    });
    return opened;
  }

  #follow(episode: OpenEpisode, slot: number, reading: Reading, verdict: Readonly<Verdict>): EpisodeEvent | undefined {
    const at = reading.eventTime;
    episode.normalInARow = verdict.judgement === 'normal' ? episode.normalInARow + 1 : 0;
    if (episode.normalInARow >= episode.closeAfter) return this.close(slot, at, 'recovered');
    let rises = false;
    if (verdict.judgement === 'anomalous') {
      episode.unsent = true;
      rises = this.#worsen(episode, slot, reading, verdict);
    }
    if (!rises && !(episode.unsent && at - episode.sentAt >= UPDATE_MS)) return undefined;
    episode.sentAt = at;
    episode.unsent = false;
    return record(episode, 'updated', at);
  }

  /** Counts an anomalous reading in; true if it makes the episode more severe. */
  #worsen(episode: OpenEpisode, slot: number, reading: Reading, verdict: Readonly<Verdict>): boolean {
    const { value, eventTime } = reading;
    episode.readings += 1;
    if (verdict.score > episode.worstScore) {
      episode.worstValue = value;
      episode.worstAt = eventTime;
      episode.worstScore = verdict.score;
    }
    if (episode.severity === 'critical' || verdict.severity === 'warning') return false;
    episode.severity = verdict.severity;
    // The sentence tells of the reading that made the episode as severe as it is.
    episode.explanation = clip(this.detector.explain(this.#context.sensor(slot), slot, value, verdict));
    return true;
  }

  /** How often in a row the sensor's episodes have opened soon after one another, counting one that opens at `at`. */
  #flaps(slot: number, at: EpochMs): number {
    const past = this.#past.get(slot);
    if (past === undefined) return 0;
    return at - past.closedAt <= soonMs(past) ? Math.min(FLAPS_MAX, past.flaps + 1) : 0;
  }

  /** Where a value stands between the level before the sensor's open episode and the value that opened it; see `standingOf`. */
  standing(slot: number, value: number): ReturnType<typeof standingOf> {
    const { opened } = this.#open.get(slot)!;
    const before = levelOf(opened.moving);
    return before === undefined ? undefined : standingOf(before, opened.value, value);
  }

  /** For how long the sensor's open episode has been open at `at`, in milliseconds of event time. */
  openMs(slot: number, at: EpochMs): number {
    return at - this.#open.get(slot)!.opened.openedAt;
  }

  /**
   * Whether a reading is of the level to which the sensor came back when its last episode closed, not long ago: whatever had got used to the fault
   * finds that unusual, and it is no fault.
   */
  isReturn(slot: number, { eventTime, value }: Reading): boolean {
    const past = this.#past.get(slot);
    if (past?.level === undefined || eventTime - past.closedAt > soonMs(past)) return false;
    return isAt(past.level, value);
  }

  /** Closes the sensor's open episode because its level counts as normal now. */
  adopt(slot: number, at: EpochMs): EpisodeEvent | undefined {
    const sensor = this.#context.sensor(slot);
    const lasted = durationInWords(this.openMs(slot, at));
    return this.close(
      slot,
      at,
      'adopted',
      `${nameOf(sensor)} has stayed where it was; adopted as normal after ${lasted}.`,
    );
  }

  /** Has the sensor's open episode name others; the record of it, or undefined if there is nothing new to tell. */
  relate(slot: number, ids: readonly string[]): EpisodeEvent | undefined {
    const episode = this.#open.get(slot);
    if (episode === undefined || episode.related.length >= limits.relatedMax) return undefined;
    episode.related = [...episode.related, ...ids].slice(0, limits.relatedMax);
    return record(episode, 'updated', episode.sentAt);
  }

  /** Makes the sensor's open episode critical; the record of it, or undefined if it was. */
  escalate(slot: number, at: EpochMs): EpisodeEvent | undefined {
    const episode = this.#open.get(slot);
    if (episode === undefined || episode.severity === 'critical') return undefined;
    episode.severity = 'critical';
    episode.sentAt = at;
    return record(episode, 'updated', at);
  }

  /** Closes the sensor's open episode, if there is one; not before its last record. `explanation` replaces the one so far. */
  close(slot: number, at: EpochMs, closeReason: CloseReason, explanation?: string): EpisodeEvent | undefined {
    const episode = this.#open.get(slot);
    if (episode === undefined) return undefined;
    this.#open.delete(slot);
    this.#states[slot]! &= ~OPEN;
    const { openedAt, moving } = episode.opened;
    const level = levelOf(closeReason === 'adopted' ? this.#context.moving(slot) : moving);
    this.#past.set(slot, {
      openedAt,
      closedAt: at,
      flaps: Math.log2(episode.closeAfter / this.detector.closeAfterReadings),
      ...(level !== undefined && { level }),
    });
    if (explanation !== undefined) episode.explanation = clip(explanation);
    return closing(episode, closeReason, at);
  }

  /** A copy of the sensor's open episode. */
  openEpisode(slot: number): OpenEpisode | undefined {
    const episode = this.#open.get(slot);
    return episode && { ...episode };
  }

  /** Takes up what {@link openEpisode} gave, of a sensor that has none open. */
  restoreOpen(slot: number, episode: OpenEpisode): void {
    this.#keepOpen(slot, { ...episode });
  }

  #keepOpen(slot: number, episode: OpenEpisode): void {
    this.#open.set(slot, episode);
    this.#states[slot]! |= OPEN;
  }

  /** What is kept of the last closed episodes, six numbers each. */
  snapshotPast(): Float64Array {
    const numbers: number[] = [];
    const bySlot = [...this.#past].sort(([a], [b]) => a - b);
    for (const [slot, { openedAt, closedAt, flaps, level }] of bySlot) {
      numbers.push(slot, openedAt, closedAt, flaps, level?.mean ?? NaN, level?.sd ?? NaN);
    }
    return Float64Array.from(numbers);
  }

  /** Takes up what {@link snapshotPast} gave. */
  restorePast(numbers: Float64Array): void {
    for (let i = 0; i + 5 < numbers.length; i += 6) {
      const [mean, sd] = [numbers[i + 4]!, numbers[i + 5]!];
      this.#past.set(numbers[i]!, {
        openedAt: epochMs(numbers[i + 1]!),
        closedAt: epochMs(numbers[i + 2]!),
        flaps: numbers[i + 3]!,
        ...(!Number.isNaN(mean) && { level: { mean, sd } }),
      });
    }
  }

  /** What the detector has learned, and what it made of each sensor's newest reading. */
  captureDetector(cut: RowsCut): CapturedSection {
    const { name, state } = this.detector;
    const judgements = this.#states.slice(0, this.#sensors);
    for (const slot of this.#open.keys()) judgements[slot]! &= ~OPEN;
    return learnedSection(name, state, cut, { [JUDGED]: judgements });
  }

  /**
   * Takes up what a snapshot holds of the detector.
   *
   * @param sensors how many there are.
   * @throws RangeError, and nothing is changed, if what was learned does not fit the detector as it is now.
   */
  restoreDetector(section: StateSection, sensors: number): void {
    const judgements = section.arrays[JUDGED];
    if (!(judgements instanceof Uint8Array) || judgements.length !== sensors) {
      throw new RangeError(`${JUDGED} holds ${judgements?.length ?? 'no'} numbers instead of ${sensors}`);
    }
    restoreLearned(section, this.detector.state, sensors);
    for (const [slot, place] of judgements.entries()) {
      const known = place < JUDGEMENTS.length ? place : placeOf('undecided');
      this.#states[slot] = known | (this.#states[slot]! & OPEN);
    }
  }
}

/** The record that closes an episode, not before its last one. */
export const closing = (episode: OpenEpisode, closeReason: CloseReason, at: EpochMs): EpisodeEvent => ({
  ...record(episode, 'closed', epochMs(Math.max(at, episode.sentAt))),
  closeReason,
});

function record(episode: OpenEpisode, phase: AnomalyPhase, eventTime: EpochMs): EpisodeEvent {
  const { opened, severity, explanation, readings, worstValue, worstAt, worstScore } = episode;
  const worst = { value: worstValue, at: worstAt, score: worstScore };
  const { related } = episode;
  return {
    ...opened,
    phase,
    severity,
    eventTime,
    worst,
    readings,
    explanation,
    ...(related.length > 0 && { related: [...related] }),
  };
}
