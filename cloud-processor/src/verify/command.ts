import { EXIT, pause, StartError } from '@floorwatch/runtime';

import type { ProcessorConfig } from '../config.ts';
import { ProcessorApi } from '../processor-api.ts';
import { QueryError, QueryReader } from '../serve/query-reader.ts';
import { addsUp, describeReport, isProven } from './describe-report.ts';
import type { VerifyStatus } from '@floorwatch/contracts/api';

/** What a person gives on the command line. */
export interface VerifyOptions {
  readonly from?: string;
  readonly to?: string;
  readonly gateway?: string;
  readonly json: boolean;
}

export const VERIFY_HELP = `
Asks the running processor, which goes on working. Compared is, as of one checkpoint: whether the records of every gateway are complete; the
accepted readings that each gateway counted, per sensor and event hour, with the windows of every size; its episodes with the stored anomalies.
What is on its way is named and not judged. docs/verify.md explains every line.

Exit code: 0 everything adds up; 1 something does not (the list says what), or it could not be compared; 2 it could not begin; 3 nothing differs, but the processor has no evidence of its own of all of it (the
list says since when it has).`;

/** `verify`. */
export async function verify(config: ProcessorConfig, options: VerifyOptions, signal: AbortSignal): Promise<number> {
  const query = queryOf(options);
  const api = await ProcessorApi.at('/verify', config.http);
  const remedy = 'is the processor running? It alone can read its store while it compares';
  const ask = async (method: string, search = ''): Promise<VerifyStatus> => api.ask(method, search, remedy);
  const status = await follow(ask, query, signal);
  if (options.json) print(JSON.stringify(status));
  else for (const line of describeReport(status)) print(line);
  if (status.state !== 'done' || !addsUp(status)) return EXIT.failed;
  return isProven(status) ? EXIT.ok : EXIT_UNPROVEN;
}

/** Nothing differs, but there is no evidence of all that was compared. */
const EXIT_UNPROVEN = 3;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function follow(
  ask: (method: string, search?: string) => Promise<VerifyStatus>,
  query: string,
  signal: AbortSignal,
): Promise<VerifyStatus> {
  let status = await ask('POST', query);
  const { startedAt } = status;
  for (let saidAt = performance.now(); status.state === 'running';) {
    await pause(POLL_MS, signal);
    status = await ask(signal.aborted ? 'DELETE' : 'GET');
    if (status.startedAt !== startedAt) throw new StartError('usage', 'another run has begun meanwhile; try again');
    if (performance.now() - saidAt < PROGRESS_MS) continue;
    saidAt = performance.now();
    const { done, total, now } = status.progress;
    process.stderr.write(`${total === 0 ? '' : `gateway ${done + 1} of ${total}: `}${now ?? ''}\n`);
  }
  return status;
}

const POLL_MS = 200;
const PROGRESS_MS = 2_000;

/** @throws StartError */
function queryOf({ from, to, gateway }: VerifyOptions): string {
  try {
    const given = { ...(from !== undefined && { from: [from] }), ...(to !== undefined && { to: [to] }) };
    const read = new QueryReader(given, ['from', 'to']);
    const query = new URLSearchParams();
    for (const name of ['from', 'to'] as const) {
      const at = read.instant(name);
      if (at !== undefined) query.set(name, String(at));
    }
    if (gateway !== undefined) {
      const [site, name, ...rest] = gateway.split('/');
      if (site === undefined || site === '' || name === '' || rest.length > 0) {
        throw new StartError('usage', `--gateway: "${gateway}" is no gateway; give site/gateway, or a site alone`);
      }
      query.set('site', site);
      if (name !== undefined) query.set('gateway', name);
    }
    return query.size === 0 ? '' : `?${query.toString()}`;
  } catch (error) {
    if (error instanceof QueryError) throw new StartError('usage', `--${error.message}`, { cause: error });
    throw error;
  }
}
