import type { EpochMs, GatewayName, Lane } from '@floorwatch/contracts';

import type { LostNumbers } from './ledger.ts';

/** What to verify. */
export interface VerifyRequest {
  /** Event hours from here on; absent: the seven days before `to`, and at most what the store keeps. */
  readonly from?: EpochMs;
  /** Up to here; absent: up to each gateway's watermark. */
  readonly to?: EpochMs;
  /** Only gateways of this site, or of this name. */
  readonly site?: string;
  readonly gateway?: string;
}

/** A number of readings or episodes, and the sum of their hashes; null: nobody knows it. */
export interface Counted {
  readonly n: number;
  readonly hash: string | null;
}

/** Something that does not add up. */
export interface Difference extends GatewayName {
  /**
   * `readings`: windows hold others than the gateway accepted. `values`: windows of two sizes over the same readings say different things.
   * `untold`: there are windows of which the gateway told nothing. `opened`, `closed`: episodes. `numbers`: records are missing for long.
   * `lost`: the numbers that a gateway declared lost do not account for what is missing. `intake`: the gateway's own counters. `taken`: the
   * store holds others than the processor took, by the sums in its checkpoint. `report`: the newest report of the gateway that the processor
   * took is not stored. `alarm`: an alarm stands.
   */
  readonly kind:
    | 'readings'
    | 'values'
    | 'untold'
    | 'opened'
    | 'closed'
    | 'numbers'
    | 'lost'
    | 'intake'
    | 'taken'
    | 'report'
    | 'alarm';
  /** `device/metric`; null: of the whole gateway. */
  readonly sensor: string | null;
  /** Such as `1m`; null: of no size. */
  readonly size: string | null;
  /** The stretch of event time that was compared, [from, to); null: of no time. */
  readonly from: EpochMs | null;
  readonly to: EpochMs | null;
  readonly told: Counted | null;
  readonly stored: Counted | null;
  /** What is wrong, the likely cause, and what to do. */
  readonly finding: string;
  readonly cause: string;
  readonly remedy: string;
}

export interface LaneReport {
  readonly lane: Lane;
  /** Epochs that are remembered, and the one that records were taken from last with the last number applied. */
  readonly epochs: number;
  readonly epoch: string | null;
  readonly floor: number;
  /** Numbers that are known to exist and have not been applied: on their way again. */
  readonly inFlight: number;
}

/** What a gateway says of its intake since its start. */
export interface IntakeReport {
  readonly startedAt: EpochMs;
  readonly at: EpochMs;
  readonly received: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly duplicate: number;
  readonly quarantined: number;
  readonly retainedCopies: number;
}

/** How far the sums in the checkpoint reach, which alone show what is missing together with its counts. */
export interface EvidenceReport {
  /** Event hours from here on are summed; null: all, or none if it is not `isWhole`. */
  readonly since: EpochMs | null;
  /** All hours that were compared are summed. */
  readonly isWhole: boolean;
}

export interface GatewayReport extends GatewayName {
  readonly watermark: EpochMs | null;
  readonly lanes: readonly LaneReport[];
  /** Numbers that it declared lost, the newest last. */
  readonly lost: readonly LostNumbers[];
  readonly intake: IntakeReport | null;
  readonly evidence: EvidenceReport;
  readonly readings: {
    /** Accepted readings in the hours that were compared, and sensor hours of them. */
    readonly told: number;
    readonly hours: number;
    /** Windows that hold them, of all sizes. */
    readonly windows: number;
    /** Sensor hours about which nothing is said because something of them is on its way, or they are not over. */
    readonly inFlight: number;
    /** Sensor hours that the gateway did not count, because an older release ran, or whose count was lost. */
    readonly uncounted: number;
    /** Sensor hours with windows that an older release had a part in: their readings were counted but not compared one by one. */
    readonly unhashed: number;
    /** Readings that are missing in windows because of numbers that the gateway declared lost. */
    readonly lost: number;
    /** Readings that came after their window was sealed (as far as they are remembered), and rollups that wait to be merged. */
    readonly late: number;
    readonly lateWaiting: number;
  };
  readonly episodes: {
    readonly opened: number;
    readonly closed: number;
    readonly hours: number;
    readonly inFlight: number;
    readonly uncounted: number;
  };
}

export interface VerifyReport {
  /** Everything that could be compared adds up. */
  readonly ok: boolean;
  readonly gateways: readonly GatewayReport[];
  /** Gateways that the store has reports of, and the checkpoint does not know: there is no evidence of them. */
  readonly unknown: readonly GatewayName[];
  /** There is evidence of all that was compared, and something of which there is. */
  readonly isProven: boolean;
  readonly differences: readonly Difference[];
  /** How many there are; `differences` holds the first ones. */
  readonly differencesTotal: number;
  readonly deadLetters: number;
  /** Since the processor's start: rows that were older than the store keeps them, and readings that found no place in a window. */
  readonly expired: number;
  readonly refusedReadings: Readonly<Record<string, number>>;
  /** Rows of the cut that the store had not confirmed; they were compared all the same. */
  readonly unsent: number;
}

/** How far a run is, and what it found. */
export interface VerifyStatus {
  readonly state: 'running' | 'done' | 'failed' | 'stopped';
  readonly request: VerifyRequest;
  readonly startedAt: EpochMs;
  readonly endedAt: EpochMs | null;
  readonly progress: { readonly done: number; readonly total: number; readonly now: string | null };
  /** Set when `state` is `done`. */
  readonly report: VerifyReport | null;
  /** Why it failed. */
  readonly problem: string | null;
}
