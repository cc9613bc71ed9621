import { sensorKey, type SensorName } from '@floorwatch/contracts';

import { SnapshotFile } from '../../../edge-agent/src/snapshot/snapshot-file.ts';

/** Numbers of one sensor and event hour in the section `accepted-counts` (docs/agent-snapshot-format.md), and which are slot and readings. */
const FIELDS = 8;
const SLOT = 0;
const READINGS = 3;

/** How many readings an agent that has been stopped had accepted of every sensor, over all of its starts: it counts before it does anything else. */
export async function acceptedBySensor(dataDir: string): Promise<Map<string, number>> {
  const { snapshot } = await new SnapshotFile(dataDir).load();
  const [named, counts] = ['sensors', 'accepted-counts'].map((name) =>
    snapshot?.sections.find((section) => section.name === name),
  );
  if (named === undefined || counts === undefined) throw new Error(`${dataDir} holds no snapshot`);
  const { sensors } = named.values as { readonly sensors: readonly SensorName[] };
  const hours = counts.arrays['hours'] ?? [];
  const accepted = new Map<string, number>();
  for (let row = 0; row < hours.length; row += FIELDS) {
    const sensor = sensorKey(sensors[hours[row + SLOT]!]!);
    accepted.set(sensor, (accepted.get(sensor) ?? 0) + hours[row + READINGS]!);
  }
  return accepted;
}
