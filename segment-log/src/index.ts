export { SegmentLogError, type SegmentLogErrorCode } from './errors.ts';
export { type FileSystem, type LogFile, nodeFileSystem } from './file-system.ts';
export type { Damage } from './recovery.ts';
export type { Frame } from './segment.ts';
export { type Durability, type Recovery, SegmentLog, type SegmentLogOptions } from './segment-log.ts';
