import { createLogger, EXIT, httpToken, messageOf, pause, StartError } from '@floorwatch/runtime';

import type { ProcessorConfig } from '../config.ts';
import { deafObserver } from '../floor-observer.ts';
import { Pipeline } from '../pipeline.ts';
import { processorAddress } from '../serve/address.ts';
import { QueryError, QueryReader, required } from '../serve/query-reader.ts';
import { createStore } from '../write/create-store.ts';
import { RetentionClock } from '../write/retention-clock.ts';
import type { ReplayGap } from './replay.ts';
import type { ReprocessRequest, ReprocessStatus } from './reprocess-state.ts';

/** What a person gives on the command line. */
export interface ReprocessOptions {
  readonly from: string;
  readonly to: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export const REPROCESS_HELP = `
Live reading of one partition after the other waits meanwhile, and goes on by itself. A window is written only if it lies wholly inside the
range, if the stream still holds everything that belongs into it, and if what the store holds is not newer. Doing it again changes nothing.
Ctrl-C stops it; what was written stays and is right.

Exit code: 0 everything in the range that the stream still holds was compared, and what differed is in the store; 1 not everything (the
message says why); 2 it could not begin.`;

/** `reprocess --from --to`. */
export async function reprocess(
  config: ProcessorConfig,
  options: ReprocessOptions,
  signal: AbortSignal,
): Promise<number> {
  const request = requestOf(options);
  const progress = new ProgressLine();
  const status =
    (await askRunning(config, request, progress, signal)) ?? (await doAlone(config, request, progress, signal));
  const lines = options.json ? [JSON.stringify(status)] : inWords(status);
  process.stdout.write(`${lines.join('\n')}\n`);
  return status.state === 'done' ? EXIT.ok : EXIT.failed;
}

/** @throws StartError */
function requestOf({ from, to, dryRun }: ReprocessOptions): ReprocessRequest {
  try {
    const query = new QueryReader({ from: [from], to: [to] }, ['from', 'to']);
    const remedy = 'give an instant';
    const range = {
      from: required('from', query.instant('from'), remedy),
      to: required('to', query.instant('to'), remedy),
    };
    if (range.from >= range.to) throw new QueryError('from', from, `is not before --to ${to}`, 'use an earlier one');
    return { ...range, dryRun };
  } catch (error) {
    if (error instanceof QueryError) throw new StartError('usage', `--${error.message}`, { cause: error });
    throw error;
  }
}

/** Has the running processor do it; undefined if none can be reached. */
async function askRunning(
  config: ProcessorConfig,
  { from, to, dryRun }: ReprocessRequest,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<ReprocessStatus | undefined> {
  const token = await httpToken(config.http);
  const base = `${processorAddress(config.http)}/api/v1/reprocess`;
  const ask = async (method: string, query = ''): Promise<Response> =>
    fetch(base + query, { method, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  const query = `?from=${from}&to=${to}${dryRun ? '&dryRun=true' : ''}`;
  let response: Response;
  try {
    response = await ask('POST', query);
  } catch {
    return undefined;
  }
  if (!response.ok) throw new StartError('usage', `${base}: ${await problemOf(response)}`);
  let status = (await response.json()) as ReprocessStatus;
  const { startedAt } = status;
  for (let [isStopping, failures] = [false, 0]; status.state === 'running';) {
    progress.tell(status);
    await pause(POLL_MS, isStopping ? never : signal);
    const method = signal.aborted && !isStopping ? 'DELETE' : 'GET';
    isStopping = signal.aborted;
    try {
      response = await ask(method);
      if (!response.ok) return failed(status, `the processor has begun anew meanwhile (${await problemOf(response)})`);
      const next = (await response.json()) as ReprocessStatus;
      if (next.startedAt !== startedAt) return failed(status, 'this run has ended, and somebody has begun another one');
      status = next;
      failures = 0;
    } catch (error) {
      if (++failures > FAILURES_MAX) return failed(status, `the processor has gone away: ${messageOf(error)}`);
    }
  }
  return status;
}

const POLL_MS = 500;
const FAILURES_MAX = 10;
const never = new AbortController().signal;

const failed = (status: ReprocessStatus, problem: string): ReprocessStatus => ({
  ...status,
  state: 'failed',
  problems: [...status.problems, `${problem}; what was written is right: run it once more`],
});

async function problemOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => ({}))) as { readonly error?: string };
  return body.error ?? `the processor answered with status ${response.status}`;
}

/** Does it without a processor: takes the folder's lock and the claims of its partitions, and reads nothing else. */
async function doAlone(
  config: ProcessorConfig,
  request: ReprocessRequest,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<ReprocessStatus> {
  const logger = createLogger('processor', 'warn');
  const clock = new RetentionClock();
  const store = createStore(config.store, logger, clock);
  const pipeline = new Pipeline({ config, store, observer: deafObserver, logger, clock, holdsReading: true });
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  try {
    await pipeline.open();
    const running = pipeline.run(stopping.signal).finally(stop);
    running.catch(() => undefined);
    try {
      const { reprocessor } = pipeline;
      while (reprocessor?.start(request) !== 'started') {
        if (signal.aborted || stopping.signal.aborted) break;
        progress.waiting(pipeline.health().parts);
        await pause(POLL_MS, signal);
      }
      while (reprocessor?.status?.state === 'running' && !stopping.signal.aborted) {
        progress.tell(reprocessor.status);
        await pause(POLL_MS, signal);
        if (signal.aborted) await reprocessor.stop();
      }
      if (reprocessor?.status !== undefined) return reprocessor.status;
    } finally {
      stop();
      await running;
    }
  } finally {
    await pipeline.close();
  }
  throw new StartError('usage', 'stopped before NATS and the store could be reached');
}

/** Says now and then how far it is, on standard error. */
class ProgressLine {
  #saidAt = -Infinity;
  #said = '';

  tell({ now, partitions, counts }: ReprocessStatus): void {
    if (now === null) return;
    const { partition, phase, position, through } = now;
    const { same, missing, changed } = counts.windows;
    const part = through === 0 ? 100 : Math.floor((100 * position) / through);
    const what = { waiting: 'waiting for the store', surveying: 'looking what the stream holds', writing: 'writing' };
    const doing = phase === 'replaying' ? `replaying, ${part} % of the stream` : what[phase];
    this.#say(
      `partition ${partition} (${partitions.done + 1} of ${partitions.total}): ${doing}; windows so far: ${same} same, ${missing} missing, ${changed} different`,
    );
  }

  waiting(parts: Readonly<Record<string, string>>): void {
    const missing = ['nats', 'claims', 'store'].flatMap((part) =>
      parts[part] === 'ok' ? [] : [`${part}: ${parts[part]}`],
    );
    this.#say(`waiting (${missing.join(', ')})`);
  }

  #say(line: string): void {
    if (line === this.#said || performance.now() - this.#saidAt < PROGRESS_MS) return;
    this.#saidAt = performance.now();
    this.#said = line;
    process.stderr.write(`${line}\n`);
  }
}

const PROGRESS_MS = 2_000;

const GAPS: Readonly<Record<ReplayGap, string>> = {
  'nothing-held': 'the stream holds nothing of it that could be begun with',
  astray: 'its records stand in the stream in another order than they were taken in',
  stuck: 'records of it are missing in the middle',
};

function inWords(status: ReprocessStatus): string[] {
  const { state, dryRun, counts, gateways, problems } = status;
  const { same, missing, changed, kept, partial } = counts.windows;
  const { anomalies } = counts;
  const verb = dryRun ? 'would be written' : 'written';
  return [
    `windows: ${same} as stored, ${missing + changed} ${verb} (${missing} were missing, ${changed} different)`,
    ...(kept === 0 ? [] : [`windows: ${kept} left alone, because the store knows more of them`]),
    ...(partial === 0
      ? []
      : [`windows: ${partial} left alone, because the stream no longer holds all that belongs into them`]),
    `anomalies: ${anomalies.same} as stored, ${anomalies.missing + anomalies.changed} ${verb} (${anomalies.missing} were missing, ${anomalies.changed} different)`,
    ...gateways.map(({ gateway, why }) => `${gateway}: not everything could be made again: ${GAPS[why]}`),
    ...problems,
    {
      running: 'not done',
      done: 'done',
      failed: 'not everything was done',
      stopped: 'stopped; what was written stays and is right',
    }[state],
  ];
}
