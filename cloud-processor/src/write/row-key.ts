import {
  type AnomalyRow,
  type CountedEpisodesRow,
  type CountedRow,
  gatewayKey,
  type GatewayRow,
  type LateRow,
  type LiveWindowRow,
  sensorId,
  type SensorRef,
  type WindowRow,
} from '@floorwatch/contracts';

/** What of a row tells it apart from all others. */
type RowName =
  | Pick<AnomalyRow, 'table' | 'id'>
  | Pick<CountedRow, 'table' | 'sensor' | 'hour' | 'counter' | 'since'>
  | Pick<CountedEpisodesRow, 'table' | 'site' | 'gateway' | 'hour' | 'counter' | 'since'>
  | Pick<GatewayRow, 'table' | 'site' | 'gateway' | 'at'>
  | Pick<WindowRow | LiveWindowRow | LateRow, 'table' | 'sensor' | 'size' | 'start'>;

/** The row's key as one text: rows with the same key replace one another in the store. */
export function rowKey(row: RowName): string {
  if (row.table === 'anomaly') return `anomaly/${row.id}`;
  if (row.table === 'gateway') return `gateway/${gatewayKey(row)}/${row.at}`;
  if (row.table === 'counted') return `counted/${sensorId(row.sensor)}/${row.hour}/${row.counter}/${row.since}`;
  if (row.table === 'counted_episodes') {
    return `counted_episodes/${gatewayKey(row)}/${row.hour}/${row.counter}/${row.since}`;
  }
  return `${row.table}/${idOf(row.sensor)}/${row.size}/${row.start}`;
}

/** The ids of sensors by the object that names them, which all rows of a sealed window's sensor share. */
const ids = new WeakMap<SensorRef, string>();

function idOf(sensor: SensorRef): string {
  let id = ids.get(sensor);
  if (id === undefined) {
    id = sensorId(sensor);
    ids.set(sensor, id);
  }
  return id;
}
