import { EXIT, messageOf, StartError } from './errors.ts';

/** A program that has not stopped so long after it was asked to is ended; whatever it guards must survive that anyway. */
const SHUTDOWN_MS_MAX = 10_000;
/** How long a program whose `main` has ended may wait for what it left behind. */
const LINGER_MS = 1_000;

/**
 * Runs a program's `main` and turns how it ends into an exit code: {@link EXIT.cannotStart} with the message alone for a
 * {@link StartError}, the same without a word for an error by which commander ends the reading of a command line (`exitOverride`), because
 * that has been said already, and {@link EXIT.failed} with the stack for anything else.
 *
 * The signal aborts on SIGINT, on SIGTERM, and when the parent that opened an IPC channel is gone, so that no child is left behind.
 * A second signal ends the program at once.
 *
 * @param main returns the exit code, or nothing for {@link EXIT.ok}, after it has closed everything.
 * @param repeatedSignalMs a second signal so soon after the first one is the same wish, because npm sends on what the terminal has
 *   sent to everyone already. Default 0.
 */
export async function runProgram(
  main: (signal: AbortSignal) => Promise<number | void>,
  { repeatedSignalMs = 0 }: { readonly repeatedSignalMs?: number } = {},
): Promise<void> {
  const stop = new AbortController();
  let askedAt = 0;
  const ask = (why: string): void => {
    if (stop.signal.aborted) {
      if (performance.now() - askedAt < repeatedSignalMs) return;
      process.exit(130);
    }
    askedAt = performance.now();
    stop.abort(new Error(why));
    setTimeout(() => {
      process.stderr.write(`not stopped ${SHUTDOWN_MS_MAX / 1_000} s after ${why}; ending now\n`);
      process.exit(EXIT.failed);
    }, SHUTDOWN_MS_MAX).unref();
  };
  process.on('SIGINT', () => ask('SIGINT'));
  process.on('SIGTERM', () => ask('SIGTERM'));
  if (process.connected) {
    process.once('disconnect', () => {
      if (!stop.signal.aborted) ask('the parent process ended');
    });
    process.channel?.unref();
  }
  try {
    process.exitCode = (await main(stop.signal)) ?? EXIT.ok;
  } catch (error) {
    if (error instanceof StartError) {
      process.stderr.write(`${error.message}\n`);
      process.exitCode = EXIT.cannotStart;
    } else if (isOfCommander(error)) {
      // Help and version are no failures.
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.cannotStart;
    } else {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}\n`);
      process.exitCode = EXIT.failed;
    }
  } finally {
    // Something may still hold the event loop open, such as a connection attempt that can't be called off.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

const isOfCommander = (error: unknown): error is Error & { readonly exitCode: number } =>
  error instanceof Error &&
  error.name === 'CommanderError' &&
  'exitCode' in error &&
  typeof error.exitCode === 'number';
