import {
  type AnomalyRow,
  type CountedEpisodesRow,
  type CountedRow,
  type GatewayName,
  gatewayKey,
  type Lane,
  type WindowRow,
} from '@floorwatch/contracts';

import type { CheckpointState } from '../checkpoint/format.ts';
import type { AlarmSnapshot } from '../sequence/alarms.ts';
import type { SourceSnapshot } from '../sequence/sequencer.ts';
import type { GatewaySnapshot } from '../window/gateway-windows.ts';
import type { LateWindowSnapshot } from '../window/late-windows.ts';
import { orderOf } from '../window/record-order.ts';
import type { EvidenceSnapshot } from './evidence.ts';
import type { LedgerSnapshot } from './ledger.ts';

/** What one checkpoint says of a gateway. */
export interface GatewayCut extends GatewayName {
  readonly sources: Readonly<Partial<Record<Lane, SourceSnapshot>>>;
  /** Its open windows; absent: it never sent a rollup or tick. */
  readonly windows: GatewaySnapshot | undefined;
  readonly ledger: LedgerSnapshot | undefined;
  /** Absent: no reading, episode or tick of it was taken. */
  readonly evidence: EvidenceSnapshot | undefined;
  readonly alarms: readonly AlarmSnapshot[];
  /** The place of the last telemetry record applied; rows of later ones are newer than the cut. */
  readonly through: number;
  readonly late: readonly LateWindowSnapshot[];
  /** Late readings that are remembered. */
  readonly lateReadings: number;
  /** What the store had not confirmed. */
  readonly unsent: {
    readonly windows: readonly WindowRow[];
    readonly anomalies: readonly AnomalyRow[];
    readonly counted: readonly CountedRow[];
    readonly episodes: readonly CountedEpisodesRow[];
    /** The newest report that it made of itself among them, by its clock; −Infinity: there is none. */
    readonly reportedAt: number;
  };
}

interface Gathered extends GatewayName {
  sources: Partial<Record<Lane, SourceSnapshot>>;
  windows: GatewaySnapshot | undefined;
  ledger: LedgerSnapshot | undefined;
  evidence: EvidenceSnapshot | undefined;
  alarms: AlarmSnapshot[];
  late: LateWindowSnapshot[];
  lateReadings: number;
  unsent: {
    windows: WindowRow[];
    anomalies: AnomalyRow[];
    counted: CountedRow[];
    episodes: CountedEpisodesRow[];
    reportedAt: number;
  };
}

/** The gateways of a partition as its checkpoint has them. */
export function cutsOf(state: CheckpointState): GatewayCut[] {
  const found = new Map<string, Gathered>();
  const of = ({ site, gateway }: GatewayName): Gathered => {
    const key = gatewayKey({ site, gateway });
    let cut = found.get(key);
    if (cut === undefined) {
      const unsent = { windows: [], anomalies: [], counted: [], episodes: [], reportedAt: -Infinity };
      const nothing = { windows: undefined, ledger: undefined, evidence: undefined, alarms: [], late: [] };
      cut = { site, gateway, sources: {}, ...nothing, lateReadings: 0, unsent };
      found.set(key, cut);
    }
    return cut;
  };
  for (const source of state.sources) of(source).sources[source.lane] = source;
  for (const windows of state.windows.gateways) of(windows).windows = windows;
  for (const ledger of state.ledger) of(ledger).ledger = ledger;
  for (const evidence of state.evidence) of(evidence).evidence = evidence;
  for (const alarm of state.alarms) of(alarm).alarms.push(alarm);
  for (const late of state.windows.lateWindows) of(late.sensor).late.push(late);
  const smallest = Math.min(
    ...state.windows.gateways.flatMap(({ completeFrom }) => completeFrom.map(([size]) => size)),
  );
  for (const [key, readings] of state.windows.late) {
    const [sensor = '', size] = key.split('\n');
    const [site, gateway] = sensor.split('/');
    // Counted once per size.
    if (Number(size) === smallest && site !== undefined && gateway !== undefined) {
      of({ site, gateway }).lateReadings += readings;
    }
  }
  for (const row of state.unsent) {
    if (row.table === 'window') of(row.sensor).unsent.windows.push(row);
    else if (row.table === 'anomaly') of(row.sensor).unsent.anomalies.push(row);
    else if (row.table === 'counted') of(row.sensor).unsent.counted.push(row);
    else if (row.table === 'counted_episodes') of(row).unsent.episodes.push(row);
    else if (row.table === 'gateway') {
      const { unsent } = of(row);
      unsent.reportedAt = Math.max(unsent.reportedAt, row.at);
    }
  }
  return Array.from(found.values(), (cut) => ({ ...cut, through: throughOf(cut.sources.telemetry) }));
}

function throughOf(source: SourceSnapshot | undefined): number {
  if (source === undefined) return 0;
  return orderOf({ run: source.run, number: floorOf(source, source.takenFrom) });
}

/** Whether the gateway lost telemetry behind that place, and with it perhaps a tick that told more. */
export const lostBehind = ({ ledger }: GatewayCut, through: number): boolean =>
  (ledger?.lost ?? []).some(
    ({ lane, run, to }) => lane === 'telemetry' && (to === 0 || orderOf({ run, number: to }) > through),
  );

/** The last number of an epoch that was applied. */
export const floorOf = (source: SourceSnapshot | undefined, epoch: string | null): number =>
  source?.epochs.find(([name]) => name === epoch)?.[1] ?? 0;
