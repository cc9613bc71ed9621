import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Waits until its standard input ends, then stops the process whose id it was given: politely first, by force after 3 s. Deaf to
 * the signals of a terminal, so that it is still there when its parent has been interrupted.
 */
const WATCHDOG = `
trap '' INT TERM HUP
while read -r _; do :; done
kill -TERM "$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
  kill -0 "$1" 2>/dev/null || exit 0
  sleep 0.1
done
kill -KILL "$1"`;

/**
 * Starts a program that does not outlive this process, however this process ends, `kill -9` included: a small shell beside it holds
 * the other end of a pipe to us, and stops the program when that closes.
 *
 * The program has a process group of its own, so that Ctrl-C reaches this process only, which then stops it in its order.
 */
export function spawnGuarded(
  command: string,
  parameters: readonly string[],
  options: { readonly directory?: string; readonly environment?: NodeJS.ProcessEnv } = {},
): ChildProcess {
  const child = spawn(command, parameters, {
    cwd: options.directory,
    env: options.environment ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  // Without a process id it was not started, and the child's error event says why.
  if (child.pid === undefined) return child;
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'floorwatch-watchdog', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.on('error', () => child.kill('SIGKILL'));
  child.once('exit', () => watchdog.kill('SIGKILL'));
  return child;
}
