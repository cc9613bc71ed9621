import { epochMs, type GatewayName, type GatewayRow, gatewayKey } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import type { StoredGateway, StoredRun } from '../stored-gateway.ts';
import type { Store } from '../write/store.ts';

/** The instants that a row can have. */
const [FIRST, LAST] = [epochMs(-8_640_000_000_000_000), epochMs(8_640_000_000_000_000)];

/** The part of a store that is surveyed. */
export type SurveyedStore = Pick<Store, 'windowEnds' | 'gateways' | 'anomalies' | 'scan'>;

/** A gateway that the store has something of. */
export interface FoundGateway extends GatewayName {
  readonly windowsTo: number;
  /** Its newest report, if there is one. */
  readonly report: GatewayRow | undefined;
}

/** The gateways that the store has windows or reports of. @throws StoreError */
export async function findGateways(store: SurveyedStore): Promise<readonly FoundGateway[]> {
  const found = new Map<string, FoundGateway>();
  for (const { site, gateway, end } of await store.windowEnds()) {
    found.set(gatewayKey({ site, gateway }), { site, gateway, windowsTo: end, report: undefined });
  }
  for (const report of await store.gateways(0)) {
    const { site, gateway } = report;
    const windowsTo = found.get(gatewayKey(report))?.windowsTo ?? FIRST;
    found.set(gatewayKey(report), { site, gateway, windowsTo, report });
  }
  return [...found.values()];
}

/** Those that a partition is in charge of, the ones with the newest windows first; more than it may have are left out. */
export const chosen = (
  gateways: readonly FoundGateway[],
  isOurs: (name: GatewayName) => boolean,
): readonly FoundGateway[] =>
  gateways
    .filter(isOurs)
    .sort((a, b) => b.windowsTo - a.windowsTo)
    .slice(0, processorLimits.gatewaysPerPartitionMax);

/**
 * What a partition must know of a gateway's rows before it adds to them.
 *
 * @param ageMax how long before the newest report its records can have been made, if they may come again.
 * @throws StoreError; the reason of `signal` if it aborts.
 */
export async function surveyGateway(
  store: SurveyedStore,
  { site, gateway, windowsTo, report }: FoundGateway,
  ageMax: number,
  signal: AbortSignal,
): Promise<StoredGateway> {
  const [newest] = (await store.anomalies({ site, gateway, from: FIRST, to: LAST, limit: 1 })).items;
  const runs = new Map<number, StoredRun>();
  if (report !== undefined) {
    const range = { from: epochMs(report.at - ageMax), to: epochMs(report.at + 1) };
    await store.scan({ table: 'gateway', site, gateway, ...range }, (row) => note(runs, row.source), signal);
  }
  const inOrder = [...runs.values()].sort(([a], [b]) => a - b).slice(-processorLimits.storedRunsMax);
  return { site, gateway, windowsTo, episodesTo: newest?.openedAt ?? FIRST, runs: inOrder };
}

function note(runs: Map<number, StoredRun>, source: GatewayRow['source']): void {
  if (source === undefined) return;
  const { run, epoch, from, number } = source;
  const [, , first, last] = runs.get(run) ?? [run, epoch, from, number];
  runs.set(run, [run, epoch, Math.min(first, from), Math.max(last, number)]);
}
