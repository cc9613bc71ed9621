import { crc32 } from 'node:zlib';

import type { FloorRecord } from '@floorwatch/contracts';

/**
 * A number that tells a record from another one of the same number: of what its gateway wrote once and sends the same in every repeat. The
 * place of its sensors in the list of a batch and the provenance of an anomaly change from batch to batch, and have no part in it. Never 0.
 */
export function recordDigest(record: Exclude<FloorRecord, { kind: 'gap' }>): number {
  return crc32(JSON.stringify(lasting(record))) || 1;
}

function lasting(record: Exclude<FloorRecord, { kind: 'gap' }>): unknown {
  if (record.kind === 'anomaly') return { ...record, provenance: undefined };
  if (record.kind !== 'rollups') return record;
  const { base, columns } = record;
  return ['rollups', base, columns.bucket, columns.n, columns.last, columns.hash];
}
