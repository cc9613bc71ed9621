import { readFile } from 'node:fs/promises';

import { parseDocument } from 'yaml';
import type { z } from 'zod';

import { messageOf, StartError } from './errors.ts';

/** Larger configuration files are mistakes; the limit also bounds what the parser is given. */
const CONFIG_BYTES_MAX = 1024 * 1024;

/**
 * Reads and checks a configuration file in YAML.
 *
 * @param file path of the file; undefined gives the schema's defaults.
 * @param schema what the file may say. Unknown keys must be errors in it (`z.strictObject`).
 * @param overrides values from the command line, laid over the file's before the check; undefined ones are ignored.
 * @throws StartError that lists every problem with its field, value and remedy.
 */
export async function loadConfig<S extends z.ZodType>(
  file: string | undefined,
  schema: S,
  overrides: Readonly<Record<string, unknown>> = {},
): Promise<z.output<S>> {
  const written = file === undefined ? {} : await readYaml(file);
  const name = file ?? 'command line';
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    throw new StartError('config-invalid', `${name}: must hold "field: value" lines, but holds ${describe(written)}`);
  }
  const options = overlay(written as Record<string, unknown>, overrides);
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const lines = explainProblems(parsed.error, options, 'the file');
  const problems = lines.length === 1 ? '1 problem' : `${lines.length} problems`;
  const hint = 'config.example.yaml explains every field.';
  throw new StartError(
    'config-invalid',
    [`${name}: ${problems}`, ...lines.map((line) => `  ${line}`), hint].join('\n'),
  );
}

async function readYaml(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new StartError(
      'config-unreadable',
      `configuration file ${file} can't be read: ${messageOf(error)}; check its path and who may read it`,
      {
        cause: error,
      },
    );
  }
  if (text.length > CONFIG_BYTES_MAX) {
    throw new StartError('config-invalid', `${file}: has ${text.length} characters, the limit is ${CONFIG_BYTES_MAX}`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const message = problem.message.replaceAll(/\n\s*(?=\n|$)/g, '');
    throw new StartError('config-invalid', `${file}: not valid YAML: ${message}`);
  }
  try {
    return (document.toJS({ maxAliasCount: 50 }) as unknown) ?? {};
  } catch (error) {
    throw new StartError('config-invalid', `${file}: not valid YAML: ${messageOf(error)}`, { cause: error });
  }
}

/** `over` laid over `base`, object by object. */
function overlay(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = result[key];
    result[key] =
      isPlainObject(value) && (below === undefined || isPlainObject(below)) ? overlay(below ?? {}, value) : value;
  }
  return result;
}

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What is wrong with `written`, one line per problem: the field, what it must be, its value. Secrets have no field; a password in an address
 * is hidden.
 *
 * @param whole what a problem without a field is one of.
 */
export function explainProblems(error: z.ZodError, written: unknown, whole: string): string[] {
  return error.issues.flatMap((issue) => explainIssue(issue, written, whole));
}

function explainIssue(issue: z.core.$ZodIssue, options: unknown, whole: string): string[] {
  const field = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const unknown = field === '' ? key : `${field}.${key}`;
      return `${unknown}: unknown field; check its spelling and its indentation, or remove it`;
    });
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (isPlainObject(at) || Array.isArray(at) ? Reflect.get(at, key) : undefined),
    options,
  );
  // What was received stands behind it, as it was written.
  const message = issue.message.replace(/^Invalid (input|option): /, '').replace(/, received \w+$/, '');
  const shown = value === undefined ? 'it is not set' : `it is ${shorten(JSON.stringify(value))}`;
  return [`${field === '' ? whole : field}: ${message}; ${shown}${quoting(issue, value)}`];
}

/** What to do where quotes alone made the wrong type: a gateway called 7, or a port that was written as text. */
function quoting(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code !== 'invalid_type') return '';
  const { expected } = issue;
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return `; write it in quotes: "${value}"`;
  const isNumber = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));
  return expected === 'number' && isNumber ? `; write it without quotes: ${value.trim()}` : '';
}

/** At most 80 characters of `text`, without the user and password of an address. */
function shorten(text: string): string {
  const hidden = text.replaceAll(/\/\/[^/@\s"]*@/g, '//***@');
  return hidden.length > 80 ? `${hidden.slice(0, 77)}…` : hidden;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return value === null ? 'nothing' : `the ${typeof value} ${JSON.stringify(value)}`;
}
