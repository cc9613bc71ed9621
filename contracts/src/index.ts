export { type AcceptedCounts, COUNT_MS, type CountedEpisodes, type CountedHour } from './accepted-counts.ts';
export { type Aggregate, addReading, aggregateOf, meanOf, mergeAggregate, sdOf, varianceOf } from './aggregate.ts';
export {
  ANOMALY_PHASES,
  type AnomalyPhase,
  type AnomalyRecord,
  anomalySchema,
  type CloseReason,
  PROVENANCES,
  type Provenance,
  SCORE_MAX,
  SEVERITIES,
  type Severity,
} from './anomaly.ts';
export type { Page } from './api/answer.ts';
export type {
  GatewayAlarm,
  GatewayView,
  LiveEvents,
  RollupPoint,
  SensorView,
  SiteView,
  SparklineView,
} from './api/floor.ts';
export type { About, HealthReport } from './api/processor.ts';
export type { ExportedWindow, ExportEnd, ExportError, WindowView } from './api/windows.ts';
export {
  type Batch,
  type BatchFault,
  type DecodedBatch,
  decodeBatch,
  encodeBatch,
  type FloorRecord,
  type Lane,
  LANES,
  lastNumber,
  SCHEMA_VERSION,
} from './batch.ts';
export type { Predecessor } from './epoch.ts';
export { decodeFloorMessage, encodeFloorMessage, FLOOR_VERSION, type FloorMessage, type LaneFloor } from './floor.ts';
export { GAP_REASONS, type GapRecord } from './gap.ts';
export { limits } from './limits.ts';
export { BUCKETS, parseSizeLabel, sizeLabel, WINDOW_SIZES_DEFAULT } from './measurements.ts';
export {
  MOVING_STATISTICS,
  type MovingStatistics,
  movingStatisticsSchema,
  NO_STATISTICS,
} from './moving-statistics.ts';
export {
  type GatewayName,
  gatewayKey,
  isName,
  NAME_PATTERN,
  nameSchema,
  parseSensorId,
  sensorId,
  sensorKey,
  type SensorName,
  type SensorRef,
} from './names.ts';
export { CLOCK_QUALITIES, type ClockQuality, type Quality, type Reading } from './reading.ts';
export {
  addHash,
  hashOf,
  type HashSum,
  hashText,
  noHashes,
  ReadingHash,
  textHash,
  unknownHash,
} from './reading-hash.ts';
export { at, ROLLUP_MS, type Rollup, type RollupSensor, type RollupsRecord } from './rollup.ts';
export { rollupAggregate, rollupHashes, rollupMoving, rollupsRecord, rollupStart } from './rollup-columns.ts';
export type {
  AnomalyRow,
  CountedEpisodesRow,
  CountedRow,
  GatewayRow,
  LateRow,
  LiveWindowRow,
  RecordPlace,
  Row,
  WindowRow,
} from './rows.ts';
export { SENSOR_STATES, type SensorState } from './sensor-state.ts';
export type { Collector, Delivery, Operator, RefusedItem, Sink, Source, Stage, WriteOutcome } from './stage.ts';
export type { StartRecord } from './start.ts';
export { BROKER_AWAY, type StatusRecord } from './status.ts';
export type { AnomalyQuery, NewestWindow, WindowQuery, WindowRangeQuery } from './store-queries.ts';
export {
  floorSubject,
  INGEST_STREAM,
  type IngestAddress,
  ingestSubject,
  parseIngestSubject,
  partitionFilter,
  partitionOf,
  STREAM_PROBE_SUBJECT,
  subjectToken,
  gatewayInbox,
  gatewayRights,
  gatewayToken,
  parseGatewayToken,
} from './subjects.ts';
export type { TickRecord } from './tick.ts';
export {
  days,
  durationMs,
  type DurationMs,
  epochMs,
  type EpochMs,
  hours,
  intervalStart,
  minutes,
  seconds,
  shift,
} from './time.ts';
export { bytesInWords, counted, durationInWords, instantInWords } from './words.ts';
