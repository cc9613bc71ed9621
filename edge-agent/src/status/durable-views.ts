import type { EpochMs } from '@floorwatch/contracts';
import type { SegmentLogCounts } from '@floorwatch/segment-log';

/** Why the agent takes no readings at the moment, so that devices keep them. */
export interface RefusalView {
  /** Which log has no room, or can't be written. */
  readonly log: 'journal' | 'anomaly' | 'telemetry' | 'quarantine';
  /** What its write was answered with, in words. */
  readonly why: string;
  readonly since: EpochMs;
}

/** How far reading again what was accepted before the start has come. */
export interface ReplayView {
  readonly state: 'running' | 'done';
  /** Items read again, and how many there are. */
  readonly items: number;
  readonly itemsTotal: number;
  readonly durationMs: number;
}

/** The log of accepted input. Counts are since the start. */
export interface JournalView {
  /** `power`: a reading is answered when it survives a power cut. `process`: when it survives a crash of the agent. */
  readonly durability: 'power' | 'process';
  readonly bytes: number;
  readonly bytesMax: number;
  /** Items held: those that the last snapshot does not cover, and up to a segment more. */
  readonly items: number;
  /** When the oldest item held came; null: there is none. */
  readonly oldestAt: EpochMs | null;
  /** `refused` are items that could not be appended: their devices were not answered. */
  readonly counts: Readonly<SegmentLogCounts>;
  /** Items that were safe once and could not be read at this start. */
  readonly damaged: number;
  readonly replay: ReplayView;
}

/** The newest snapshot of the state of all sensors. */
export interface SnapshotView {
  /** When it was taken; null: there is none yet. */
  readonly at: EpochMs | null;
  readonly bytes: number;
  /** From its beginning until it was safe, of the last one taken since the start. */
  readonly durationMs: number;
  /** How long the pipeline stood still for it. */
  readonly pauseMs: number;
  /** Attempts since the start that failed, and why the last attempt did, unless it succeeded. */
  readonly failures: number;
  readonly lastError?: string;
}

/** Readings whose time was not believed, on disk until a person settles them. */
export interface QuarantineView {
  readonly items: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** When the oldest came; null: there is none. */
  readonly oldestAt: EpochMs | null;
}

/** What a processor said last of how far a lane is safe there. */
export interface FloorView {
  /** null: it has heard nothing of this gateway that it could begin with. */
  readonly epoch: string | null;
  readonly floor: number;
  /** The highest number it knows of; above the floor, something is missing there. */
  readonly highest: number;
  readonly heardAt: EpochMs;
}

/** See {@link LaneAlarm}. */
export const ALARM_KINDS = ['identity', 'trimmed', 'stuck'] as const;

/**
 * Something about a lane that no program can settle.
 *
 * - `identity`: two agents use this gateway's name, or the disk is an older copy of itself.
 * - `trimmed`: the processor asked for records that the gateway holds no longer.
 * - `stuck`: the processor does not take a record, however often it gets it.
 */
export interface LaneAlarm {
  readonly kind: (typeof ALARM_KINDS)[number];
  /** The facts, in words. */
  readonly what: string;
  readonly since: EpochMs;
}

/** How far a lane has come on the disk, on the way and in the cloud. Counts are since the start. */
export interface LaneProgress {
  readonly epoch: string;
  /** Number of the newest record in {@link epoch}. */
  readonly lastNumber: number;
  /** When the oldest record was made that has not been sent; null: all have. */
  readonly oldestUnsentAt: EpochMs | null;
  /** Records that were never sent and dropped because there was no room. */
  readonly recordsDropped: number;
  /** Records that were safe once and could not be read at this start. */
  readonly recordsDamaged: number;
  readonly counts: Readonly<SegmentLogCounts>;
  /** null: nothing was heard since the start. */
  readonly floor: FloorView | null;
  /** Bytes sent and not yet committed by a processor. */
  readonly uncommittedBytes: number;
  /** At this many sending waits; null: no limit, because the processor asked for everything. */
  readonly uncommittedBytesMax: number | null;
  /** How often sending went back because the processor lacked something. */
  readonly rewinds: number;
  readonly gapsSent: number;
  /** Why the lane can't be sent, if it is the disk's fault. */
  readonly fault?: string;
  readonly alarms: readonly LaneAlarm[];
}

/** What the agent tells of what it keeps on disk. */
export interface DurableViews {
  readonly journal: JournalView;
  readonly snapshot: SnapshotView;
  readonly quarantine: QuarantineView;
  /** null: readings are taken. */
  readonly refusing: RefusalView | null;
}
