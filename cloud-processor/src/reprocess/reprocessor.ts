import { type Logger, messageOf } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { Lane } from '../partition-parts.ts';
import type { Store } from '../write/store.ts';
import { ReprocessError } from './patient-store.ts';
import type { ReplayGap } from './replay.ts';
import { reprocessPartition } from './reprocess-partition.ts';
import { noCounts, type ReprocessCounts, type ReprocessRequest, type ReprocessStatus } from './reprocess-state.ts';
import type { StreamPass } from './stream-pass.ts';

/** One run, while it goes on and after it. */
interface Run {
  readonly request: ReprocessRequest;
  readonly startedAt: number;
  readonly counts: ReprocessCounts;
  readonly stopping: AbortController;
  readonly gateways: { readonly gateway: string; readonly why: ReplayGap }[];
  readonly problems: string[];
  ended: Promise<void>;
  state: ReprocessStatus['state'];
  endedAt: number | null;
  done: number;
  now: ReprocessStatus['now'];
}

/** Makes windows again from the stream, one run at a time and one partition after the other, while the others go on. */
export class Reprocessor {
  readonly #lanes: readonly Lane[];
  readonly #store: Store;
  readonly #stream: () => StreamPass | undefined;
  readonly #logger: Logger;
  #run: Run | undefined;

  /** @param options.stream undefined while NATS or the store can't be used. */
  constructor(options: {
    readonly lanes: readonly Lane[];
    readonly store: Store;
    readonly stream: () => StreamPass | undefined;
    readonly logger: Logger;
  }) {
    this.#lanes = options.lanes;
    this.#store = options.store;
    this.#stream = options.stream;
    this.#logger = options.logger;
  }

  /** The run that goes on, or the last one; undefined: there was none since the start. */
  get status(): ReprocessStatus | undefined {
    return this.#run === undefined ? undefined : statusOf(this.#run, this.#lanes.length);
  }

  /** Starts a run. `busy`: one goes on. `not-now`: NATS or the store can't be used yet. */
  start(request: ReprocessRequest): 'started' | 'busy' | 'not-now' {
    if (this.#run?.state === 'running') return 'busy';
    const stream = this.#stream();
    if (stream === undefined) return 'not-now';
    const run: Run = {
      request,
      startedAt: Date.now(),
      counts: noCounts(),
      stopping: new AbortController(),
      gateways: [],
      problems: [],
      ended: Promise.resolve(),
      state: 'running',
      endedAt: null,
      done: 0,
      now: null,
    };
    this.#run = run;
    run.ended = this.#work(run, stream);
    return 'started';
  }

  /** Stops the run that goes on; what it wrote stays. Resolves when live reading goes on. Returns false if there was none. */
  async stop(): Promise<boolean> {
    const run = this.#run;
    if (run?.state !== 'running') return false;
    run.stopping.abort(new ReprocessError('it was stopped'));
    await run.ended;
    return true;
  }

  async #work(run: Run, stream: StreamPass): Promise<void> {
    const { request, counts, gateways, problems, stopping } = run;
    this.#logger.info({ ...request }, 'reprocessing has begun');
    for (const lane of this.#lanes) {
      const { number } = lane.runner.partition;
      try {
        await reprocessPartition(
          {
            lane,
            stream,
            store: this.#store,
            request,
            counts,
            tell: (step) => (run.now = { partition: number, ...step }),
            unfinished: (found) => gateways.push(...found),
          },
          stopping.signal,
        );
        run.done += 1;
      } catch (error) {
        if (stopping.signal.aborted) break;
        problems.push(`partition ${number}: ${messageOf(error)}`);
        const stack = error instanceof ReprocessError || !(error instanceof Error) ? {} : { stack: error.stack };
        this.#logger.error(
          { partition: number, error: messageOf(error), ...stack },
          'a partition could not be reprocessed',
        );
      }
    }
    run.now = null;
    run.endedAt = Date.now();
    const isWhole = problems.length === 0 && gateways.every(isSilent);
    run.state = stopping.signal.aborted ? 'stopped' : isWhole ? 'done' : 'failed';
    this.#logger.info({ state: run.state, ...counts, gateways: shownOf(gateways), problems }, 'reprocessing has ended');
  }
}

const statusOf = (run: Run, total: number): ReprocessStatus => ({
  ...run.request,
  state: run.state,
  startedAt: run.startedAt,
  endedAt: run.endedAt,
  partitions: { done: run.done, total },
  now: run.now,
  counts: run.counts,
  gateways: shownOf(run.gateways),
  problems: run.problems,
});

/** It was silent for longer than the stream keeps, and so nothing is wrong. */
const isSilent = ({ why }: Run['gateways'][number]): boolean => why === 'nothing-held';

/** As many as are shown, those first that a person should look at. */
const shownOf = (gateways: Run['gateways']): Run['gateways'] =>
  gateways.toSorted((a, b) => Number(isSilent(a)) - Number(isSilent(b))).slice(0, processorLimits.replayGatewaysShown);
