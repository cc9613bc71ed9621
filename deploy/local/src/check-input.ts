import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { EXIT, StartError } from '@floorwatch/runtime';

import type { ReplayInput } from './options.ts';
import { programs } from './programs.ts';

const run = promisify(execFile);

/** The command of `floorwatch-simulator` that plays recordings. */
export const replayParameters = ({ files, speed, times, parameters }: ReplayInput): string[] => [
  'replay',
  ...files,
  '--speed',
  speed,
  '--times',
  times,
  ...parameters,
];

/**
 * Reads recordings before anything is started, so that a file that can't be played costs no start.
 *
 * @param say told what the files hold and how long they take.
 * @returns how to play them, with a speed that is no longer `auto`.
 * @throws StartError that names the file and what helps.
 */
export async function checkRecordings(
  input: ReplayInput,
  say: (message: string) => void,
  signal: AbortSignal,
): Promise<ReplayInput> {
  say('reading the recording');
  const parameters = [...replayParameters(input), '--dry-run', '--json'];
  const { stdout, stderr } = await toEnd('--replay', [programs.simulator, ...parameters], signal);
  say(stderr.trim());
  const { speed } = JSON.parse(stdout) as { readonly speed: number | 'max' };
  return { ...input, speed: String(speed) };
}

/** @throws StartError with all that is wrong with a configuration of the agent. */
export async function checkAgentConfig(file: string, signal: AbortSignal): Promise<void> {
  await toEnd('--agent-config', [programs.agent, 'config', 'check', '--config', file], signal);
}

async function toEnd(
  option: string,
  parameters: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  try {
    return await run(process.execPath, parameters, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    const { code, stderr = '' } = error as { readonly code?: unknown; readonly stderr?: string };
    const message = stderr.trim() === '' ? `ended with ${String(code)}` : stderr.trim();
    throw new StartError(code === EXIT.cannotStart ? 'config-invalid' : 'usage', `${option}: ${message}`, {
      cause: error,
    });
  }
}
