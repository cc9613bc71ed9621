import { type DurationMs, INGEST_STREAM, limits } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';

/** How large and old the stream may become, and how many servers keep it. */
export interface StreamLimits {
  readonly bytesMax: number;
  readonly ageMax: DurationMs;
  readonly replicas: number;
}

const NANOS_PER_MS = 1_000_000;

/**
 * Makes the stream that carries every gateway's batches, or brings the limits of the existing one up to date. Doing it again changes
 * nothing.
 *
 * @throws StartError if a stream stands there that can't carry them, saying what is wrong with it; the client's own error if the server
 *   can't be asked.
 */
export async function ensureIngestStream(manager: JetStreamManager, config: StreamLimits): Promise<StreamInfo> {
  const wanted = {
    max_bytes: config.bytesMax,
    max_age: config.ageMax * NANOS_PER_MS,
    num_replicas: config.replicas,
    discard: DiscardPolicy.Old,
  };
  const found = await streamInfo(manager);
  if (found === undefined) {
    const made = await refusalExplained(
      manager.streams.add({
        ...wanted,
        name: INGEST_STREAM.name,
        description: 'Batches of all floorwatch gateways on their way to the processor',
        subjects: [...INGEST_STREAM.subjects],
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
      }),
    );
    // A power cut can leave an empty file where the stream's description was. nats-server 2.9 then makes the stream anew but never writes
    // the description, and loses the stream at every later start; an update writes it.
    return manager.streams.update(INGEST_STREAM.name, made.config).catch(() => made);
  }
  const conflict = conflictOf(found.config);
  if (conflict !== undefined) {
    throw new StartError(
      'config-invalid',
      `NATS: the existing stream ${INGEST_STREAM.name} ${conflict}; if it is not in use by something else, ` +
        `remove it with "nats stream rm ${INGEST_STREAM.name}" and start again`,
    );
  }
  const { max_bytes, max_age, num_replicas, discard } = found.config;
  const same =
    max_bytes === wanted.max_bytes &&
    max_age === wanted.max_age &&
    num_replicas === wanted.num_replicas &&
    discard === wanted.discard;
  return same ? found : refusalExplained(manager.streams.update(INGEST_STREAM.name, { ...found.config, ...wanted }));
}

/** The stream, or undefined if there is none. */
export async function streamInfo(manager: JetStreamManager): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(INGEST_STREAM.name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  }
}

/** What keeps an existing stream from carrying batches and can't be changed without losing it, or undefined. */
function conflictOf(config: StreamConfig): string | undefined {
  const missing = INGEST_STREAM.subjects.filter((subject) => !config.subjects?.includes(subject));
  if (missing.length > 0) {
    return `has the subjects ${JSON.stringify(config.subjects ?? [])} and lacks ${missing.join(', ')}`;
  }
  if (config.retention !== RetentionPolicy.Limits) {
    return `has the retention "${config.retention}", must be "limits": messages may not vanish because something has read them`;
  }
  if (config.storage !== StorageType.File) return `is kept in ${config.storage}, must be kept in files`;
  if (config.max_msgs > 0) return `is limited to ${config.max_msgs} messages, must be limited by size and age alone`;
  if (config.max_msgs_per_subject > 0) return `keeps only ${config.max_msgs_per_subject} messages per subject`;
  if (config.max_msg_size > 0 && config.max_msg_size < limits.batchBytesMax) {
    return `refuses messages above ${config.max_msg_size} bytes, batches have up to ${limits.batchBytesMax}`;
  }
  if (config.sealed) return 'is sealed: it takes no messages';
  return undefined;
}

/** Turns the server's refusal into a message for a person. Anything else passes. */
async function refusalExplained(request: Promise<StreamInfo>): Promise<StreamInfo> {
  try {
    return await request;
  } catch (error) {
    if (!(error instanceof JetStreamApiError)) throw error;
    throw new StartError(
      'config-invalid',
      `NATS: the stream ${INGEST_STREAM.name} can't be made or changed: ${messageOf(error)}; ` +
        'look at stream.sizeMaxMb and stream.replicas, at the limits of the NATS account, and at streams with the same subjects',
      { cause: error },
    );
  }
}
