import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Only the last part of a long output is kept: that is where the error stands. */
const OUTPUT_CHARACTERS_MAX = 16_384;

export interface CommandResult {
  /** Exit code; undefined if it could not be started, was ended by a signal or took too long. */
  readonly code: number | undefined;
  /** Standard output and standard error together, at most the last 16,384 characters. */
  readonly output: string;
}

/**
 * Runs a command to its end and never throws: what went wrong is in the result.
 *
 * @param options.timeoutMs it is ended after this long, and when `signal` aborts.
 */
export async function runCommand(
  command: string,
  parameters: readonly string[],
  options: {
    readonly environment: NodeJS.ProcessEnv;
    readonly timeoutMs: number;
    readonly directory?: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<CommandResult> {
  const child = spawn(command, parameters, {
    env: options.environment,
    cwd: options.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs,
    signal: options.signal,
  });
  let output = '';
  const collect = (text: Buffer): void => {
    output = (output + text.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code: code ?? undefined, output };
  } catch (error) {
    return { code: undefined, output: error instanceof Error ? error.message : String(error) };
  }
}

/** The last line of an output that is not empty, to say in one line why a command failed. */
export function lastLine(output: string): string {
  return output.trim().split('\n').at(-1)?.trim() ?? '';
}
