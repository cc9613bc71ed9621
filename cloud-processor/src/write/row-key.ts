import { gatewayKey, type Row, sensorId } from '@floorwatch/contracts';

/** The row's key as one text: rows with the same key replace one another in the store. */
export function rowKey(row: Row): string {
  if (row.table === 'anomaly') return `anomaly/${row.id}`;
  if (row.table === 'gateway') return `gateway/${gatewayKey(row)}/${row.at}`;
  return `${row.table}/${sensorId(row.sensor)}/${row.size}/${row.start}`;
}
