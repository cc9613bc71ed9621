/** What the simulator keeps in memory or on the way at once, and what it accepts from files and people. */
export const limits = {
  /** About 100,000 sensors: five times what one agent takes, and some 40 MB of state here. */
  machinesMax: 25_000,
  /** Shortest time between two readings of a sensor: event times are whole milliseconds. */
  sensorIntervalMsMin: 1,
  /** Readings of the floor are made for this much of its own time at once. */
  stepMs: 100,
  /** Messages published and not yet acknowledged, unless asked otherwise. As many duplicates of one sensor as an agent remembers. */
  inFlightDefault: 64,
  /**
   * The same with QoS 2. Mosquitto takes no more from a client at once (its `max_inflight_messages`); release 2.0.11 acknowledges what
   * goes beyond and then loses it.
   */
  inFlightQos2Default: 20,
  /** MQTT has 65,535 packet ids; the rest stays free for the client library. */
  inFlightMax: 10_000,
  /** A program that is asked to stop waits so long for what is not yet acknowledged; a floor must stop within 5 s. */
  drainMsMax: 2_000,
  /** Files merged in one replay; each holds an open file and its read buffers. */
  replayFilesMax: 1_000,
  /** Readings a second of each sensor that `--speed auto` aims at: 300 make a chart within a minute. */
  autoSensorReadingsPerSecond: 5,
  /** … and how long all of a recording may take, if a laptop can. */
  autoMs: 600_000,
  /** … and of all sensors together: what agent and processor take on a laptop with room to spare. */
  autoReadingsPerSecondMax: 5_000,
  /** Text at the beginning of a file from which its delimiter, header, times and columns are told. */
  csvSampleBytes: 64 * 1024,
  /** Characters of one record. A longer one means a missing quotation mark or a file that is not CSV. */
  csvRecordLengthMax: 64 * 1024,
  /** Columns of a file; each value column becomes a sensor. */
  csvColumnsMax: 2_000,
  /** Rows of a file that are read ahead of publishing. */
  csvBatchRows: 512,
  /** Bytes of a file with faults. */
  faultFileBytesMax: 1024 * 1024,
  /** Lines of a ground truth that is compared: two years of a fault a minute. */
  truthLinesMax: 1_000_000,
  /** Items that are asked of the API at once, the most that it gives. */
  apiPageItems: 5_000,
  /** The API must answer a page in this time. */
  apiTimeoutMs: 30_000,
  /** Faults in such a file. */
  faultsMax: 10_000,
} as const;
