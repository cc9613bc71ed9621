import {
  bytesInWords,
  durationInWords,
  floorSubject,
  INGEST_STREAM,
  ingestSubject,
  LANES,
  limits as contractLimits,
  minutes,
  seconds,
} from '@floorwatch/contracts';
import { isLoopback, messageOf } from '@floorwatch/runtime';
import { JetStreamApiCodes, JetStreamApiError, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/transport-node';

import type { AgentConfig } from '../../config.ts';
import { limits } from '../../limits.ts';
import type { Check } from '../check.ts';
import { critical, type Finding, notice, ok, warning } from '../finding.ts';
import { findSubscribeFault, tryNats, tryPublish } from '../nats-probe.ts';

const NANOS_PER_MS = 1_000_000;
/** What the stream should hold at least, so that a processor may be away over a weekend. */
const AGE_MS_MIN = minutes(60 * 24 * 3);
/** Beyond this a gateway's readings land in the wrong windows. */
const DRIFT_MS_MAX = seconds(5);

/** Whether NATS takes what this gateway sends: every server, the credentials, the rights, the stream. */
export const checkNats: Check = {
  name: 'nats',
  of: 'gateway',
  msMax: 30_000,
  async run({ config }) {
    const findings: Finding[] = [];
    let seen = false;
    for (const server of config.nats.servers) {
      const attempt = await tryNats(config, server);
      if ('fault' in attempt) findings.push(attempt.fault);
      else {
        try {
          findings.push(await reached(server, attempt.connection));
          // The servers of a cluster share users and streams.
          if (!seen)
            findings.push(...(await ofRights(config, attempt.connection)), ...(await ofStream(attempt.connection)));
          seen = true;
        } finally {
          await attempt.connection.close();
        }
      }
    }
    return findings;
  },
};

async function reached(server: string, connection: NatsConnection): Promise<Finding> {
  const { info } = connection;
  const facts = `${server}: connected to nats-server ${info?.version ?? '?'}, ${durationInWords(await connection.rtt())} there and back`;
  if (info !== undefined && info.max_payload < contractLimits.batchBytesMax) {
    const remedy = `raise max_payload of the server to at least ${contractLimits.batchBytesMax}`;
    return critical(
      `${server} takes messages of at most ${bytesInWords(info.max_payload)}, batches are larger`,
      remedy,
      'nats',
    );
  }
  if (info?.tls_required !== true && info?.tls_available !== true && !isLoopback(new URL(server).hostname)) {
    return warning(`${facts}; unencrypted, also the credentials`, 'set up TLS on the server, and use tls://', 'nats');
  }
  return ok(facts);
}

async function ofRights({ site, gateway }: AgentConfig, connection: NatsConnection): Promise<Finding[]> {
  const findings: Finding[] = [];
  const untaken: string[] = [];
  for (const lane of LANES) {
    const subject = ingestSubject({ site, gateway, lane });
    const answer = await tryPublish(connection, subject);
    if (answer.kind === 'denied') findings.push(denied(answer.error, subject));
    else if (answer.kind === 'no-stream') untaken.push(subject);
    else if (answer.kind === 'unknown') {
      const finding = `whether ${subject} is taken could not be found out: ${answer.why}`;
      findings.push(warning(finding, 'run the doctor again', 'nats'));
    }
  }
  if (untaken.length > 0) {
    const finding = `the stream ${INGEST_STREAM.name} is missing, or JetStream is off: nobody takes ${untaken.join(' and ')}`;
    findings.push(warning(finding, 'start the cloud processor, which makes it; data waits here until then', 'nats'));
  }
  const floor = floorSubject({ site, gateway });
  const fault = await findSubscribeFault(connection, floor);
  if (fault !== undefined) findings.push(denied(fault, floor));
  return findings.length === 0 ? [ok(`this user may publish both lanes and hear ${floor}`)] : findings;
}

function denied(
  { operation, subject }: { readonly operation: string; readonly subject: string },
  wanted: string,
): Finding {
  const verb = operation === 'publish' ? 'publish to' : 'subscribe to';
  const right = operation === 'publish' ? `publish to ${wanted}` : `subscribe to ${subject}`;
  const remedy = `give this user the right to ${right} in the server's configuration; data waits here until then`;
  return critical(`NATS does not let this user ${verb} ${subject}`, remedy, 'nats');
}

async function ofStream(connection: NatsConnection): Promise<Finding[]> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: limits.doctorAskMsMax });
    return judgeStream(await manager.streams.info(INGEST_STREAM.name), Date.now());
  } catch (error) {
    if (isDenied(error)) return [ok(`the limits of the stream ${INGEST_STREAM.name} are not for this user to see`)];
    // Said already, by what publishing was answered.
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return [];
    return [notice(`the stream ${INGEST_STREAM.name} could not be looked at: ${messageOf(error)}`)];
  }
}

const isDenied = (error: unknown): boolean =>
  [error, error instanceof Error ? error.cause : undefined].some(
    // Without the right to ask, some servers refuse and others stay silent.
    (one) => one instanceof errors.PermissionViolationError || one instanceof errors.TimeoutError,
  );

/** What is not as the processor makes it, and how far the server's clock is from this one's. */
export function judgeStream(info: StreamInfo, now: number): Finding[] {
  const { config, state } = info;
  const findings: Finding[] = [];
  const wrong: string[] = [];
  const missing = INGEST_STREAM.subjects.filter((subject) => !config.subjects.includes(subject));
  if (missing.length > 0) wrong.push(`does not take ${missing.join(', ')}`);
  if (config.retention !== 'limits') wrong.push(`has retention ${config.retention} instead of limits`);
  if (config.discard !== 'old') wrong.push(`discards ${config.discard} messages instead of old ones`);
  if (config.storage !== 'file') wrong.push(`is kept in ${config.storage} instead of a file`);
  if (config.max_msg_size !== -1 && config.max_msg_size < contractLimits.batchBytesMax) {
    wrong.push(`takes messages of at most ${bytesInWords(config.max_msg_size)}`);
  }
  if (wrong.length > 0) {
    const remedy = 'start the cloud processor, which says what to do about it';
    findings.push(critical(`the stream ${INGEST_STREAM.name} ${wrong.join(', and ')}`, remedy, 'nats'));
  }
  const ageMs = config.max_age / NANOS_PER_MS;
  if (config.max_age !== 0 && ageMs < AGE_MS_MIN) {
    const finding = `the stream ${INGEST_STREAM.name} keeps data for ${durationInWords(ageMs)}; a processor that is away longer costs a repeat of everything`;
    findings.push(notice(finding, 'raise its age in the processor’s configuration'));
  }
  const drift = driftOf(info, now);
  if (Math.abs(drift) > DRIFT_MS_MAX) {
    const finding = `the clock of this gateway is ${durationInWords(Math.abs(drift))} ${drift > 0 ? 'ahead of' : 'behind'} that of the NATS server`;
    findings.push(warning(finding, 'find out which of the two is wrong, and set up a time service there', 'clock'));
  }
  const max = config.max_bytes > 0 ? ` of ${bytesInWords(config.max_bytes)}` : '';
  const facts = `the stream ${INGEST_STREAM.name} holds ${state.messages} batches, ${bytesInWords(state.bytes)}${max}`;
  return findings.length === 0 ? [ok(facts)] : findings;
}

/** Servers from 2.10 on say what time it is for them. */
function driftOf(info: StreamInfo, now: number): number {
  const told: unknown = Reflect.get(info, 'ts');
  const at = typeof told === 'string' ? Date.parse(told) : Number.NaN;
  return Number.isNaN(at) ? 0 : now - at;
}
