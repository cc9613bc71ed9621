import { access } from 'node:fs/promises';

import { counted, instantInWords } from '@floorwatch/contracts';
import { EXIT, httpToken, loadConfig, messageOf, StartError } from '@floorwatch/runtime';
import { type Command, InvalidArgumentError, Option } from 'commander';

import { type AgentConfig, agentConfigSchema } from '../config.ts';
import { QUARANTINE_REASONS } from '../ingest/quarantined-reading.ts';
import { inFlightMax } from '../ingest/readings-config.ts';
import type { ReleaseTime } from './quarantine-record.ts';
import { QUARANTINE_PAGE } from './quarantine-routes.ts';
import { type HeldReading, Quarantine, quarantineDirectory, type Selection, type Settlement } from './quarantine.ts';

interface Page {
  readonly items: readonly HeldReading[];
  readonly next: number | null;
}

/** Where the command finds the quarantine: in the running agent, or in the folder. */
interface Desk {
  list(selection: Selection, after: number | undefined): Promise<Page>;
  release(selection: Selection, time: ReleaseTime, after: number): Promise<Settlement>;
  drop(selection: Selection, after: number): Promise<Settlement>;
  close(): Promise<void>;
}

const REASONS = Object.keys(QUARANTINE_REASONS);

interface Options {
  readonly config: string;
  readonly json: boolean;
  readonly device?: string;
  readonly metric?: string;
  readonly reason?: NonNullable<Selection['reason']>;
  readonly all?: boolean;
  readonly time?: 'as-sent' | 'as-received';
  readonly shiftMs?: number;
}

/**
 * Adds `quarantine` with its commands to the agent's program.
 *
 * @param ended takes the exit code.
 */
export function addQuarantine(program: Command, ended: (code: number) => void): void {
  const quarantine = program
    .command('quarantine')
    .description('readings whose time can’t be right; asks the running agent, or reads its folder if none runs');
  const add = (usage: string, what: string): Command =>
    quarantine
      .command(usage)
      .description(what)
      .requiredOption('--config <file>', "the agent's configuration file")
      .option('--device <name>', 'only readings of this device')
      .option('--metric <name>', 'only readings of this metric')
      .addOption(new Option('--reason <reason>', 'only readings that are here because of it').choices(REASONS))
      .option('--json', 'print JSON, one object per line', false);
  add('list', 'show them, the oldest first').action(async (options: Options) => ended(await list(options)));
  add('release [id...]', 'send them through the agent like new ones; needs the running agent')
    .option('--all', 'all that the other options mean, and not single ones', false)
    .addOption(
      new Option('--time <which>', 'the time by the device, or by the gateway').choices(['as-sent', 'as-received']),
    )
    .option('--shift-ms <ms>', 'the time that the device sent, moved by so many milliseconds', wholeNumber)
    .action(async (ids: string[], options: Options) => {
      const time = timeOf(options);
      ended(
        await settle(ids, options, 'released', async (desk, selection, after) => desk.release(selection, time, after)),
      );
    });
  add('drop [id...]', 'forget them')
    .option('--all', 'all that the other options mean, and not single ones', false)
    .action(async (ids: string[], options: Options) => {
      ended(await settle(ids, options, 'dropped', async (desk, selection, after) => desk.drop(selection, after)));
    });
}

function wholeNumber(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new InvalidArgumentError('must be a whole number of milliseconds');
  return Number(text);
}

function timeOf({ time, shiftMs }: Options): ReleaseTime {
  if ((time === undefined) === (shiftMs === undefined)) {
    throw new StartError('usage', 'say which time the readings are to have: either --time or --shift-ms');
  }
  return time ?? { shiftMs: shiftMs ?? 0 };
}

async function list(options: Options): Promise<number> {
  return withDesk(options, async (desk) => {
    let count = 0;
    for (let after: number | null | undefined; after !== null;) {
      const page = await desk.list(filterOf(options), after);
      for (const held of page.items) print(options.json ? JSON.stringify(held) : inWords(held));
      count += page.items.length;
      after = page.next;
    }
    if (!options.json) print(count === 0 ? 'nothing is in quarantine' : counted(count, 'reading'));
    return EXIT.ok;
  });
}

const inWords = ({
  id,
  receivedAt,
  reason,
  reading: { device, metric, eventTime, value, unit },
}: HeldReading): string =>
  `${id}  received ${instantInWords(receivedAt)}  says ${instantInWords(eventTime)}  ${device}/${metric} = ${value}${unit === undefined ? '' : ` ${unit}`}  ${reason}`;

