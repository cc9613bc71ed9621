import { days, durationMs, minutes, ROLLUP_MS, seconds } from '@floorwatch/contracts';

/** Limits of what pages and other programs can make this process hold or do. */
export const serveLimits = {
  /** Sensors kept for the floor view, at about 1 kB each without their points. More are counted and left out. */
  sensorsMax: 50_000,
  /** Sensors that one gateway may have there for each place that is free: alone it gets two thirds of all. */
  sensorsPerFreePlace: 2,
  /** Gateways kept for the floor view. */
  gatewaysMax: 2_000,
  /** How far back a sensor's points go, in event time before its newest. */
  historyMs: minutes(30),
  /** Points of one sensor: that time at one point per rollup. */
  pointsPerSensorMax: minutes(30) / ROLLUP_MS,
  /** Points that every sensor may keep, whatever the others hold. */
  pointsPerSensorMin: 16,
  /**
   * Points of all sensors beyond that minimum, at 128 bytes each: 150 MB. Up to 7,000 sensors keep the full half hour; with more, the
   * ones that come later keep less.
   */
  pointsMax: 1_200_000,
  /** Open episodes remembered, over all sensors. More are counted; the store has them all. */
  openEpisodesMax: 100_000,
  /** Rows read from the store per request while the view is rebuilt. */
  restorePageRows: 1_000,
  /** How far back a restart looks for sensors and open episodes. What is older comes back with its next reading. */
  restoreMs: durationMs(7 * 86_400_000),
  /** Pause before a store that could not tell is asked again. */
  restoreRetryMs: seconds(10),

  /** Clients of the live feed. A page has one; a floor has tens of pages. Beyond it one of the address with the most is cut for a new one. */
  liveClientsMax: 64,
  /** Those of one address, which may be a proxy before all pages. */
  liveClientsPerAddressMax: 48,
  /** Bytes that wait for one client beyond what its socket takes. A client that falls further behind is cut. */
  liveQueueBytesMax: 2 * 1024 * 1024,
  /**
   * Bytes of episodes that can be told again to clients that come back: about a thousand. A client gets them all at once, so they are
   * half of what may wait for one.
   */
  liveMemoryBytesMax: 1024 * 1024,
  /** Time between two words to all clients to read everything anew, as in a storm of episodes. */
  liveResetEveryMs: seconds(10),
  /** Sensors whose rollups one client may ask for. */
  liveSensorsMax: 50,
  /** Points that wait for one client's next event; of more, as in a fast playback, the oldest are left out: the page keeps 180. */
  liveRollupsMax: 1_000,
  /** Changed sensors in one event, at about 450 bytes each: half a megabyte. The others wait for the next event. */
  liveSensorsPerEventMax: 1_000,
  /** Episodes that wait for the next event. Beyond, the oldest is left out and counted; a page finds it in the store. */
  liveAnomaliesMax: 1_000,
  /** How long changes of sensors are gathered. */
  liveGatherMs: seconds(1),
  /** How long changes of episodes are gathered: short enough to feel immediate, long enough to survive a storm of them. */
  liveAnomalyGatherMs: durationMs(100),
  /** Silence after which a heartbeat is sent. Below the idle time-outs of common proxies. */
  liveHeartbeatMs: seconds(15),

  /** Rows in a page of a list unless the caller asks for another number. */
  pageRowsDefault: 500,
  /** Points of a sparkline unless the caller asks for another number: ten minutes. */
  sparklinePointsDefault: 60,
  /** Sensors in one request for sparklines. */
  sparklinesMax: 100,
  /** Questions to the store at the same time. More are refused with 503, so that pages cannot starve the writer. */
  storeQueriesMax: 8,
  /** Exports at the same time. Each asks the store one question after the other, beside those above. */
  exportsMax: 2,
  /** Longest range of one export: one that is cut is then not too much to ask for again. */
  exportRangeMs: days(31),
  /** Rows that an export asks the store for at once, and that wait for its client: about a megabyte. */
  exportPageRows: 1_000,
  /** How long the client of an export may take nothing before it is cut. */
  exportIdleMs: seconds(60),
  /** How long it may take nothing while another client waits for its place. */
  exportYieldMs: seconds(5),
  /** Rows of one Parquet file, at up to 250 bytes each: half a gigabyte of disk. */
  exportParquetRowsMax: 2_000_000,
  /** How long the store may work on a Parquet file. While it reads, DuckDB can't tidy up its log of changes. */
  exportParquetMs: seconds(60),
  /** Bytes of one file of the console page. */
  consoleFileBytesMax: 5 * 1024 * 1024,
} as const;
