import { days, durationMs, hours, minutes, seconds } from '@floorwatch/contracts';

/** Every queue, list and retry of the processor, with the reason for its limit. Reaching one is counted and visible. */
export const processorLimits = {
  /** Rows of one partition that wait for the store. Reading of that partition stops here: about 20 MiB, and 10 s of a slow store. */
  outboxRowsMax: 20_000,
  /** Reading goes on below this many, so that a slow store does not make a consumer per row. */
  outboxRowsResume: 10_000,
  /** Rows in one request: an upsert of 1,000 windows keeps an embedded store busy for about 10 ms. */
  writeRowsMax: 1_000,
  /** Bytes that are kept of a batch that can't be used; four times what a gateway may send, and what a server takes by default. */
  deadBatchBytesMax: 1024 * 1024,
  /** Bytes of a segment of the dead letters. The largest letter fits twice. */
  deadLetterSegmentBytes: 4 * 1024 * 1024,
  /** Bytes of dead letters that wait for a disk that does not take them. Reading stops here. */
  deadLettersUnsavedBytesMax: 8 * 1024 * 1024,
  /** How long an attempt to bring a refused row into the store waits for its checkpoint. */
  retryLetterMsMax: seconds(60),
  /** Dead letters that the status shows. */
  deadLettersShown: 20,
  /** Messages asked of the server ahead of work, per partition: 16 partitions × 16 × 256 KiB = 64 MiB at worst. */
  prefetchMessages: 16,
  /** How far ahead of the NATS server's clock a synchronised gateway's may be without an alarm: further, and one of the two was never set. */
  clockAheadMs: days(366),
  /** Gateways of one partition. */
  gatewaysPerPartitionMax: 10_000,
  /** Sensors of one gateway whose windows can be open at the same time: as many as an agent can be configured for. */
  sensorsPerGatewayMax: 200_000,
  /**
   * Open windows of one partition: at about 165 bytes each and the names of their sensors, 300 MB at worst. Beyond it the oldest are sealed early,
   * and late readings correct them in the store.
   */
  openWindowsPerPartitionMax: 1_000_000,
  /** Sensors of one partition, at least, that stay below it: a configuration that leaves room for fewer seals nearly everything early. */
  sensorsPerPartitionMin: 100,
  /** Windows of one partition whose late readings are being counted; the oldest are forgotten first. */
  lateWindowsPerPartitionMax: 100_000,
  /** Stretches of lost readings remembered per gateway; the closest ones are joined beyond it. */
  lostRangesPerGatewayMax: 1_000,
  /** How long they are remembered behind the seal: for devices that come back after as long as a stream holds by default, and a day. */
  lostKeptMs: days(8),
  /** The longest of them whose sealed windows are marked: about 1,600 rows of a sensor are read, and written once. */
  lostSealedMsMax: days(1),
  /** Stretches of numbers that one gateway declared lost, for `verify`; the two oldest are told as one beyond it. */
  lostNumbersPerGatewayMax: 200,
  /** Event hours of one gateway whose sums the checkpoint keeps for `verify`: the seven days that it compares, and the hour in hand. */
  evidenceHoursMax: 7 * 24 + 1,
  /** Bytes of a checkpoint that they may take per gateway; 40 MB for as many as a partition may have. Scattered hours take more each. */
  evidenceBytesMax: 4_000,
  /** Hours further in front of a gateway's watermark have places of their own: a clock that is wrong must not take those of the last days. */
  evidenceHoursAheadMax: 24,
  /** Such places: the first readings after a pause of days need one until the next tick. 150 bytes of a checkpoint. */
  evidenceAheadMax: 4,
  /** Ranges of hours that found none, remembered so that they are not compared; the closest are joined. 210 bytes of a checkpoint. */
  evidenceOmittedMax: 8,
  /** How often a pass deletes rows that are too old, and how much event time of them: a pause of a week is made up in half a day. */
  retentionEveryMs: hours(1),
  retentionPassMs: days(1),
  /** More than that is deleted only if a person agrees: a clock that is wrong makes months due at once, a holiday of the plant weeks. */
  retentionUnaskedMsMax: days(30),
  /** By how much the clock of a store that deletes by itself may differ before /healthz says so. */
  storeClockOffMsMax: minutes(1),
  /** Its time is asked for again before rows are left out for their age, if its last answer is older: twice in 5 s beside thousands of rows. */
  storeClockFreshMs: seconds(5),
  /** Numbers that are missing are asked for every few seconds; after so long without a sign of the epoch, `verify` calls it wrong. */
  verifyStuckMs: minutes(15),
  /** After so long with nothing behind numbers that were declared lost, `verify` does not believe that the gateway declared it. */
  verifyUnconfirmedMs: seconds(10),
  /** Differences that `verify` lists; the others are counted. */
  verifyDifferencesMax: 1_000,
  /** How long `verify` waits for the checkpoints that it compares with. */
  verifyCutMsMax: minutes(2),
  /** Times that one gateway began to count anew, for `verify`: with every new disk. */
  countersPerGatewayMax: 16,
  /** Starts of one agent whose numbers are remembered while the stream can hold them: one every ten minutes for a week. */
  epochsPerSourceMax: 1_000,
  /** Runs of one gateway that a start without its newest checkpoint takes over from the store: as many as starts of its agent are remembered. */
  storedRunsMax: 1_000,
  /** Late rollups of one partition that wait to correct their windows, each once per window size: 30 MB. Reading stops here. */
  lateRollupsPerPartitionMax: 100_000,
  /** How long late readings are gathered before the windows that they belong to are read and corrected. */
  lateGatherMs: durationMs(1_000),
  /** Windows of one sensor that are read from the store together. */
  readWindowsMax: 1_000,
  /** Windows that are read in between because it costs less than another question. */
  readGapMax: 50,
  /** Rows of a replay that are compared with the store together: 20 MB, and few questions to the store. */
  replayedRowsMax: 20_000,
  /** Late rollups of a replay that are gathered before they are merged. */
  replayedLateRollupsMax: 10_000,
  /** Windows that wait in a replay for late readings: 50 MB. What the store holds of more stays as it is. */
  replayedWindowsKeptMax: 100_000,
  /** How long `reprocess` holds up live reading for a store that takes nothing and answers nothing. */
  replayStoreMsMax: seconds(90),
  /** Times that reading the stream for `reprocess` may fail without getting any further. */
  replayFailuresMax: 8,
  /** Gateways that an answer about `reprocess` names because not all of theirs could be made again. */
  replayGatewaysShown: 100,
  /** Parts of the stream that `reprocess` leaves out at the beginning, one after the other, because the server may drop them meanwhile. */
  replayMargins: [0, 0.01, 0.05, 0.2],
  /** Starts that are remembered however old they are: enough to recognise an older copy of a gateway's disk, about 1 KiB per gateway. */
  epochsPerSourceMin: 16,
  /** Alarms of one partition that are kept, one per gateway, lane and cause. */
  alarmsPerPartitionMax: 200,
  /** How long an alarm is told by /healthz after it was raised last. The API keeps it. */
  alarmShownMs: days(1),
  /** Alarms that /healthz and the status name; the others are counted. */
  alarmsShown: 20,
  /** How often a processor shows that it works on its partitions, and how long one that does not is waited for: three times and a bit. */
  claimRenewMs: seconds(5),
  claimStaleMs: seconds(16),
  /** Nothing is begun when a claim ends within this time: what a busy event loop and a request need at the least. */
  claimMarginMs: seconds(2),
  /** How long a stop waits for its claims to be given back. */
  releaseMsMax: seconds(1),
  /** Floor messages written to the connection before others get their turn. */
  floorMessagesAtOnce: 200,
  /** Running values written per partition and round; the others follow in the next round. */
  liveRowsPerRoundMax: 5_000,
  /** Pause between attempts to reach a store or a stream that fails, doubled each time up to the second number. */
  retryPauseMs: durationMs(250),
  retryPauseMsMax: seconds(30),
  /** How often it is looked whether the stream takes messages, and how long it may take to answer: ten thousand times what it needs. */
  streamLookMs: seconds(30),
  streamAnswerMs: seconds(5),
  /** Rows of a table that the store must refuse one after the other before /healthz says so, and how long it says so after the last one. */
  refusedRowsTold: 5,
  refusedToldMs: minutes(10),
  /** How long a clean stop waits for the store to take what is unsent. What is left stays in the checkpoint. */
  drainMsMax: durationMs(2_500),
} as const;
