import { messageOf, systemCodeOf } from '@floorwatch/runtime';

/** Why the log could not do what was asked. */
export type SegmentLogErrorCode =
  /** Another process has the log open. */
  | 'locked'
  /** The log has reached its limit, and nothing may be dropped. */
  | 'full'
  /** More waits to be written than `limits.pendingBytesMax`. */
  | 'overloaded'
  | 'disk-full'
  | 'read-failed'
  | 'write-failed'
  | 'sync-failed'
  | 'too-large'
  | 'closed'
  /** A file that a newer release wrote, or an option or argument that can't be. */
  | 'format';

const LASTING: ReadonlySet<SegmentLogErrorCode> = new Set(['locked', 'too-large', 'closed', 'format']);

/** Nothing of the append that was refused is safe; it may be tried again where `retryable`. */
export class SegmentLogError extends Error {
  override readonly name = 'SegmentLogError';
  readonly code: SegmentLogErrorCode;
  readonly retryable: boolean;

  constructor(code: SegmentLogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = !LASTING.has(code);
  }
}

/** What the file system threw, in the terms of the log: a full disk is one whatever was asked of it. */
export function translated(error: unknown, code: SegmentLogErrorCode, file: string): SegmentLogError {
  if (error instanceof SegmentLogError) return error;
  const system = systemCodeOf(error);
  const full = system === 'ENOSPC' || system === 'EDQUOT';
  return new SegmentLogError(full ? 'disk-full' : code, `${file}: ${messageOf(error)}`, { cause: error });
}

/** Whether a file was not there. */
export const isMissing = (error: unknown): boolean => systemCodeOf(error) === 'ENOENT';
