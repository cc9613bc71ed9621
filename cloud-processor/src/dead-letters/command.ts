import { access } from 'node:fs/promises';

import { instantInWords } from '@floorwatch/contracts';
import type { DeadLetterSummary } from '@floorwatch/contracts/api';
import { EXIT, messageOf, StartError } from '@floorwatch/runtime';

import type { ProcessorConfig } from '../config.ts';
import { ProcessorApi } from '../processor-api.ts';
import type { DeadLetter } from './dead-letter.ts';
import { deadLetterDirectory, DeadLetters } from './dead-letters.ts';

/** Letters asked for at a time. */
const PAGE = 1_000;

/** Where the command finds the letters: in the running processor, or in the folder. */
interface Desk {
  list(after?: string): Promise<{ readonly items: readonly DeadLetterSummary[]; readonly next: string | null }>;
  /** Undefined if there is none of that id. */
  show(id: string): Promise<DeadLetter | undefined>;
  /** Undefined if it is done, else why not. */
  settle(id: string, how: 'retry' | 'drop'): Promise<string | undefined>;
  close(): Promise<void>;
}

/** `dead-letters list`: newest first. */
export async function listDeadLetters(config: ProcessorConfig, json: boolean): Promise<number> {
  return withDesk(config, async (desk) => {
    let count = 0;
    for (let after: string | null | undefined; after !== null;) {
      const page = await desk.list(after);
      for (const letter of page.items) print(json ? JSON.stringify(letter) : inWords(letter));
      count += page.items.length;
      after = page.next;
    }
    if (!json) print(count === 0 ? 'no dead letters' : `${count} dead letters`);
    return EXIT.ok;
  });
}

const inWords = ({ id, at, reason, message }: DeadLetterSummary): string =>
  `${instantInWords(at)}  ${id}  ${reason}: ${message}`;

/** `dead-letters show ID`: the whole letter. Of a batch the bytes stand in base64. */
export async function showDeadLetter(config: ProcessorConfig, id: string, json: boolean): Promise<number> {
  return withDesk(config, async (desk) => {
    const letter = await desk.show(id);
    if (letter === undefined) return complain(`there is no dead letter ${id}`);
    print(json ? JSON.stringify(letter) : JSON.stringify(letter, undefined, 2));
    return EXIT.ok;
  });
}

/** `dead-letters retry ID…` and `drop ID…`: exit code 1 if one of them could not be settled. */
export async function settleDeadLetters(
  config: ProcessorConfig,
  ids: readonly string[],
  how: 'retry' | 'drop',
  json: boolean,
): Promise<number> {
  return withDesk(config, async (desk) => {
    let code: number = EXIT.ok;
    for (const id of ids) {
      const problem = await desk.settle(id, how);
      if (json) print(JSON.stringify({ id, done: problem === undefined, problem: problem ?? null }));
      else if (problem === undefined) print(`${id}: ${how === 'retry' ? 'tried again' : 'dropped'}`);
      if (problem !== undefined) code = json ? EXIT.failed : complain(`${id}: ${problem}`);
    }
    return code;
  });
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function complain(message: string): number {
  process.stderr.write(`${message}\n`);
  return EXIT.failed;
}

async function withDesk(config: ProcessorConfig, use: (desk: Desk) => Promise<number>): Promise<number> {
  const desk = (await openRunning(config)) ?? (await openFolder(config));
  try {
    return await use(desk);
  } finally {
    await desk.close();
  }
}

/** The running processor's API; undefined if nothing listens there. */
async function openRunning({ http }: ProcessorConfig): Promise<Desk | undefined> {
  const api = await ProcessorApi.at('/dead-letters', http);
  try {
    await api.read(await api.send('GET', '?limit=1'));
  } catch (error) {
    if (error instanceof StartError) throw error;
    return undefined;
  }
  const remedy = 'the processor has stopped meanwhile; run it once more';
  return {
    list: async (after) => api.ask('GET', `?limit=${PAGE}${after === undefined ? '' : `&after=${after}`}`, remedy),
    async show(id) {
      const response = await api.send('GET', `/${encodeURIComponent(id)}`);
      return response.status === 404 ? undefined : api.read(response);
    },
    async settle(id, how) {
      const path = `/${encodeURIComponent(id)}`;
      const response = await (how === 'retry' ? api.send('POST', `${path}/retry`) : api.send('DELETE', path));
      return response.ok ? undefined : api.problemOf(response);
    },
    async close() {},
  };
}

/** The folder itself, while no processor runs. */
async function openFolder({ dataDir, deadLetterBytesMax }: ProcessorConfig): Promise<Desk> {
  const folder = deadLetterDirectory(dataDir);
  await access(folder).catch((error: unknown) => {
    throw new StartError('usage', `dataDir: there are no dead letters in ${dataDir}; no processor has run there`, {
      cause: error,
    });
  });
  const letters = await DeadLetters.open(dataDir, deadLetterBytesMax).catch((error: unknown) => {
    throw new StartError('usage', `the processor can't be asked over HTTP, and ${messageOf(error)}`, { cause: error });
  });
  return {
    list: async (after) => letters.list(PAGE, after),
    show: async (id) => letters.get(id),
    async settle(id, how) {
      if (how === 'retry') return 'no processor runs; start it, then try again';
      return (await letters.settle(id, 'dropped', Date.now())) ? undefined : `there is no dead letter ${id}`;
    },
    close: async () => letters.close(),
  };
}
