import { messageOf, systemCodeOf } from '@floorwatch/runtime';

export type SnapshotFileErrorCode =
  /** A newer release wrote it, or another program. */
  'format' | 'disk-full' | 'write-failed' | 'read-failed';

/** A snapshot could not be saved or read; those that were there still are. */
export class SnapshotFileError extends Error {
  override readonly name = 'SnapshotFileError';
  readonly code: SnapshotFileErrorCode;
  readonly retryable: boolean;

  constructor(code: SnapshotFileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = code !== 'format';
  }
}

/** What the file system threw, as an error of the snapshot's: a full disk is one whatever was asked of it. */
export function translated(error: unknown, code: SnapshotFileErrorCode, file: string): SnapshotFileError {
  if (error instanceof SnapshotFileError) return error;
  const system = systemCodeOf(error);
  const full = system === 'ENOSPC' || system === 'EDQUOT';
  return new SnapshotFileError(full ? 'disk-full' : code, `${file}: ${messageOf(error)}`, { cause: error });
}
