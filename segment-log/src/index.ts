export { SegmentLogError, type SegmentLogErrorCode } from './errors.ts';
export { type FileSystem, type LogFile, nodeFileSystem, type OpenMode } from './file-system.ts';
export { inspectLog, type LogReport, type SegmentReport } from './inspect-log.ts';
export type { PositionRange } from './position-ranges.ts';
export type { Recovery } from './recovery.ts';
export type { Damage } from './scan.ts';
export type { Frame } from './segment.ts';
export {
  type Absence,
  type AppendOptions,
  type Durability,
  SegmentLog,
  type SegmentLogCounts,
  type SegmentLogOptions,
} from './segment-log.ts';
export { SlotFile, type SlotFileOptions } from './slot-file.ts';
