import { createHash } from 'node:crypto';

import type { EpochMs, SensorRef } from '@floorwatch/contracts';

/**
 * The id of an episode: 128 bits of SHA-256 over what makes it the same episode when the same readings are processed again, as 32
 * hexadecimal digits.
 */
export function episodeId(sensor: SensorRef, detector: string, openedAt: EpochMs, value: number): string {
  const { site, gateway, device, metric } = sensor;
  // A JSON list keeps neighbours apart whatever they contain, and writes a number in the shortest form that reads back the same.
  const identity = JSON.stringify([site, gateway, device, metric, detector, openedAt, value]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}
