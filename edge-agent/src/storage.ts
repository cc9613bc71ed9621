import { join } from 'node:path';

import type { Lane } from '@floorwatch/contracts';
import { lockDataFolder, type Logger, messageOf, StartError } from '@floorwatch/runtime';
import { type FileSystem, type Recovery, SegmentLogError } from '@floorwatch/segment-log';

import type { AgentConfig } from './config.ts';
import { inFlightMax } from './ingest/readings-config.ts';
import { Journal } from './journal/journal.ts';
import { Quarantine } from './quarantine/quarantine.ts';
import { SnapshotFile, type SnapshotFileSystem } from './snapshot/snapshot-file.ts';
import { DiskLaneSpool } from './spool/disk-lane-spool.ts';
import { LANE_RESERVE_BYTES, laneSegmentBytes } from './spool/lane-sizes.ts';
import type { CommitTimes } from './status/commit-times.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of a segment of the journal. The readings of a message must fit one, because they are safe together or not at all. */
export const journalSegmentBytes = (journalBytesMax: number): number =>
  Math.floor(Math.min(4 * MIB, Math.max(256 * KIB, journalBytesMax / 16)));

/** What tests put in the place of the machine's own. */
export type AgentFileSystem = FileSystem & SnapshotFileSystem;

/** The disk, where it is not the machine's own. */
export interface DiskSurroundings {
  readonly fileSystem?: AgentFileSystem;
  /** Bytes of a segment of the lanes and of the journal, in the place of what their limits say: small ones come and go quickly. */
  readonly segmentBytesMax?: number;
}

/** Everything that the agent keeps on disk. */
export interface Storage {
  readonly journal: Journal;
  readonly lanes: Readonly<Record<Lane, DiskLaneSpool>>;
  readonly snapshots: SnapshotFile;
  readonly quarantine: Quarantine;
  /** Records of each lane that were safe once and can't be read. */
  readonly damaged: Readonly<Record<Lane, number>>;
  /** Lets go of everything; what is not trimmed stays. */
  close(): Promise<void>;
}

/**
 * Opens the data folder, which one agent has at a time, and all that is in it.
 *
 * @throws StartError if it is in use, can't be written, or holds what this release can't read.
 */
export async function openStorage(
  { storage: config, readings }: AgentConfig,
  logger: Logger,
  commitTimes: CommitTimes,
  { fileSystem, ...disk }: DiskSurroundings = {},
): Promise<Storage> {
  const { dataDir, durability, commitMs, journalBytesMax } = config;
  const files = fileSystem === undefined ? {} : { fileSystem };
  const lock =
    fileSystem === undefined
      ? await lockDataFolder(dataDir, 'storage.dataDir', 'agent')
      : await fileSystem.lock(dataDir);
  const opened: { close(): Promise<void> }[] = [{ close: async () => lock.release() }];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).toReversed()) {
      // Each of them, whatever became of the others; everything that was acknowledged is safe already.
      await one
        .close()
        .catch((error: unknown) => logger.error({ error: messageOf(error) }, 'a log was not closed well'));
    }
  };
  const damaged = { anomaly: 0, telemetry: 0 };
  const openLane = async (lane: Lane, makeSpace?: () => Promise<number>): Promise<DiskLaneSpool> => {
    const { bytesMax, whenFull } = config[lane];
    const segmentBytesMax = disk.segmentBytesMax ?? laneSegmentBytes(bytesMax);
    const { spool, recovery } = await DiskLaneSpool.open({
      lane,
      directory: join(dataDir, lane),
      durability,
      bytesMax,
      whenFull,
      segmentBytesMax,
      reserveBytes: Math.min(LANE_RESERVE_BYTES, segmentBytesMax),
      committed: commitTimes.observer(lane),
      ...(makeSpace !== undefined && { makeSpace }),
      ...files,
    });
    opened.push(spool);
    report(logger, lane, recovery);
    damaged[lane] = recovery.damage.reduce((sum, { from, to }) => sum + Math.max(0, to - from + 1), 0);
    return spool;
  };
  try {
    const telemetry = await openLane('telemetry');
    // Rollups that were never sent are worth less than readings and anomalies.
    const makeSpace = async (): Promise<number> => telemetry.dropOldest().catch(() => 0);
    const anomaly = await openLane('anomaly', makeSpace);
    const segmentBytesMax = disk.segmentBytesMax ?? journalSegmentBytes(journalBytesMax);
    const journal = await Journal.open({
      directory: join(dataDir, 'journal'),
      durability,
      bytesMax: journalBytesMax,
      reserveBytes: segmentBytesMax,
      segmentBytesMax,
      commitDelayMs: commitMs,
      committed: commitTimes.observer('journal'),
      makeSpace,
      ...files,
    });
    opened.push(journal);
    report(logger, 'journal', journal.recovery);
    const quarantine = await Quarantine.open({
      dataDir,
      bytesMax: readings.quarantineBytesMax,
      durability,
      inFlightMax: inFlightMax(readings),
      ...files,
    });
    opened.push(quarantine);
    report(logger, 'quarantine', quarantine.recovery);
    const snapshots = new SnapshotFile(dataDir, fileSystem);
    return { journal, lanes: { anomaly, telemetry }, snapshots, quarantine, damaged, close };
  } catch (error) {
    await close();
    if (!(error instanceof SegmentLogError)) throw error;
    throw new StartError('config-invalid', `storage.dataDir: ${dataDir} can't be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function report(
  logger: Logger,
  log: Lane | 'journal' | 'quarantine',
  { damage, tornBytes, setAside, stateLost }: Recovery,
): void {
  if (tornBytes > 0)
    logger.info({ log, tornBytes }, 'cut off a write that was not finished; it was never acknowledged');
  if (stateLost) logger.warn({ log }, 'the marks of a log are lost; everything in it counts as sent');
  if (damage.length > 0) logger.error({ log, damage: damage.slice(0, 10), setAside }, 'a log is damaged');
}
