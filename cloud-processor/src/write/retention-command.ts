import { instantInWords } from '@floorwatch/contracts';
import { EXIT, StartError } from '@floorwatch/runtime';

import type { ProcessorConfig } from '../config.ts';
import { ProcessorApi } from '../processor-api.ts';
import { QueryError, QueryReader } from '../serve/query-reader.ts';
import type { RetentionStatus } from '@floorwatch/contracts/api';

const DAY_MS = 86_400_000;

/** `retention show`: what is due to be deleted. Exit code 1 while it waits for a person. */
export async function showRetention(config: ProcessorConfig, json: boolean): Promise<number> {
  const status = await ask(config, 'GET', '');
  print(status, json);
  return status.waits ? EXIT.failed : EXIT.ok;
}

/** `retention agree --before TIME`. */
export async function agreeRetention(config: ProcessorConfig, before: string, json: boolean): Promise<number> {
  print(await ask(config, 'POST', `/agree?before=${instantOf(before)}`), json);
  return EXIT.ok;
}

/** @throws StartError */
function instantOf(before: string): number {
  try {
    const at = new QueryReader({ before: [before] }, ['before']).instant('before');
    if (at !== undefined) return at;
  } catch (error) {
    if (error instanceof QueryError) throw new StartError('usage', `--${error.message}`, { cause: error });
    throw error;
  }
  throw new StartError('usage', '--before: is missing; name the instant before which rows may go');
}

async function ask(config: ProcessorConfig, method: string, path: string): Promise<RetentionStatus> {
  const api = await ProcessorApi.at('/retention', config.http);
  return api.ask(method, path, 'is the processor running? It alone deletes rows of its store');
}

function print(status: RetentionStatus, json: boolean): void {
  const lines = json ? [JSON.stringify(status)] : inWords(status);
  process.stdout.write(`${lines.join('\n')}\n`);
}

function inWords({ keptMs, tooOldBefore, oldest, dueMs, waits, agreedBefore, deleted }: RetentionStatus): string[] {
  const time = (at: number | null): string => (at === null ? 'none' : instantInWords(at));
  return [
    keptMs === 0 ? 'rows are kept for ever' : `rows are kept for ${keptMs / DAY_MS} days`,
    `oldest row: ${time(oldest)}`,
    ...(tooOldBefore === null
      ? []
      : [`too old by the clocks of this machine and of NATS: rows before ${time(tooOldBefore)}`]),
    ...(agreedBefore === null ? [] : [`a person has agreed that rows before ${time(agreedBefore)} are deleted`]),
    `deleted since the start: ${deleted}`,
    waits
      ? `WAITING: rows of ${Math.floor(dueMs / DAY_MS)} days are due, so nothing is deleted until somebody agrees; look at the clocks first`
      : `due: ${(dueMs / DAY_MS).toFixed(1)} days; a pass deletes at most one day of them every hour`,
  ];
}
