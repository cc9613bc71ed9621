import { LANES, type Lane } from './batch.ts';
import { limits } from './limits.ts';
import { type GatewayName, gatewayKey, isName } from './names.ts';
import { days } from './time.ts';

/**
 * The stream that carries every gateway's batches. Limits retention with a size and an age: what it drops, gateways send again
 * (DESIGN §5), so it is a pipe and not an archive.
 */
export const INGEST_STREAM = {
  name: 'INGEST',
  subjects: ['ingest.v1.*.*.*.*'],
  bytesMaxDefault: 2 * 1024 ** 3,
  ageMaxDefault: days(7),
} as const;

/** Where a processor tries out whether the stream takes messages. The stream has the subject, and no partition does. */
export const STREAM_PROBE_SUBJECT = 'ingest.v1.probe.processor.stream.watch';

/** Where a batch is published, and what the processor reads from the subject. */
export interface IngestAddress extends GatewayName {
  readonly partition: number;
  readonly lane: Lane;
}

/** `ingest.v1.<partition>.<site>.<gateway>.<lane>`. */
export const ingestSubject = (address: Omit<IngestAddress, 'partition'>): string =>
  `ingest.v1.${partitionOf(address)}.${gatewayToken(address)}.${address.lane}`;

/** Where the processor tells a gateway how far it has come: `floor.v1.<site>.<gateway>`, core NATS. */
export const floorSubject = (name: GatewayName): string => `floor.v1.${gatewayToken(name)}`;

/**
 * What a gateway may do in NATS, and all that it needs. `commit`, `command` and `live` are not in use yet: a later release tells gateways there, and
 * whoever may publish there must be no gateway.
 */
export function gatewayRights(name: GatewayName): {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
} {
  const own = gatewayToken(name);
  return {
    publish: LANES.map((lane) => ingestSubject({ ...name, lane })),
    subscribe: [
      floorSubject(name),
      `commit.v1.${own}`,
      `command.v1.${own}`,
      `live.v1.${own}`,
      `${gatewayInbox(name)}.>`,
    ],
  };
}

/** What the subjects begin with on which a gateway gets answers. One of its own, so that none may listen to those of others. */
export const gatewayInbox = (name: GatewayName): string => `_INBOX.gateway.${gatewayToken(name)}`;

/** A gateway as two tokens of a subject, `<site>.<gateway>`; also the name of a file. */
export const gatewayToken = ({ site, gateway }: GatewayName): string =>
  `${subjectToken(site)}.${subjectToken(gateway)}`;

/** The gateway that `text` was made from, or undefined if {@link gatewayToken} never made it. */
export function parseGatewayToken(text: string): GatewayName | undefined {
  const [siteText = '', gatewayText = '', ...rest] = text.split('.');
  const site = fromSubjectToken(siteText);
  const gateway = fromSubjectToken(gatewayText);
  return site === undefined || gateway === undefined || rest.length > 0 ? undefined : { site, gateway };
}

/** The subjects of one partition, token by token: nats-server 2.9 takes no filter that could match more than the stream's subjects. */
export const partitionFilter = (partition: number): string => `ingest.v1.${partition}.*.*.*`;

/** The address that `subject` was made from, or undefined if {@link ingestSubject} never made it. */
export function parseIngestSubject(subject: string): IngestAddress | undefined {
  const [ingest, version, partitionText, siteText = '', gatewayText = '', laneText, ...rest] = subject.split('.');
  const lane = LANES.find((known) => known === laneText);
  const site = fromSubjectToken(siteText);
  const gateway = fromSubjectToken(gatewayText);
  if (ingest !== 'ingest' || version !== 'v1' || rest.length > 0 || lane === undefined) return undefined;
  if (site === undefined || gateway === undefined) return undefined;
  const partition = partitionOf({ site, gateway });
  return String(partition) === partitionText ? { partition, site, gateway, lane } : undefined;
}

/** The partition that owns a gateway: FNV-1a (32 bits) of `site/gateway` in UTF-8, modulo the number of partitions. */
export function partitionOf(name: GatewayName): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(gatewayKey(name))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % limits.partitions;
}

/** A name as one token of a NATS subject: percent-encoded like a URL, and `.`, `*` and the few others that a URL leaves alone too. */
export const subjectToken = (name: string): string =>
  encodeURIComponent(name).replaceAll(/[.!~*'()]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

function fromSubjectToken(token: string): string | undefined {
  try {
    const name = decodeURIComponent(token);
    return isName(name) && subjectToken(name) === token ? name : undefined;
  } catch {
    return undefined;
  }
}
