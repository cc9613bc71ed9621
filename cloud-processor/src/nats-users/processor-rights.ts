import { INGEST_STREAM, STREAM_PROBE_SUBJECT } from '@floorwatch/contracts';

import { CLAIMS_BUCKET } from '../claim/partition-claims.ts';

/** What the subjects begin with on which a processor gets answers. */
export const PROCESSOR_INBOX = '_INBOX.processor';

/** The streams that a processor makes, reads and keeps up to date. */
const STREAMS = [INGEST_STREAM.name, `KV_${CLAIMS_BUCKET}`];

/** Makes, looks at and reads a stream. */
function streamRights(stream: string): string[] {
  const asked = ['STREAM.CREATE', 'STREAM.UPDATE', 'STREAM.INFO', 'STREAM.MSG.GET', 'DIRECT.GET', 'CONSUMER.*'];
  const named = ['DIRECT.GET', 'CONSUMER.*', 'CONSUMER.MSG.NEXT'];
  return [...asked.map((what) => `$JS.API.${what}.${stream}`), ...named.map((what) => `$JS.API.${what}.${stream}.>`)];
}

/**
 * What a processor may do in NATS, and all that it needs to run: it tells gateways, and can neither publish batches nor remove or empty a stream.
 * Only `dead-letters retry` of a batch needs more, the right to speak for its gateway, which the command names.
 */
export const PROCESSOR_RIGHTS = {
  publish: [
    'floor.v1.>',
    STREAM_PROBE_SUBJECT,
    // Not in use yet, see `gatewayRights`.
    'commit.v1.>',
    'command.v1.>',
    'live.v1.>',
    `$KV.${CLAIMS_BUCKET}.>`,
    '$JS.API.INFO',
    '$JS.API.STREAM.NAMES',
    ...STREAMS.flatMap(streamRights),
    '$JS.FC.>',
    '$JS.ACK.>',
  ],
  subscribe: [`${PROCESSOR_INBOX}.>`],
} as const;