/** Settles what is meant, part by part. Exit code 1 if one could not be settled. */
async function settle(
  ids: readonly string[],
  options: Options,
  what: 'released' | 'dropped',
  act: (desk: Desk, selection: Selection, after: number) => Promise<Settlement>,
): Promise<number> {
  if ((ids.length === 0) !== (options.all === true)) {
    throw new StartError('usage', 'name the readings by their numbers, or all of them with --all');
  }
  return withDesk(options, async (desk) => {
    let settled = 0;
    let failed = 0;
    for (const part of partsOf(ids)) {
      const selection = { ...filterOf(options), ...(part === undefined ? {} : { ids: part }) };
      for (let after: number | null = 0; after !== null;) {
        const outcome: Settlement = await act(desk, selection, after);
        settled += outcome.settled;
        failed += outcome.problems.length;
        for (const { id, problem } of outcome.problems) report(id, problem, options.json);
        after = outcome.next;
        if (after !== null && process.stderr.isTTY) process.stderr.write(`\r${settled} ${what}`);
      }
    }
    if (process.stderr.isTTY) process.stderr.write('\r');
    print(options.json ? JSON.stringify({ [what]: settled, failed }) : `${settled} ${what}`);
    return failed === 0 ? EXIT.ok : EXIT.failed;
  });
}

function partsOf(ids: readonly string[]): (number[] | undefined)[] {
  if (ids.length === 0) return [undefined];
  const numbers = ids.map((text) => {
    if (!/^[1-9]\d{0,14}$/.test(text))
      throw new StartError('usage', `${text.slice(0, 50)} is not the number of a reading`);
    return Number(text);
  });
  const parts: number[][] = [];
  for (let i = 0; i < numbers.length; i += QUARANTINE_PAGE) parts.push(numbers.slice(i, i + QUARANTINE_PAGE));
  return parts;
}

const filterOf = ({ device, metric, reason }: Options): Selection => ({
  ...(device === undefined ? {} : { device }),
  ...(metric === undefined ? {} : { metric }),
  ...(reason === undefined ? {} : { reason }),
});

function report(id: number, problem: string, json: boolean): void {
  if (json) print(JSON.stringify({ id, problem }));
  else process.stderr.write(`${id}: ${problem}\n`);
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function withDesk({ config: file }: Options, use: (desk: Desk) => Promise<number>): Promise<number> {
  const config = await loadConfig(file, agentConfigSchema);
  const desk = (await openRunning(config)) ?? (await openFolder(config));
  try {
    return await use(desk);
  } finally {
    await desk.close();
  }
}

/** The running agent's own page; undefined if nothing listens there. */
async function openRunning({ http }: AgentConfig): Promise<Desk | undefined> {
  const token = await httpToken(http);
  const host = http.host === '0.0.0.0' ? '127.0.0.1' : http.host === '::' ? '::1' : http.host;
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${http.port}/quarantine`;
  const ask = async <T>(path: string, content?: object): Promise<T> => {
    const response = await fetch(base + path, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(content === undefined ? {} : { method: 'POST', body: JSON.stringify(content) }),
    });
    const answer = (await response.json().catch(() => ({}))) as T & { readonly error?: string };
    if (response.ok) return answer;
    throw new StartError('usage', answer.error ?? `${base} answered with status ${response.status}`);
  };
  try {
    await ask('?limit=1');
  } catch (error) {
    if (error instanceof StartError) throw error;
    return undefined;
  }
  return {
    list: async (selection, after) => {
      const query = { ...selection, limit: QUARANTINE_PAGE, ...(after === undefined ? {} : { after }) };
      const pairs = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
      return ask(`?${new URLSearchParams(pairs).toString()}`);
    },
    release: async (select, time, after) => ask('/release', { select, time, after }),
    drop: async (select, after) => ask('/drop', { select, after }),
    async close() {},
  };
}

/** The folder itself, while no agent runs. */
async function openFolder({ storage: { dataDir, durability }, readings }: AgentConfig): Promise<Desk> {
  await access(quarantineDirectory(dataDir)).catch((error: unknown) => {
    throw new StartError('usage', `storage.dataDir: nothing was ever in quarantine in ${dataDir}`, { cause: error });
  });
  const quarantine = await Quarantine.open({
    dataDir,
    durability,
    bytesMax: readings.quarantineBytesMax,
    inFlightMax: inFlightMax(readings),
  }).catch((error: unknown) => {
    throw new StartError('usage', `the agent can't be asked over HTTP, and ${messageOf(error)}`, { cause: error });
  });
  return {
    list: async (selection, after = 0) => quarantine.list(selection, { limit: QUARANTINE_PAGE, after }),
    async release() {
      throw new StartError('usage', 'no agent runs that could take them; start it, then try again');
    },
    drop: async (selection, after) => quarantine.drop(selection, { limit: QUARANTINE_PAGE, after }),
    close: async () => quarantine.close(),
  };
}
