import { StoreError } from '../write/store.ts';

/** Too much is being asked at once; the same question can be asked again in a moment. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
}

/** What the program can't do as it is configured; the answer is 501 with these fields. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
  readonly remedy: string;

  constructor(problem: string, remedy: string) {
    super(`${problem}; ${remedy}`);
    this.remedy = remedy;
  }
}

/** It takes longer than it may. */
export class TooLongError extends Error {
  override readonly name = 'TooLongError';
}

/** What an answer says of a store that could not be asked: no address and no path of it. */
export function storeTrouble(error: unknown): { readonly error: string; readonly code?: StoreError['code'] } {
  if (!(error instanceof StoreError)) return { error: "this request failed; the processor's log says why" };
  const text = `the store could not be asked (${error.code}); live values are not affected`;
  return { error: text, code: error.code };
}
