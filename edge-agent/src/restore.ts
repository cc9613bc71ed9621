import { durationMs, ROLLUP_MS } from '@floorwatch/contracts';
import { type Logger, messageOf, StartError } from '@floorwatch/runtime';

import type { AgentConfig } from './config.ts';
import type { Intake } from './ingest/intake.ts';
import { outputHash } from './output-hash.ts';
import type { RecordWriter } from './record-writer.ts';
import { SensorEngine } from './sensor-engine.ts';
import { SnapshotFileError } from './snapshot/snapshot-file-error.ts';
import type { LoadedSnapshot } from './snapshot/snapshot-file.ts';
import type { SnapshotHeader } from './snapshots.ts';
import { StateError, type StateSection } from './state-section.ts';
import { bucketsIn } from './stats/rollup-section.ts';
import type { Storage } from './storage.ts';
import { Upgrade } from './upgrade.ts';

/** The state as the last snapshot had it; the journal behind it is to be replayed. */
export interface Restored {
  readonly engine: SensorEngine;
  readonly outputHash: string;
  /** Of the snapshot; undefined: there is none. */
  readonly header: SnapshotHeader | undefined;
  readonly bytes: number;
  readonly sections: readonly StateSection[];
  /** Set if what the lanes hold of the items behind the snapshot was made in another way than this engine's. */
  readonly upgrade: Upgrade | undefined;
  /** Whether this start is the one that ends it. */
  readonly upgrades: boolean;
}

/**
 * Takes up the newest snapshot, and finds out whether what the lanes hold was made in the way in which this start goes on.
 *
 * @throws StartError if the snapshot or the journal is of a newer release, or of another gateway.
 */
export async function restore(config: AgentConfig, { storage, writer, intake, logger }: Parts): Promise<Restored> {
  const { snapshot, problems } = await storage.snapshots.load().catch(cannotUse(config));
  for (const problem of problems) logger.error({ problem }, 'a snapshot can not be used');
  const header = snapshot?.header as SnapshotHeader | undefined;
  const sections = snapshot?.sections ?? [];
  checkOwner(config, header);
  let madeBy = header?.outputHash;
  let boundary: number | undefined;
  for await (const { position, start } of storage.journal.starts((header?.position ?? 0) + 1)) {
    madeBy = start.outputHash;
    if (start.upgrades) boundary = position;
  }
  let engine = new SensorEngine(config.engine, config);
  const hash = outputHash(engine, config.engine);
  let upgrades = madeBy !== undefined && madeBy !== hash;
  if (upgrades) logger.warn({ madeBy, hash }, 'readings are judged in another way than before: what is open ends');
  try {
    let taken = restoreEngine(engine, snapshot, upgrades || boundary !== undefined);
    if (taken.leftOut.length > 0) {
      logger.warn({ leftOut: taken.leftOut }, 'a part of what was learned can not be used, and is learned again');
      if (!upgrades && boundary === undefined) {
        upgrades = true;
        engine = new SensorEngine(config.engine, config);
        taken = restoreEngine(engine, snapshot, true);
      }
    }
    intake.restore(sections);
    writer.told.restore(sections);
    const end = upgrades ? storage.journal.next : boundary;
    const from = (lane: 'anomaly' | 'telemetry') => ({ spool: storage.lanes[lane], from: header?.lanes[lane] ?? 1 });
    const lanes = { anomaly: from('anomaly'), telemetry: from('telemetry') };
    const upgrade =
      end === undefined ? undefined : await Upgrade.begin(engine, writer, lanes, end, earlyIn(taken, sections));
    return { engine, outputHash: hash, header, bytes: snapshot?.bytes ?? 0, sections, upgrade, upgrades };
  } catch (error) {
    if (error instanceof StateError || error instanceof TypeError) return cannotUse(config)(error);
    throw error;
  }
}

interface Parts {
  readonly storage: Storage;
  readonly writer: RecordWriter;
  readonly intake: Intake;
  readonly logger: Logger;
}

const earlyIn = ({ rollups }: Taken, sections: readonly StateSection[]) => ({
  rollups,
  bucketMs: rollups.length === 0 ? ROLLUP_MS : durationMs(bucketsIn(sections).bucketMs),
});

type Taken = ReturnType<SensorEngine['restore']>;

const restoreEngine = (engine: SensorEngine, snapshot: LoadedSnapshot | undefined, isChanged: boolean): Taken =>
  snapshot === undefined
    ? { leftOut: [], rollups: [] }
    : engine.restore(snapshot.sections, isChanged ? 'closed' : 'go-on');

/** A folder that was copied, or a gateway that was renamed: its epochs would be taken for those of the other one. */
function checkOwner({ site, gateway, storage }: AgentConfig, header: SnapshotHeader | undefined): void {
  if (header === undefined || (header.site === site && header.gateway === gateway)) return;
  throw new StartError(
    'config-invalid',
    `storage.dataDir: ${storage.dataDir} belongs to gateway ${header.gateway} of site ${header.site}; give ${gateway} of ${site} a folder of its own`,
  );
}

const cannotUse =
  ({ storage: { dataDir } }: AgentConfig) =>
  (error: unknown): never => {
    if (!(error instanceof SnapshotFileError || error instanceof StateError || error instanceof TypeError)) throw error;
    throw new StartError('config-invalid', `storage.dataDir: ${dataDir} can't be used: ${messageOf(error)}`, {
      cause: error,
    });
  };
