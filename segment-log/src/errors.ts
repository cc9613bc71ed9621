/** Why the log could not do what was asked. */
export type SegmentLogErrorCode =
  | 'full'
  | 'disk-full'
  | 'write-failed'
  | 'sync-failed'
  | 'too-large'
  | 'closed'
  | 'format';

/** Nothing of the append that was refused is safe; it may be tried again where `retryable`. */
export class SegmentLogError extends Error {
  override readonly name = 'SegmentLogError';
  readonly code: SegmentLogErrorCode;
  readonly retryable: boolean;

  constructor(code: SegmentLogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = code !== 'too-large' && code !== 'closed' && code !== 'format';
  }
}
