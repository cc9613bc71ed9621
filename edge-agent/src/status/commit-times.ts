import { Histogram } from 'prom-client';

/** The logs whose commits are timed. */
export type TimedLog = 'journal' | 'anomaly' | 'telemetry';

/** From 0.1 ms (`durability: process`) over SSDs and SD cards to a disk that hangs, in seconds. */
const BUCKETS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];

/** How long commits to the logs take: from the beginning of the write until it is safe. One observation per commit. */
export class CommitTimes {
  /** For the registry of the status page. */
  readonly histogram = new Histogram({
    name: 'floorwatch_agent_commit_seconds',
    help: 'Time that a commit to a log on disk takes, write and sync',
    labelNames: ['log'],
    buckets: BUCKETS,
    registers: [],
  });

  /** What a segment log's option `committed` takes. */
  observer(log: TimedLog): (commit: { readonly durationMs: number }) => void {
    const child = this.histogram.labels({ log });
    return ({ durationMs }) => child.observe(durationMs / 1_000);
  }
}
