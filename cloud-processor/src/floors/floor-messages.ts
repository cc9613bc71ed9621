import { FLOOR_VERSION, type FloorMessage, type GatewayName, gatewayKey, LANES } from '@floorwatch/contracts';

import type { CheckpointState } from '../checkpoint/format.ts';
import { floorOfSnapshot, type SourceSnapshot } from '../sequence/sequencer.ts';

/** What floor messages need of a checkpoint. */
export type FloorCut = Pick<CheckpointState, 'series' | 'ordinal' | 'cursor' | 'sources'>;

const NOTHING_CAME = { epoch: null, floor: 0, highest: 0 } as const;

/** The messages that tell every gateway of a checkpoint how far it has come. */
export function* floorMessages({ series, ordinal, cursor, sources }: FloorCut): Generator<FloorMessage> {
  const gateways = new Map<string, { readonly name: GatewayName; readonly lanes: SourceSnapshot[] }>();
  for (const source of sources) {
    const { site, gateway } = source;
    const key = gatewayKey(source);
    const entry = gateways.get(key);
    if (entry === undefined) gateways.set(key, { name: { site, gateway }, lanes: [source] });
    else entry.lanes.push(source);
  }
  const stream = { created: cursor.created, position: cursor.position };
  for (const { name, lanes } of gateways.values()) {
    const floors = LANES.map((lane) => {
      const source = lanes.find((candidate) => candidate.lane === lane);
      return [lane, source === undefined ? NOTHING_CAME : floorOfSnapshot(source)] as const;
    });
    yield {
      schema: FLOOR_VERSION,
      ...name,
      checkpoints: series,
      ordinal,
      stream,
      lanes: Object.fromEntries(floors) as FloorMessage['lanes'],
    };
  }
}
