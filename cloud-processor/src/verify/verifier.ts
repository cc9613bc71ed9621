import {
  type EpochMs,
  epochMs,
  type GatewayName,
  type GatewayRow,
  gatewayKey,
  partitionOf,
} from '@floorwatch/contracts';
import { type Logger, messageOf } from '@floorwatch/runtime';

import type { CheckpointState } from '../checkpoint/format.ts';
import { processorLimits } from '../limits.ts';
import { type Store, StoreError } from '../write/store.ts';
import { cutsOf, type GatewayCut } from './cut.ts';
import type { Difference, GatewayReport, VerifyReport, VerifyRequest, VerifyStatus } from '@floorwatch/contracts/api';
import { verifyGateway } from './verify-gateway.ts';

/** What the verifier asks the processor. */
export interface VerifyTarget {
  readonly store: Pick<Store, 'scan' | 'gateways'>;
  /** Sizes of the windows that are made. */
  readonly sizes: readonly number[];
  /** The processor's clock. */
  now(): EpochMs;
  /** Rows of an event time before that may have been deleted for their age; −Infinity: none. */
  keptFrom(): number;
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
    const { store, sizes } = this.#target;
    const states = await this.#cut(signal);
    const known = states.flatMap(cutsOf);
    const cuts = known.filter((cut) => isWanted(cut, request));
    const reports = new Map<string, GatewayRow>();
    for (const row of await store.gateways(0)) reports.set(gatewayKey(row), row);
    const unknown = unknownOf(reports, known, states).filter((name) => isWanted(name, request));
    const differences: Difference[] = [];
    let differencesTotal = 0;
    const report = (difference: Difference): void => {
      differencesTotal += 1;
      if (differences.length < processorLimits.verifyDifferencesMax) differences.push(difference);
    };
    const gateways: GatewayReport[] = [];
    for (const [done, cut] of cuts.entries()) {
      const now = this.#target.now();
      const given = { cut, store, request, sizes, now, report, reported: reports.get(gatewayKey(cut)) };
      const keptFrom = this.#target.keptFrom();
      const progress = (at: string): void => this.#progress(done, cuts.length, at);
      gateways.push(await verifyGateway({ ...given, keptFrom, progress }, signal));
    }
    const unsent = states.reduce((sum, state) => sum + state.unsent.length, 0);
    const isProven = gateways.length > 0 && unknown.length === 0 && gateways.every(({ evidence }) => evidence.isWhole);
    const found = { unknown, isProven, differences, differencesTotal, unsent, ...this.#target.figures() };
    return { ok: differencesTotal === 0, gateways, ...found };
  }

  async #cut(signal: AbortSignal): Promise<readonly CheckpointState[]> {
    const tooLong = AbortSignal.timeout(processorLimits.verifyCutMsMax);
    const states = await this.#target.cut(AbortSignal.any([signal, tooLong])).catch((error: unknown) => {
      if (tooLong.aborted) throw new NoCutError('no checkpoint could be saved; /healthz says why');
      throw error;
    });
    return states;
  }
}

class NoCutError extends Error {}

/** Gateways of these partitions that have reports in the store, and of which the checkpoints know nothing: those were lost, or begun anew. */
function unknownOf(
  reports: ReadonlyMap<string, GatewayName>,
  known: readonly GatewayCut[],
  states: readonly CheckpointState[],
): readonly GatewayName[] {
  const partitions = new Set(states.map(({ partition }) => partition));
  const keys = new Set(known.map(gatewayKey));
  return [...reports]
    .filter(([key, name]) => !keys.has(key) && partitions.has(partitionOf(name)))
    .map(([, { site, gateway }]) => ({ site, gateway }));
}

const isWanted = ({ site, gateway }: GatewayName, request: VerifyRequest): boolean =>
  (request.site ?? site) === site && (request.gateway ?? gateway) === gateway;

const problemOf = (error: unknown): string =>
  error instanceof StoreError ? `the store could not be read: ${error.message}` : messageOf(error);
