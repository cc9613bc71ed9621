import { epochMs, type GatewayRow, gatewayKey } from '@floorwatch/contracts';
import { type Logger, messageOf } from '@floorwatch/runtime';

import type { CheckpointState } from '../checkpoint/format.ts';
import { processorLimits } from '../limits.ts';
import { type Store, StoreError } from '../write/store.ts';
import { cutsOf, type GatewayCut } from './cut.ts';
import type { Difference, GatewayReport, VerifyReport, VerifyRequest, VerifyStatus } from './report.ts';
import { verifyGateway } from './verify-gateway.ts';

/** What the verifier asks the processor. */
export interface VerifyTarget {
  readonly store: Pick<Store, 'scan' | 'gateways'>;
  /** Sizes of the windows that are made. */
  readonly sizes: readonly number[];
  /** How long rows are kept, in milliseconds; 0: for ever. */
  readonly keptMs: number;
  /** Whether the store can be asked. */
  ready(): boolean;
  /** The next checkpoint of every partition. @throws the reason of `signal` */
  cut(signal: AbortSignal): Promise<readonly CheckpointState[]>;
  /** Figures since the start that explain what is missing. */
  figures(): Pick<VerifyReport, 'deadLetters' | 'expired' | 'refusedReadings'>;
}

/**
 * Compares, on a running processor, what gateways told with what is stored, as of one checkpoint of every partition. One run at a time; it
 * reads and writes nothing else.
 */
export class Verifier {
  readonly #target: VerifyTarget;
  readonly #logger: Logger;
  #status: VerifyStatus | undefined;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(target: VerifyTarget, logger: Logger) {
    this.#target = target;
    this.#logger = logger;
  }

  /** Of the run in hand, or the last one; undefined: there was none. */
  get status(): VerifyStatus | undefined {
    return this.#status;
  }

  start(request: VerifyRequest): 'started' | 'busy' | 'not-now' {
    if (this.#status?.state === 'running') return 'busy';
    if (!this.#target.ready()) return 'not-now';
    this.#stop = new AbortController();
    const progress = { done: 0, total: 0, now: 'waiting for a checkpoint' };
    const startedAt = epochMs(Date.now());
    this.#status = { state: 'running', request, startedAt, endedAt: null, progress, report: null, problem: null };
    this.#running = this.#run(request, this.#stop.signal);
    return 'started';
  }

  /** Stops the run in hand. Returns false if there is none. */
  async stop(): Promise<boolean> {
    if (this.#status?.state !== 'running') return false;
    this.#stop.abort();
    await this.#running;
    return true;
  }

  async #run(request: VerifyRequest, signal: AbortSignal): Promise<void> {
    try {
      const report = await this.#verify(request, signal);
      const { gateways, differencesTotal: differences } = report;
      this.#logger.info({ ok: report.ok, gateways: gateways.length, differences }, 'verified what is stored');
      this.#end('done', { report });
    } catch (error) {
      if (signal.aborted) this.#end('stopped', { problem: 'it was stopped' });
      else this.#end('failed', { problem: problemOf(error) });
    }
  }

  #end(state: VerifyStatus['state'], more: Partial<Pick<VerifyStatus, 'report' | 'problem'>>): void {
    if (this.#status !== undefined) this.#status = { ...this.#status, ...more, state, endedAt: epochMs(Date.now()) };
  }

  #progress(done: number, total: number, now: string): void {
    if (this.#status !== undefined) this.#status = { ...this.#status, progress: { done, total, now } };
  }

  async #verify(request: VerifyRequest, signal: AbortSignal): Promise<VerifyReport> {
    const { store, sizes, keptMs } = this.#target;
    const states = await this.#cut(signal);
    const cuts = states.flatMap(cutsOf).filter((cut) => isWanted(cut, request));
    const reports = new Map<string, GatewayRow>();
    for (const row of await store.gateways(0)) reports.set(gatewayKey(row), row);
    const differences: Difference[] = [];
    let differencesTotal = 0;
    const report = (difference: Difference): void => {
      differencesTotal += 1;
      if (differences.length < processorLimits.verifyDifferencesMax) differences.push(difference);
    };
    const gateways: GatewayReport[] = [];
    for (const [done, cut] of cuts.entries()) {
      const now = epochMs(Date.now());
      const given = { cut, store, request, sizes, now, report, reported: reports.get(gatewayKey(cut)) };
      // What is about to be dropped may be gone already.
      const keptFrom = keptMs === 0 ? -Infinity : now - keptMs + 3_600_000;
      const progress = (at: string): void => this.#progress(done, cuts.length, at);
      gateways.push(await verifyGateway({ ...given, keptFrom, progress }, signal));
    }
    const unsent = states.reduce((sum, state) => sum + state.unsent.length, 0);
    const found = { differences, differencesTotal, unsent, ...this.#target.figures() };
    return { ok: differencesTotal === 0, gateways, ...found };
  }

  async #cut(signal: AbortSignal): Promise<readonly CheckpointState[]> {
    const tooLong = AbortSignal.timeout(processorLimits.verifyCutMsMax);
    const states = await this.#target.cut(AbortSignal.any([signal, tooLong])).catch((error: unknown) => {
      if (tooLong.aborted) throw new NoCutError('no checkpoint could be saved; /healthz says why');
      throw error;
    });
    if (states.some(({ comparing }) => comparing)) {
      throw new NoCutError(
        'the processor has begun from an earlier checkpoint and is comparing it with the store; try again in a minute or two',
      );
    }
    return states;
  }
}

class NoCutError extends Error {}

const isWanted = ({ site, gateway }: GatewayCut, request: VerifyRequest): boolean =>
  (request.site ?? site) === site && (request.gateway ?? gateway) === gateway;

const problemOf = (error: unknown): string =>
  error instanceof StoreError ? `the store could not be read: ${error.message}` : messageOf(error);
