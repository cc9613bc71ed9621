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
  /** Readings that went because it was full, since the start. */
  readonly dropped: number;
}

/** What the agent tells of what it keeps on disk. */
export interface DurableViews {
  readonly journal: JournalView;
  readonly snapshot: SnapshotView;
  readonly quarantine: QuarantineView;
  /** null: readings are taken. */
  readonly refusing: RefusalView | null;
}
