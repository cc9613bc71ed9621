import type { AnomalyRecord, AnomalyRow, GatewayName, GatewayRow, StatusRecord } from '@floorwatch/contracts';

/** The row that an episode record becomes. */
export function anomalyRow(name: GatewayName, record: AnomalyRecord): AnomalyRow {
  const { kind: _kind, number: _number, device, metric, ...facts } = record;
  return { table: 'anomaly', sensor: { site: name.site, gateway: name.gateway, device, metric }, ...facts };
}

/** The row that a gateway's report becomes. */
export function gatewayRow(name: GatewayName, record: StatusRecord): GatewayRow {
  const { kind: _kind, number: _number, ...facts } = record;
  return { table: 'gateway', site: name.site, gateway: name.gateway, ...facts };
}
