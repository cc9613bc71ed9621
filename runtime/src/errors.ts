/** Exit codes that every floorwatch command keeps to. */
export const EXIT = {
  ok: 0,
  /** Something broke while running. */
  failed: 1,
  /** It never started: configuration, arguments or a port. The message says what to change. */
  cannotStart: 2,
} as const;

/** What kept a program from starting. */
export type StartErrorCode =
  | 'config-unreadable'
  | 'config-invalid'
  | 'secret-missing'
  | 'port-in-use'
  | 'address-unavailable'
  | 'server-missing'
  | 'locked'
  | 'usage';

/**
 * A program can't start, and a person can mend it: `message` names the field, its value and the remedy, and is all that is
 * printed. Ends the program with {@link EXIT.cannotStart}.
 */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly code: StartErrorCode;

  constructor(code: StartErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The text of whatever was thrown; never throws itself. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** The system error code (such as `EADDRINUSE`) of whatever was thrown, or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
