import { setTimeout as wait } from 'node:timers/promises';

/**
 * Waits until `probe` gives something other than undefined and false, and returns it. An error that it throws counts as "not yet".
 *
 * @param what what is waited for, for the message: "the page answers".
 * @throws Error after `timeoutMs` (default 60 s: a busy machine is slow, not wrong), with the last error or value of the probe.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { timeoutMs = 60_000, intervalMs = 50 }: { readonly timeoutMs?: number; readonly intervalMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      last = await probe();
      if (last !== undefined && last !== false) return last as T;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= deadline) {
      const cause = last instanceof Error ? last : undefined;
      const detail =
        cause === undefined ? `the last value was ${String(last)}` : `the last error was "${cause.message}"`;
      throw new Error(`waited ${timeoutMs / 1000} s until ${what}; ${detail}`, { cause });
    }
    await wait(intervalMs);
  }
}
