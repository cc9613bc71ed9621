/** Limits of a log that are not configuration. */
export const limits = {
  /** The smallest segment that makes sense: the header's page, and some pages of frames. */
  segmentBytesMin: 16 * 1024,
  /** Offsets of a frame are 32 bits wide, and a segment is read at once when the log is opened. */
  segmentBytesMax: 256 * 1024 * 1024,
  /** Bytes that wait for the disk. Enough for a second of the fastest gateway; beyond it appends are refused instead of filling memory. */
  pendingBytesMax: 16 * 1024 * 1024,
  /** Bytes after which a group is committed without waiting: beyond it, a larger group is not faster. */
  groupBytes: 256 * 1024,
  /** Bytes that a power-safe log's newest file grows by, if frames are small. They are not counted as bytes of the log. */
  aheadBytes: 128 * 1024,
  /** Cursors that a log keeps; one per reader. */
  cursorsMax: 16,
  /** UTF-16 units of a cursor's name. */
  cursorNameLengthMax: 64,
  /** Ranges of dropped positions that are not trimmed yet. They must fit into a slot of the state file. */
  droppedRangesMax: 200,
  /** Ranges of skipped positions that are not trimmed yet, at most one per start. They must fit there too. */
  skippedRangesMax: 100,
  /** Damaged bytes that are kept aside per log. What is damaged beyond it is reported only. */
  damagedBytesMax: 64 * 1024 * 1024,
} as const;
