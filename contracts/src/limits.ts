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
  /**
   * Numbers that one gap stands for, and how far a record may lie ahead of what the processor has applied of its epoch. A gateway has at most
   * 64 MiB on the way, which is 1.3 million of the smallest records; a longer loss is described by several gaps.
   */
  numbersAheadMax: 10_000_000,
  /** Readings that any one figure can count: a million a second for eleven days. Sums of thousands of them stay exact. */
  readingsMax: 1_000_000_000_000,
  /** Width of a rollup's buckets, in milliseconds. */
  bucketMsMax: 3_600_000,
  /**
   * Instants that a record may hold, in epoch milliseconds: the years 1900 to 2199. No clock that was ever set shows others; one that was not
   * shows 1970, 2000, or the end of 32 bits (2038, 2106).
   */
  instantMin: -2_208_988_800_000,
  instantMax: 7_258_118_399_999,
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
