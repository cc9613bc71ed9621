/**
 * Limits of what crosses a process boundary. Both sides rely on them, so they are constants and not configuration.
 * Limits that belong to one program stand in that program's own `limits.ts`.
 */
export const limits = {
  /** UTF-16 units of a site, gateway, device or metric. Longer ones are mistakes, and every open window would carry them. */
  nameLengthMax: 128,
  /** UTF-16 units of a unit such as `°C` or `mm/s`. */
  unitLengthMax: 32,
  /** UTF-16 units of the sentence that explains an anomaly. */
  explanationLengthMax: 500,
  /** Encoded bytes of a batch. Below the 1 MiB that a NATS server accepts by default, large enough to make round trips rare. */
  batchBytesMax: 256 * 1024,
  /** Rollups in one record. At about 100 bytes each, a record then always fits into a batch. */
  rollupsPerRecordMax: 1_000,
  /** Records in one batch. */
  recordsPerBatchMax: 10_000,
  /** Readings before the opening of an episode that its records carry. */
  contextReadingsMax: 16,
  /** Episodes that an episode names as related. More say no more than that the whole device is in trouble. */
  relatedMax: 16,
  /** Dropped frames that one gap describes one by one; a larger loss is described by several gaps. */
  framesPerGapMax: 1_000,
  /** Epochs that a floor message tells of besides the one heard last: two copies of a gateway, and one that was there before. */
  otherEpochsMax: 3,
  /** Encoded bytes of a floor message: two long names, each character escaped, and a few numbers. */
  floorMessageBytesMax: 8 * 1024,
  /** Hours of sensors, or of episodes, that one tick tells the counts of; with usual names 60 KB. More follow in further ticks. */
  countedHoursPerTickMax: 500,
  /** Counters in a status record. */
  countersMax: 200,
  /** Partitions of the ingest stream. Fixed for ever: it decides which subject a gateway publishes to. */
  partitions: 16,
  /** Rows that one API answer holds. */
  pageRowsMax: 5_000,
} as const;
