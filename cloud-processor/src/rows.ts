import type {
  AcceptedCounts,
  AnomalyRecord,
  AnomalyRow,
  CountedEpisodesRow,
  CountedRow,
  GatewayName,
  GatewayRow,
  RecordPlace,
  StatusRecord,
} from '@floorwatch/contracts';

/** The row that an episode record becomes. */
export function anomalyRow(name: GatewayName, record: AnomalyRecord, epoch: string): AnomalyRow {
  const { kind: _kind, number, device, metric, ...facts } = record;
  const sensor = { site: name.site, gateway: name.gateway, device, metric };
  return { table: 'anomaly', sensor, ...facts, source: { epoch, number } };
}

/** The row that a gateway's report becomes. */
export function gatewayRow(name: GatewayName, record: StatusRecord, source: GatewayRow['source']): GatewayRow {
  const { kind: _kind, number: _number, ...facts } = record;
  return {
    table: 'gateway',
    site: name.site,
    gateway: name.gateway,
    ...facts,
    ...(source !== undefined && { source }),
  };
}

/** The rows that a tick's counts become. */
export function countedRows(
  { site, gateway }: GatewayName,
  { counter, hours, episodes }: AcceptedCounts,
  through: RecordPlace,
): (CountedRow | CountedEpisodesRow)[] {
  const rows: (CountedRow | CountedEpisodesRow)[] = [];
  for (const { device, metric, hour, since, n, hash } of hours) {
    const sensor = { site, gateway, device, metric };
    rows.push({ table: 'counted', sensor, hour, counter, since, n, hash, through });
  }
  for (const { hour, since, opened, openedHash, closed, closedHash } of episodes?.hours ?? []) {
    const counts = { opened, openedHash, closed, closedHash };
    rows.push({ table: 'counted_episodes', site, gateway, hour, counter, since, ...counts, through });
  }
  return rows;
}
